"""AVI damaged in its middle: what of its sound is lost, and when what follows is heard.

AVI has no times: ffmpeg counts the chunks that it finds, so that all behind a hole comes too early.
How long the hole is, the index at its end tells, which counts what was there.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from math import inf
from pathlib import Path

from fls_cli.media.layout.kinds import Bytes, Part, mapped
from fls_cli.media.timeline.edit_lists import Edit

# What may stand in a list of chunks.
_NAMES = re.compile(rb"\d\d(?:wb|dc|db|pc|tx)|ix\d\d|idx1|JUNK|LIST|RIFF|indx")
_LISTS = (b"LIST", b"RIFF")
# Headers round what they tell.
_SHORTEST_HOLE = 0.05
# No place in a file.
_END = -1
# A length that stands for none.
_OPEN_LENGTH = 1 << 30


@dataclass
class _Stream:
    """Sound whose chunks are called `name`, and the seconds that its header tells."""

    name: bytes
    seconds: float
    unit: float
    sample_size: int
    block: int
    # Where each stretch without damage begins: in what was found, in the file, and how many bytes
    # are no chunks until there.
    begins: list[tuple[float, int, int]] = field(default_factory=list)
    found_seconds: float = 0.0
    # What of the file was looked at.
    end: int = 0

    def seconds_of(self, size: int) -> float:
        """How long a chunk of so many bytes lasts, as ffmpeg's libavformat/avidec.c counts."""
        if self.sample_size:
            return size / self.sample_size * self.unit
        return (-(-size // self.block) if self.block else 1) * self.unit


def edits_around_damage(path: Path, track: int, part: Part) -> tuple[tuple[Edit, ...], float]:
    """What is heard when of an audio track, counted from 0, that is damaged; nothing of another.

    And how many seconds it says it is: 0 where it does not tell, infinitely many where its header
    left that open. Raises OSError.
    """
    status = path.stat()
    return _edits(path, track, part, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _edits(
    path: Path, track: int, part: Part, size: int, changed: int
) -> tuple[tuple[Edit, ...], float]:
    with mapped(path, part.end) as data:
        try:
            stream = _sounds(data, part.begin)[track]
            index = _walk(data, stream, part.begin)
            edits = _around(stream, index)
        except (struct.error, IndexError, ZeroDivisionError):
            return (), 0.0
    end = edits[-1].start + edits[-1].seconds if edits else 0.0
    return edits, max(stream.seconds, end)


def _around(stream: _Stream, index: dict[int, float]) -> tuple[Edit, ...]:
    """The stretches of a stream; `index` is when, by where in the file, chunks begin."""
    if len(stream.begins) < 2:
        return ()
    medias = [media for media, _, _ in stream.begins]
    starts = [index[at] for _, at, _ in stream.begins if at in index]
    if not index:
        # It was cut off as well, or never finished: as much as such bytes hold elsewhere.
        rate = stream.found_seconds / (stream.end - stream.begins[-1][2])
        starts = [media + rate * skipped for media, _, skipped in stream.begins]
    elif len(starts) < len(medias) or sorted(starts) != starts:
        # Bytes were left out, so that the index leads astray; of several holes each has its share.
        lost = max(stream.seconds, index[_END]) - stream.found_seconds
        share = lost / (len(medias) - 1)
        starts = [media + number * share for number, media in enumerate(medias)]
    if starts[-1] - medias[-1] < _SHORTEST_HOLE:
        return ()
    ends = [*medias[1:], stream.found_seconds]
    return tuple(
        Edit(start, media, end - media)
        for start, media, end in zip(starts, medias, ends, strict=True)
    )


def _sounds(data: Bytes, begin: int) -> list[_Stream]:
    """The audio streams, as their headers tell."""
    streams = []
    for number, at in enumerate(_headers(data, begin)):
        kind = data[at + 8 : at + 12]
        scale, rate, _, length = struct.unpack("<4I", data[at + 28 : at + 44])
        (sample_size,) = struct.unpack("<I", data[at + 52 : at + 56])
        (size,) = struct.unpack("<I", data[at + 4 : at + 8])
        form = at + 8 + size + size % 2
        (block,) = struct.unpack("<H", data[form + 20 : form + 22])
        if kind == b"auds":
            sample_size = block if sample_size and block else sample_size
            unit = scale / rate
            # Written to a pipe: nobody went back to say how long it became.
            seconds = inf if length >= _OPEN_LENGTH else length * unit
            streams.append(_Stream(b"%02dwb" % number, seconds, unit, sample_size, block))
    return streams


def _headers(data: Bytes, at: int) -> Iterator[int]:
    end = data.find(b"movi", at)
    while (at := data.find(b"strh", at, end)) >= 0:
        yield at
        at += 4


def _walk(data: Bytes, stream: _Stream, begin: int) -> dict[int, float]:
    """Finds the chunks of a stream; returns what the index tells of them."""
    movie = data.find(b"movi", begin)
    at, broken, skipped = movie + 4, True, 0
    index: dict[int, float] = {}
    while at + 8 <= len(data):
        size = _size(data, at)
        if size is None:
            following = _resume(data, at + 1)
            if following is None:
                break
            skipped += following - at
            at, broken = following, True
            continue
        name = data[at : at + 4]
        if name == stream.name:
            if broken:
                stream.begins.append((stream.found_seconds, at, skipped))
                broken = False
            stream.found_seconds += stream.seconds_of(size)
        elif name == b"idx1" and not index and at + 8 + size <= len(data):
            index = _index(data[at + 8 : at + 8 + size], stream, begin, movie)
        at += 12 if name in _LISTS else 8 + size + size % 2
    stream.end = at
    return index


def _size(data: Bytes, at: int) -> int | None:
    """How long the chunk at a byte is, without its header; None if there is none."""
    if not _NAMES.match(data, at):
        return None
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    # Only an index or a list goes on behind the end of what was cut off.
    cut = at + 8 + size > len(data)
    return None if cut and data[at : at + 4] not in (b"idx1", *_LISTS) else size


def _resume(data: Bytes, at: int) -> int | None:
    """Where chunks go on: two in a row, since bytes may look like one by chance."""
    while (match := _NAMES.search(data, at)) is not None:
        at = match.start()
        size = _size(data, at)
        if size is not None:
            after = at + (12 if data[at : at + 4] in _LISTS else 8 + size + size % 2)
            if after >= len(data) - 8 or _size(data, after) is not None:
                return at
        at += 1
    return None


def _index(content: bytes, stream: _Stream, file: int, movie: int) -> dict[int, float]:
    """When the chunks of a stream begin, by where they begin in the file; at _END, when all end."""
    entries = list(struct.iter_unpack("<4sIII", content[: len(content) // 16 * 16]))
    # Some count from the list of chunks, others from the beginning of the file.
    origin = movie if entries and file + entries[0][2] < movie else file
    own = [(origin + begin, size) for name, _, begin, size in entries if name == stream.name]
    times = list(accumulate((stream.seconds_of(size) for _, size in own), initial=0.0))
    return {**dict(zip((at for at, _ in own), times, strict=False)), _END: times[-1]}
