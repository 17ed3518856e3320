"""What lies in a file behind what its header tells of: further parts, or an end too early.

People join recordings with `cat`, recorders crash before they fill in a header, downloads stop.
ffmpeg reads what the first header promises and says nothing of the rest.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from fls_cli.media.layout.audio_frames import AC3, ADTS, MPEG
from fls_cli.media.layout.frames import frame_parts
from fls_cli.media.layout.headers import HEADERS, begins_here
from fls_cli.media.layout.joined_kinds import Kind
from fls_cli.media.layout.kinds import UNKNOWN, WHOLE, WORTH_TELLING, Bytes, Part
from fls_cli.media.layout.matroska import MATROSKA
from fls_cli.media.layout.ogg import ogg_parts
from fls_cli.media.layout.wav import wav_parts

_SMALLEST = 1024
# How far into an MP4 its index is looked for.
_HEAD = 1 << 20
_BLOCK = 4096
# Of packets in MPEG-TS.
_SYNC = 0x47


def has_lost_blocks(path: Path, container: str) -> bool:
    """Whether MPEG-PS or MPEG-TS shows where a block was lost, which ffmpeg may pass over.

    Raises OSError.
    """
    if container not in ("mpeg", "mpegts"):
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if container == "mpeg":
            return data.find(bytes(_BLOCK)) >= 0
        size, sync = _packets(data) or (1, 0)
        found = data[sync::size]
        return size > 1 and found.count(_SYNC) < len(found)


def parts_of(path: Path, container: str) -> tuple[Part, ...]:
    """The recordings in a file of ffmpeg's format `container`, at least one. Raises OSError."""
    name = container.split(",")[0]
    found = os.stat(path)
    if found.st_size < _SMALLEST or (name not in _READERS and name not in _WITHOUT_PARTS):
        return (WHOLE,)
    return _read(path, name, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, name: str, size: int, changed: int) -> tuple[Part, ...]:
    # A recording is looked at several times while it is worked on.
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            parts = _READERS[name](data) if name in _READERS else (WHOLE,)
        except struct.error:
            # A header that is itself cut short: ffmpeg knows better what to make of it.
            return (WHOLE,)
        # What was joined to it may be samples.
        if len(parts) > 1 or name in _OF_SAMPLES or not _ends_in_zeros(data):
            return parts
        return (replace(parts[0], torn=True),)


def _ends_in_zeros(data: Bytes) -> bool:
    """As a download does whose room was made before; less than that is how some fill blocks."""
    size = max(_BLOCK, len(data) // 200)
    return data[-size:] == bytes(size)


def _mp4_end(data: Bytes, at: int) -> int:
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


def _mp4_parts(data: Bytes) -> tuple[Part, ...]:
    parts = _MP4.parts(data)
    begin = parts[-1].begin
    if not HEADERS["mov"].match(data, begin) or data.find(b"mvex", begin, begin + _HEAD) < 0:
        return parts
    # Fragments stand one behind the other, and ffmpeg stops where one cannot be read.
    end = _mp4_end(data, begin)
    torn = end > len(data) or len(data) - end >= WORTH_TELLING
    return (*parts[:-1], replace(parts[-1], torn=torn))


def _flv_end(data: Bytes, at: int) -> int | None:
    at += 13
    while at + 11 <= len(data) and data[at] & 0xDF in (8, 9, 18):
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
    while at + 12 <= len(data) and not begins_here(data, at):
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
    size, sync = _packets(data) or (1, 0)
    return (Part(torn=size > 1 and _missing_of_packet(data, size, sync) > 0),)


def _packets(data: Bytes) -> tuple[int, int] | None:
    """How long they are: 188 bytes, in some recorders with 4 before or 16 behind them.

    And where their first byte is.
    """
    for size, sync in ((188, 0), (192, 4), (204, 0)):
        if all(data[sync + size * number] == _SYNC for number in range(3)):
            return size, sync
    return None


def _missing_of_packet(data: Bytes, size: int, sync: int) -> int:
    """How many bytes the last packet lacks; those in the middle may have lost or gained some."""
    for rest in range(size):
        begin = len(data) - rest + sync
        if all(data[begin - size * number] == _SYNC for number in range(1, 4)):
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


_MP4 = Kind(HEADERS["mov"], _mp4_end)


# Where zeros may be silence, or room for an index.
_OF_SAMPLES = frozenset({"wav", "aiff", "au", "w64", "caf", "mov"})
_WITHOUT_PARTS = frozenset({"mpeg", "nut", "dts"})
_READERS: dict[str, Callable[[Bytes], tuple[Part, ...]]] = {
    "wav": wav_parts,
    "matroska": MATROSKA.parts,
    "ogg": ogg_parts,
    "mpegts": _ts,
    "avi": Kind(HEADERS["avi"], _avi_end).parts,
    "mov": _mp4_parts,
    "flv": Kind(HEADERS["flv"], _flv_end, exact=True).parts,
    "asf": Kind(HEADERS["asf"], _asf_end).parts,
    "amr": Kind(HEADERS["amr"]).parts,
    "flac": Kind(HEADERS["flac"]).parts,
    "aiff": Kind(HEADERS["aiff"], _aiff_end).parts,
    "w64": Kind(HEADERS["w64"], _w64_end).parts,
    "caf": Kind(HEADERS["caf"], _caf_end).parts,
    "au": Kind(HEADERS["au"], _au_end).parts,
    "tta": Kind(HEADERS["tta"]).parts,
    "wv": Kind(HEADERS["wv"]).parts,
    "rm": Kind(HEADERS["rm"]).parts,
    "mp3": partial(frame_parts, kind=MPEG),
    "aac": partial(frame_parts, kind=ADTS),
    "ac3": partial(frame_parts, kind=AC3),
    "eac3": partial(frame_parts, kind=AC3),
}
