"""What lies in a file behind what its header tells of: further parts, or an end too early.

People join recordings with `cat`, recorders crash before they fill in a header, downloads stop.
ffmpeg reads what the first header promises and says nothing of the rest.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

from fls_cli.media.layout.audio_frames import AC3, ADTS, MPEG
from fls_cli.media.layout.frames import frame_parts
from fls_cli.media.layout.joined_kinds import Kind, unknown_end
from fls_cli.media.layout.kinds import UNKNOWN, WHOLE, Bytes, Part
from fls_cli.media.layout.matroska import MATROSKA
from fls_cli.media.layout.ogg import ogg_parts
from fls_cli.media.layout.wav import wav_parts

_SMALLEST = 1024
_BLOCK = 4096


def has_blank_block(path: Path) -> bool:
    """Whether zeros stand where a disk or a download lost a block. Raises OSError."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(bytes(_BLOCK)) >= 0


def parts_of(path: Path, container: str) -> tuple[Part, ...]:
    """The recordings in a file of ffmpeg's format `container`, at least one. Raises OSError."""
    name = container.split(",")[0]
    found = os.stat(path)
    if name not in _READERS or found.st_size < _SMALLEST:
        return (WHOLE,)
    return _read(path, name, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, name: str, size: int, changed: int) -> tuple[Part, ...]:
    # A recording is looked at several times while it is worked on.
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _READERS[name](data)
        except struct.error:
            # A header that is itself cut short: ffmpeg knows better what to make of it.
            return (WHOLE,)


def _mp4_end(data: Bytes, at: int) -> int | None:
    full = False
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        if size == 1:
            (size,) = struct.unpack(">Q", data[at + 8 : at + 16])
        if size == 0 and name == b"mdat":
            return len(data)
        if size < 8 or not name.isalnum() or (name == b"ftyp" and full):
            return at
        full = full or name in (b"mdat", b"moof")
        at += size
    return at


def _flv_end(data: Bytes, at: int) -> int | None:
    at += 13
    while at + 11 <= len(data) and data[at] & 0x1F in (8, 9, 18):
        end = at + 11 + int.from_bytes(data[at + 1 : at + 4], "big")
        # Each is followed by how long it is.
        if end + 4 <= len(data) and int.from_bytes(data[end : end + 4], "big") != end - at:
            return at
        at = end + 4
    return at


def _aiff_end(data: Bytes, at: int) -> int | None:
    (size,) = struct.unpack(">I", data[at + 4 : at + 8])
    return at + 8 + size + size % 2 if 0 < size < UNKNOWN else None


def _au_end(data: Bytes, at: int) -> int | None:
    begin, size = struct.unpack(">II", data[at + 4 : at + 12])
    return at + begin + size if 0 < size < UNKNOWN else None


def _w64_end(data: Bytes, at: int) -> int | None:
    (size,) = struct.unpack("<Q", data[at + 16 : at + 24])
    return at + size if 0 < size < 1 << 62 else None


def _caf_end(data: Bytes, at: int) -> int | None:
    at += 8
    while at + 12 <= len(data) and data[at : at + 4] != b"caff":
        (size,) = struct.unpack(">q", data[at + 4 : at + 12])
        if size < 0 and data[at : at + 4] == b"data":
            return None
        if size < 0 or not data[at : at + 4].isalnum():
            return at
        at += 12 + size
    return at


def _avi_end(data: Bytes, at: int) -> int | None:
    begin = at
    # What follows the first RIFF goes on with it.
    while data[at : at + 4] == b"RIFF" and data[at + 8 : at + 12] in (b"AVI ", b"AVIX"):
        if at > begin and data[at + 8 : at + 12] == b"AVI ":
            break
        (size,) = struct.unpack("<I", data[at + 4 : at + 8])
        if not 0 < size < 0xFFFF_0000:
            return None
        at += 8 + size + size % 2
    return at


def _ts(data: Bytes) -> tuple[Part, ...]:
    # Packets of 188 bytes, in some recorders with 4 before or 16 behind them.
    for size, sync in ((188, 0), (192, 4), (204, 0)):
        if all(data[sync + size * number] == 0x47 for number in range(3)):
            return (Part(missing=_missing_of_packet(data, size, sync)),)
    return (WHOLE,)


def _missing_of_packet(data: Bytes, size: int, sync: int) -> int:
    """How many bytes the last packet lacks; those in the middle may have lost or gained some."""
    for rest in range(size):
        begin = len(data) - rest + sync
        if all(data[begin - size * number] == 0x47 for number in range(1, 4)):
            return -rest % size
    return 0


# Its File Properties Object.
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def _asf_end(data: Bytes, at: int) -> int | None:
    found = data.find(_ASF_FILE, at, at + (1 << 16))
    if found < 0:
        return None
    (size,) = struct.unpack("<Q", data[found + 40 : found + 48])
    return at + size if 0 < size < 1 << 50 else None


def _kind(
    header: bytes, end: Callable[[Bytes, int], int | None] = unknown_end
) -> Callable[[Bytes], tuple[Part, ...]]:
    return Kind(re.compile(header, re.DOTALL), end).parts


def _bytes_with(bit: int) -> bytes:
    """A pattern for a byte that has this bit."""
    return b"[" + b"".join(rb"\x%02x" % byte for byte in range(256) if byte & bit) + b"]"


_READERS: dict[str, Callable[[Bytes], tuple[Part, ...]]] = {
    "wav": wav_parts,
    "matroska": MATROSKA.parts,
    "ogg": ogg_parts,
    "mpegts": _ts,
    "avi": _kind(rb"RIFF....AVI LIST", _avi_end),
    "mov": _kind(rb"\0\0\0.ftyp", _mp4_end),
    "flv": _kind(rb"FLV\x01.\0\0\0\x09", _flv_end),
    "aiff": _kind(rb"FORM....AIF[FC]", _aiff_end),
    "au": _kind(rb"\.snd\0\0.{6}\0\0\0[\x01-\x1b]", _au_end),
    "w64": _kind(rb"riff\x2e\x91\xcf\x11", _w64_end),
    "caf": _kind(rb"caff\0\x01", _caf_end),
    "asf": _kind(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c", _asf_end),
    "amr": _kind(rb"#!AMR[\n-]"),
    "flac": _kind(rb"fLaC[\0\x80]\0\0\x22"),
    "tta": _kind(rb"TTA1[\x01-\x03]\0.\0[\x08\x10\x18]\0"),
    # A block of version 4 that is the first of all, and of its channels.
    "wv": _kind(rb"wvpk....[\x02-\x10]\x04.{6}\0{4}.{5}" + _bytes_with(8)),
    "rm": _kind(rb"\.RMF\0\0\0\x12"),
    "mp3": partial(frame_parts, kind=MPEG),
    "aac": partial(frame_parts, kind=ADTS),
    "ac3": partial(frame_parts, kind=AC3),
    "eac3": partial(frame_parts, kind=AC3),
}
