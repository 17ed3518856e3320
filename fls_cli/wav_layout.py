"""Where the samples of WAV files lie, and further recordings behind them."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import NamedTuple

from fls_cli.layouts import UNKNOWN, WORTH_TELLING, Bytes, Layout, Part, joined

_RIFFS = (b"RIFF", b"RF64", b"RIFX")
# PCM, float, A-law, mu-law, extensible.
_CONSTANT = (1, 3, 6, 7, 0xFFFE)


def wav_layout(data: Bytes) -> Layout:
    """Raises struct.error for a header that is cut short."""
    begins, at, end = [0], 0, len(data)
    # None as soon as one part does not tell.
    seconds: float | None = 0.0
    while True:
        sound = _wav_sound(data, at)
        if sound is None:
            return replace(joined(begins, data, end), seconds=seconds or None)
        begin, size = sound.begin, sound.size
        if size is None and data[at : at + 4] == b"RF64":
            # ffmpeg takes a size that was never filled in for an empty recording.
            return _unbounded(data, sound)
        if size is None:
            # Nobody knows how long: until the next header, if there is one.
            at = data.find(b"WAVEfmt ", begin) - 8
            if at < 0:
                return joined(begins, data, len(data))
            seconds = None
        else:
            end = begin + size
            pace = sound.bytes_per_second
            seconds = None if seconds is None or not pace else seconds + size / pace
            at, known = _after_chunks(data, end + size % 2)
            if not known and len(begins) == 1 and at < len(data) - WORTH_TELLING:
                return _unbounded(data, sound)
            if at + 12 > len(data) or data[at : at + 4] not in _RIFFS:
                return replace(joined(begins, data, end), seconds=seconds)
        begins.append(at)


class _Samples(NamedTuple):
    """Where those of a WAV begin, how many bytes they are if it tells, and how many a second."""

    begin: int
    size: int | None
    bytes_per_second: int | None


def _unbounded(data: Bytes, sound: _Samples) -> Layout:
    """That of a WAV whose samples end with the file, whatever the header says."""
    pace = sound.bytes_per_second
    seconds = (len(data) - sound.begin) / pace if pace else None
    return Layout((Part(unbounded=True),), seconds=seconds)


def _wav_sound(data: Bytes, at: int) -> _Samples | None:
    if data[at : at + 4] not in _RIFFS or data[at + 8 : at + 12] != b"WAVE":
        return None
    order = ">" if data[at : at + 4] == b"RIFX" else "<"
    long, pace, at = None, None, at + 12
    while at + 8 <= len(data):
        name, size = struct.unpack(f"{order}4sI", data[at : at + 8])
        if name == b"ds64":
            (long,) = struct.unpack("<Q", data[at + 16 : at + 24])
        if name == b"fmt ":
            form, _, _, rate = struct.unpack(f"{order}HHII", data[at + 8 : at + 20])
            pace = rate if form in _CONSTANT else None
        if name == b"data":
            if size == 0xFFFFFFFF and long:
                return _Samples(at + 8, long, pace)
            return _Samples(at + 8, size if 0 < size < UNKNOWN else None, pace)
        at += 8 + size + size % 2
    return None


def _after_chunks(data: Bytes, at: int) -> tuple[int, bool]:
    """Behind the chunks that follow a WAV's samples, and whether those are chunks."""
    while at + 8 <= len(data):
        name, size = struct.unpack("<4sI", data[at : at + 8])
        if name in _RIFFS:
            return at, True
        if not (name.isascii() and name.replace(b" ", b"_").replace(b"_", b"a").isalnum()):
            return at, False
        at += 8 + size + size % 2
    return at, True
