"""What lies in a file behind what its header tells of: further parts, or an end too early.

People join recordings with `cat`, recorders crash before they fill in a header, downloads stop.
ffmpeg reads what the first header promises and says nothing of the rest.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

from fls_cli.audio_frames import AC3, ADTS, MPEG, promised_seconds
from fls_cli.frame_runs import FrameKind
from fls_cli.layouts import UNKNOWN, WORTH_TELLING, Bytes, Layout, Part, joined
from fls_cli.wav_layout import wav_layout

_SMALLEST = 64


def layout(path: Path, container: str) -> Layout:
    """How a file of ffmpeg's format `container` is laid out. Raises OSError."""
    name = container.split(",")[0]
    found = os.stat(path)
    if name not in _READERS or found.st_size < _SMALLEST:
        return Layout()
    return _read(path, name, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, name: str, size: int, changed: int) -> Layout:
    # A recording is looked at several times while it is worked on.
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _READERS[name](data)
        except struct.error:
            # A header that is itself cut short: ffmpeg knows better what to make of it.
            return Layout()


def _mp4(data: Bytes) -> Layout:
    begins, end, at = [0], len(data), 0
    full = False
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        if size == 1:
            (size,) = struct.unpack(">Q", data[at + 8 : at + 16])
        if name == b"ftyp" and full:
            begins.append(at)
            full = False
        full = full or name in (b"mdat", b"moof")
        if size < 8:
            break
        at += size
        end = at
    return joined(begins, data, end if end > len(data) else len(data))


def _flv(data: Bytes) -> Layout:
    begins, at = [0], 13
    while at + 11 <= len(data):
        if data[at : at + 4] == b"FLV\x01":
            begins.append(at)
            at += 13
            continue
        if data[at] & 0x1F not in (8, 9, 18):
            break
        at += 15 + int.from_bytes(data[at + 1 : at + 4], "big")
    return joined(begins, data, max(at, len(data)))


def _sized(header: Callable[[Bytes, int], int | None]) -> Callable[[Bytes], Layout]:
    """A reader of files whose header tells where they end, another of the kind behind that."""

    def read(data: Bytes) -> Layout:
        begins: list[int] = []
        at, end = 0, len(data)
        while at + 32 <= len(data) and (found := header(data, at)) is not None:
            begins.append(at)
            at = end = found
        return joined(begins or [0], data, end)

    return read


def _aiff_end(data: Bytes, at: int) -> int | None:
    name, size, kind = struct.unpack(">4sI4s", data[at : at + 12])
    if name != b"FORM" or kind not in (b"AIFF", b"AIFC"):
        return None
    return at + 8 + size + size % 2 if 0 < size < UNKNOWN else len(data)


def _au_end(data: Bytes, at: int) -> int | None:
    name, begin, size = struct.unpack(">4sII", data[at : at + 12])
    if name != b".snd":
        return None
    return at + begin + size if 0 < size < UNKNOWN else len(data)


def _w64_end(data: Bytes, at: int) -> int | None:
    if data[at : at + 4] != b"riff":
        return None
    (size,) = struct.unpack("<Q", data[at + 16 : at + 24])
    return at + size if 0 < size < 1 << 62 else len(data)


def _caf_end(data: Bytes, at: int) -> int | None:
    if data[at : at + 4] != b"caff":
        return None
    at += 8
    while at + 12 <= len(data) and data[at : at + 4] != b"caff":
        (size,) = struct.unpack(">q", data[at + 4 : at + 12])
        if size < 0:
            return len(data)
        at += 12 + size
    return at


def _avi_end(data: Bytes, at: int) -> int | None:
    name, size, kind = struct.unpack("<4sI4s", data[at : at + 12])
    if name != b"RIFF" or kind not in (b"AVI ", b"AVIX"):
        return None
    return at + 8 + size + size % 2 if 0 < size < 0xFFFF_0000 else len(data)


def _avi(data: Bytes) -> Layout:
    # What follows the first RIFF goes on with it, so it is never a part of its own.
    return Layout(missing=_sized(_avi_end)(data).missing)


# Its File Properties Object.
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def _asf(data: Bytes) -> Layout:
    found = data.find(_ASF_FILE, 0, 1 << 16)
    if found < 0:
        return Layout()
    (size,) = struct.unpack("<Q", data[found + 40 : found + 48])
    missing = size - len(data)
    return Layout(missing=missing if WORTH_TELLING <= missing < 1 << 50 else 0)


def _signed(sign: bytes) -> Callable[[Bytes], Layout]:
    """A reader of files that tell no length, and begin with what no sound looks like."""

    def read(data: Bytes) -> Layout:
        return joined([0, *_all(data, sign, len(sign))], data, len(data))

    return read


def _of_frames(data: Bytes, kind: FrameKind) -> Layout:
    """That of a stream without a clock."""
    found = list(kind.runs(data))
    holes = {
        after.begin: (after.begin - before.end) / before.bytes_per_second
        for before, after in pairwise(found)
        if not _is_tag(data, before.end)
    }
    seconds = sum(run.seconds for run in found)
    promised = promised_seconds(data, found[0]) if found and kind is MPEG else None
    lost = (promised or 0.0) - seconds
    if len(holes) == 1 and lost > 1.0:
        # A block was left out, and its length is what the header promises more than there is.
        holes = dict.fromkeys(holes, lost)
    else:
        holes = {at: hole for at, hole in holes.items() if hole > _SHORTEST_HOLE}
    begins = [0, *holes]
    ends = [*(before.end for before, after in pairwise(found) if after.begin in holes), None]
    parts = tuple(
        Part(begin, end, hole=holes.get(begin, 0.0))
        for begin, end in zip(begins, ends, strict=True)
    )
    return Layout(parts, seconds=seconds + sum(holes.values()) if found else None)


# Less may be the cut between two recordings.
_SHORTEST_HOLE = 0.2
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"RIFF")


def _is_tag(data: Bytes, at: int) -> bool:
    return data[at : at + 16].startswith(_TAGS)


def _all(data: Bytes, sign: bytes, begin: int) -> Iterator[int]:
    while (begin := data.find(sign, begin)) >= 0:
        yield begin
        begin += 1


_READERS: dict[str, Callable[[Bytes], Layout]] = {
    "wav": wav_layout,
    "mov": _mp4,
    "flv": _flv,
    "aiff": _sized(_aiff_end),
    "au": _sized(_au_end),
    "w64": _sized(_w64_end),
    "caf": _sized(_caf_end),
    "avi": _avi,
    "asf": _asf,
    "amr": _signed(b"#!AMR"),
    "flac": _signed(b"fLaC\0\0\0\x22"),
    "mp3": partial(_of_frames, kind=MPEG),
    "aac": partial(_of_frames, kind=ADTS),
    "ac3": partial(_of_frames, kind=AC3),
    "eac3": partial(_of_frames, kind=AC3),
}
