"""The boxes of MP4, MOV and M4A (ISO/IEC 14496-12), and where recordings made of them end."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from fls_cli.media.layout.headers import HEADERS
from fls_cli.media.layout.joined_kinds import Kind
from fls_cli.media.layout.kinds import WORTH_TELLING, Bytes, Lack

# How far into a recording its index is looked for.
_HEAD = 1 << 20


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
    def lack(self, data: Bytes, at: int, end: int | None, following: int | None) -> Lack | None:
        if (
            following is None
            and end is not None
            and HEADERS["mov"].match(data, at)
            and data.find(b"mvex", at, at + _HEAD) >= 0
        ):
            # Fragments stand one behind the other, and ffmpeg stops where one cannot be read.
            return "end" if end > len(data) or len(data) - end >= WORTH_TELLING else None
        return super().lack(data, at, end, following)


def _end(data: Bytes, at: int) -> int:
    full = False
    for box in boxes(data, at, len(data)):
        if not box.name.isalnum() or (box.name == b"ftyp" and full):
            break
        full = full or box.name in (b"mdat", b"moof")
        at = box.end
    return at


MP4 = _Mp4(HEADERS["mov"], _end)
