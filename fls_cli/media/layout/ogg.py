"""Where the chains of an Ogg file begin, and whether its last page is all there (RFC 3533)."""

from __future__ import annotations

from fls_cli.media.layout.headers import begins_here, joined_behind, next_header
from fls_cli.media.layout.kinds import Bytes, Part

_HEADER = 27
_BEGINS = 2


def ogg_parts(data: Bytes) -> tuple[Part, ...]:
    """A part for each chain. Pages say how long they are, so one that was cut off shows."""
    found: list[Part] = []
    begin = at = end = 0
    # Streams that are heard together all begin before one goes on.
    going = False
    while (at := data.find(b"OggS\0", at)) >= 0:
        first = bool(data[at + 5 : at + 6] and data[at + 5] & _BEGINS)
        if first and going:
            found.append(Part(begin, at, torn=end > at))
            begin = at
        going = not first
        end = _end(data, at)
        whole = end == len(data) or data[end : end + 4] == b"OggS"
        # Where a page is cut off, another may begin inside of what it claims.
        at = end if whole else at + _HEADER
    other = None
    if end < len(data):
        other = end if begins_here(data, end) else next_header(data, end)
    if other is not None:
        return (*found, Part(begin, other), *joined_behind(data, other))
    return (*found, Part(begin, None, torn=end > len(data)))


def _end(data: Bytes, at: int) -> int:
    begin = at + _HEADER
    if begin > len(data):
        return begin
    segments = data[begin - 1]
    return begin + segments + sum(data[begin : begin + segments])
