"""Edit lists of MP4 and MOV with holes in them, which ffmpeg fills with the recording's beginning.

An edit says which stretch of the media is heard when; one without media is silence. ffmpeg (5.1
and 9.0, libavformat/mov.c) reads an empty edit that is not the first as one of the media from time
0, and one that is the first as a late start of the clock. So such lists are followed here.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fls_cli.media.layout.kinds import Bytes, mapped
from fls_cli.media.layout.mp4 import boxes
from fls_cli.media.timeline.laps import ZERO
from fls_cli.media.timeline.nut import Packet
from fls_models.core.constants import SAMPLE_RATE

# Longer than any recording.
_ENDLESS = 1e9


@dataclass(frozen=True)
class Edit:
    """`seconds` of media from `media` on are heard from `start` on, infinite for all there is."""

    start: float
    media: float
    seconds: float


def edits_with_holes(path: Path, track: int) -> tuple[Edit, ...]:
    """The edits of an audio track, counted from 0, if some of them are empty; else none.

    None as well for media that is heard twice or out of order, and for what cannot be read.
    Raises OSError.
    """
    with mapped(path) as data:
        try:
            return _edits(data, track)
        except (struct.error, StopIteration):
            return ()


def edited(packets: Iterable[Packet], edits: tuple[Edit, ...], width: int) -> Iterator[Packet]:
    """Packets at the times of the media, `width` bytes a sample, cut and moved as `edits` say."""
    edit_samples = [
        tuple(
            round(min(value, _ENDLESS) * SAMPLE_RATE)
            for value in (edit.start, edit.media, edit.seconds)
        )
        for edit in edits
    ]
    for pts, data in packets:
        begin = pts - ZERO
        end = begin + len(data) // width
        for start, media, length in edit_samples:
            first, last = max(begin, media), min(end, media + length)
            if first < last:
                samples = data[(first - begin) * width : (last - begin) * width]
                yield Packet(ZERO + start + first - media, samples)


def _edits(data: Bytes, track: int) -> tuple[Edit, ...]:
    movie = next(_bodies(data, 0, len(data), b"moov"))
    scale = _scale(data, next(_bodies(data, *movie, b"mvhd")))
    sounds = [
        track_box
        for track_box in _bodies(data, *movie, b"trak")
        if (media := next(_bodies(data, *track_box, b"mdia"), None))
        and (handler := next(_bodies(data, *media, b"hdlr"), None))
        and data[handler[0] + 8 : handler[0] + 12] == b"soun"
    ]
    sound = sounds[track] if track < len(sounds) else (0, 0)
    entries = next(_bodies(data, *next(_bodies(data, *sound, b"edts")), b"elst"))
    media_scale = _scale(data, next(_bodies(data, *next(_bodies(data, *sound, b"mdia")), b"mdhd")))
    edits: list[Edit] = []
    start, holes = 0.0, False
    for length, time in _entries(data, *entries):
        # Nobody knew how long fragments would be.
        seconds = length / scale or math.inf
        if time < 0:
            holes = True
        else:
            if edits and time / media_scale < edits[-1].media + edits[-1].seconds:
                return ()
            edits.append(Edit(start, time / media_scale, seconds))
        start += length / scale
    return tuple(edits) if holes else ()


def _entries(data: Bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Duration in the movie's units, and time in the media's or -1."""
    version, count = data[begin], struct.unpack(">I", data[begin + 4 : begin + 8])[0]
    form = ">Qqi" if version else ">Iii"
    size = struct.calcsize(form)
    for at in range(begin + 8, min(end, begin + 8 + count * size), size):
        length, time, _ = struct.unpack(form, data[at : at + size])
        yield length, time


def _scale(data: Bytes, box: tuple[int, int]) -> int:
    at = box[0] + (20 if data[box[0]] else 12)
    scale: int = struct.unpack(">I", data[at : at + 4])[0]
    return max(1, scale)


def _bodies(data: Bytes, begin: int, end: int, name: bytes) -> Iterator[tuple[int, int]]:
    """Where the bodies of the boxes with this name begin and end."""
    for box in boxes(data, begin, end):
        if box.name == name:
            yield box.body, min(box.end, end)
