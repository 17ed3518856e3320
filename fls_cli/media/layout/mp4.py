"""The boxes of MP4, MOV and M4A (ISO/IEC 14496-12), and where recordings made of them end."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fls_cli.media.layout.headers import HEADERS
from fls_cli.media.layout.joined_kinds import Kind
from fls_cli.media.layout.kinds import WORTH_TELLING, Bytes, Lack, Part

# How far into a recording its index is looked for.
_HEAD = 1 << 20
# What stands in fragmented files beside each other.
_OF_FRAGMENTS = frozenset(
    b"ftyp styp pdin moov sidx ssix moof mdat mfra free skip wide".split()
    + b"meta meco udta emsg prft uuid".split()
)
# So many times the longest step between fragments is no step.
_JUMP = 8


class Box(NamedTuple):
    """What it holds begins at `body`; `end` is what it claims, and may lie behind the file's."""

    name: bytes
    body: int
    end: int


def boxes(data: Bytes, begin: int, end: int) -> Iterator[Box]:
    """Those that stand one behind the other. Raises struct.error for a header cut short."""
    while begin + 8 <= end:
        size, name = struct.unpack(">I4s", data[begin : begin + 8])
        body = begin + 8
        if size == 1:
            (size,) = struct.unpack(">Q", data[body : body + 8])
            body += 8
        size = size or end - begin
        if size < 8:
            return
        begin += size
        yield Box(name, body, begin)


class _Mp4(Kind):
    def parts(self, data: Bytes, begin: int) -> list[Part]:
        parts: list[Part] = []
        run: _Run | None = None
        is_damaged = False
        for part in super().parts(data, begin):
            end = part.end or len(data)
            in_fragments = is_fragmented(data, part.begin)
            times = list(_times(data, part.begin, end)) if in_fragments else []
            part = replace(part, disordered=_goes_back(times))
            is_whole = bool(times) and _is_whole(data, part.begin, end)
            if run and is_whole and run.goes_on(times) and _has_same_header(data, parts[-1], part):
                parts[-1] = _run_on(data, parts[-1], part)
                run.add(times)
            else:
                if is_damaged and _has_same_header(data, parts[-1], part):
                    # What goes on as before stood behind something else.
                    parts[-1] = replace(parts[-1], lacks="end")
                parts.append(part)
                run = _Run(times) if is_whole else None
            is_damaged = in_fragments and not is_whole
        last = parts[-1]
        if last.end is None and is_fragmented(data, last.begin):
            parts[-1] = _without_torn_index(data, last)
        return parts

    def lack(self, data: Bytes, at: int, end: int | None, following: int | None) -> Lack | None:
        if end is not None and is_fragmented(data, at):
            # Fragments stand one behind the other, and ffmpeg stops where one cannot be read.
            rest = (len(data) if following is None else following) - end
            return "end" if rest < 0 or (following is None and rest >= WORTH_TELLING) else None
        return super().lack(data, at, end, following)


def is_fragmented(data: Bytes, at: int) -> bool:
    """Whether the MP4 that begins at a byte comes in fragments, each with an index of its own."""
    return bool(HEADERS["mov"].match(data, at)) and data.find(b"mvex", at, at + _HEAD) >= 0


def is_mp4(path: Path) -> bool:
    """Whether a file begins as MP4 does. Raises OSError."""
    with open(path, "rb") as file:
        return HEADERS["mov"].match(file.read(64)) is not None


def _times(data: Bytes, begin: int, end: int) -> Iterator[tuple[bytes, int]]:
    """The number of each fragment's track, and when that goes on in it, in the media's units."""
    for box in boxes(data, begin, end):
        if box.name != b"moof":
            continue
        for track in boxes(data, box.body, min(box.end, end)):
            if track.name == b"traf":
                yield _begin(data, track.body, min(track.end, end))


def _goes_back(times: Iterable[tuple[bytes, int]]) -> bool:
    """Whether a fragment does not come after the one before it, where ffmpeg leaves some out."""
    last: dict[bytes, int] = {}
    for number, time in times:
        if 0 <= time <= last.get(number, -1):
            return True
        last[number] = max(time, last.get(number, -1))
    return False


class _Run:
    """When the fragments of each track begin that were met so far."""

    def __init__(self, times: Sequence[tuple[bytes, int]]) -> None:
        self._last: dict[bytes, int] = {}
        self._step = 0
        self.add(times)

    def goes_on(self, times: Sequence[tuple[bytes, int]]) -> bool:
        """Whether further ones follow in time, and no clock jumps."""
        most = _JUMP * self._step if self._step else 1 << 32
        return all(0 < time - self._last.get(track, -1) <= most for track, time in times)

    def add(self, times: Sequence[tuple[bytes, int]]) -> None:
        for track, time in times:
            self._step = max(self._step, time - self._last.get(track, time))
            self._last[track] = time


def _is_whole(data: Bytes, begin: int, end: int) -> bool:
    """Whether boxes of fragments are all there is, each as long as it says."""
    at = begin
    for box in boxes(data, begin, end):
        if box.name not in _OF_FRAGMENTS or data[at : at + 4] == bytes(4):
            return False
        at = box.end
    return at == end


def _has_same_header(data: Bytes, part: Part, other: Part) -> bool:
    size = _header_end(data, other.begin) - other.begin
    begins = (part.begin, other.begin)
    first, second = (data[begin : begin + size] for begin in begins)
    return not part.lacks and first == second


def _header_end(data: Bytes, begin: int) -> int:
    """Where the index ends that fragments share."""
    ends = (box.end for box in boxes(data, begin, len(data)) if box.name == b"moov")
    return next(ends, begin)


def _run_on(data: Bytes, part: Part, other: Part) -> Part:
    """Both as one recording: `other` goes on with `part`, and only its header is there again.

    ffmpeg would begin anew behind it, with the silence that encoders put first cut off again.
    """
    pieces = part.pieces or ((part.begin, other.begin),)
    return replace(
        part,
        end=other.end,
        lacks=other.lacks,
        disordered=part.disordered or other.disordered,
        pieces=(*pieces, (_header_end(data, other.begin), other.end or len(data))),
    )


def _without_torn_index(data: Bytes, part: Part) -> Part:
    """Without the index of the last fragment if that is cut off: ffmpeg may refuse all for it."""
    first, last = part.pieces[-1] if part.pieces else (part.begin, len(data))
    box = None
    for box in boxes(data, first, last):  # noqa: B007  (the last one)
        pass
    if box is not None and 0 < last - box.end < 8:
        return replace(part, lacks="end")
    if box is None or box.name != b"moof" or box.end <= last:
        return part
    return replace(part, lacks="end", pieces=(*part.pieces[:-1], (first, box.body - 8)))


def _begin(data: Bytes, body: int, end: int) -> tuple[bytes, int]:
    """The number of a fragment's track, and when that goes on in it; -1 if it does not tell."""
    number, time = b"", -1
    for box in boxes(data, body, end):
        if box.name == b"tfhd":
            number = data[box.body + 4 : box.body + 8]
        elif box.name == b"tfdt":
            # Version 1 has 64 bits.
            size = 8 if data[box.body] else 4
            time = int.from_bytes(data[box.body + 4 : box.body + 4 + size], "big")
    return number, time


def _end(data: Bytes, at: int) -> int:
    full = False
    for box in boxes(data, at, len(data)):
        if not box.name.isalnum() or (box.name == b"ftyp" and full):
            break
        full = full or box.name in (b"mdat", b"moof")
        at = box.end
    return at


MP4 = _Mp4(HEADERS["mov"], _end)
