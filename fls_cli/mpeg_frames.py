"""The frames of an MPEG audio stream (MP1, MP2, MP3), found by their headers.

Such a stream has no clock: how much is missing where it is damaged only its bytes tell.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

# ISO/IEC 11172-3 and 13818-3: kbit/s by version (1, then 2 and 2.5) and layer (1, 2, 3).
_BIT_RATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = (44_100, 48_000, 32_000)
_SAMPLES = {(1, 1): 384, (1, 2): 1152, (1, 3): 1152, (2, 1): 384, (2, 2): 1152, (2, 3): 576}


@dataclass(frozen=True)
class Run:
    """Frames from byte `begin` to `end`, one behind the other: `seconds` of sound."""

    begin: int
    end: int
    seconds: float

    @property
    def bytes_per_second(self) -> float:
        return (self.end - self.begin) / self.seconds


def runs(data: mmap.mmap) -> Iterator[Run]:
    """What of a file is frames; between runs lie tags and what is damaged."""
    at = 0
    known: dict[bytes, tuple[int, float] | None] = {}
    while (begin := _first(data, at, known)) is not None:
        at, seconds = begin, 0.0
        while (frame := _frame(data[at : at + 4], known)) is not None:
            at += frame[0]
            seconds += frame[1]
        yield Run(begin, min(at, len(data)), seconds)


def promised_seconds(data: mmap.mmap, first: Run) -> float | None:
    """How much sound the header in the first frame of a file promises, if there is one."""
    frame = _read(data[first.begin : first.begin + 4])
    at = max(data.find(name, first.begin, first.begin + 64) for name in (b"Xing", b"Info"))
    if frame is None or at < 0 or not data[at + 7] & 1:
        return None
    return int.from_bytes(data[at + 8 : at + 12], "big") * frame[1]


def _first(data: mmap.mmap, at: int, known: dict[bytes, tuple[int, float] | None]) -> int | None:
    """Where frames begin: three in a row, since a pair of bytes may look like one by chance."""
    while (at := data.find(b"\xff", at)) >= 0:
        end = at
        for count in range(3):
            frame = _frame(data[end : end + 4], known)
            if frame is None:
                break
            end += frame[0]
            if end >= len(data) and count > 0:
                return at
        else:
            return at
        at += 1
    return None


def _frame(header: bytes, known: dict[bytes, tuple[int, float] | None]) -> tuple[int, float] | None:
    """The bytes and the seconds of the frame with this header; None where it is none."""
    if header in known:
        return known[header]
    known[header] = found = _read(header)
    return found


def _read(header: bytes) -> tuple[int, float] | None:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    kind, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate, frequency = header[2] >> 4, header[2] >> 2 & 3
    if kind == 1 or layer == 4 or rate in (0, 15) or frequency == 3:
        return None
    version = 1 if kind == 3 else 2
    sample_rate = _SAMPLE_RATES[frequency] // {3: 1, 2: 2, 0: 4}[kind]
    samples = _SAMPLES[version, layer]
    bits = _BIT_RATES[version, layer][rate - 1] * 1000
    padding = header[2] >> 1 & 1
    if layer == 1:
        size = (12 * bits // sample_rate + padding) * 4
    else:
        size = samples // 8 * bits // sample_rate + padding
    return size, samples / sample_rate
