"""Where the chains of an Ogg file begin, and whether its last page is all there (RFC 3533)."""

from fls_cli.media.layout.headers import kind_at, next_header
from fls_cli.media.layout.kinds import Bytes, Part

_HEADER = 27
_BEGINS = 2


def ogg_parts(data: Bytes, begin: int) -> list[Part]:
    """A part for each chain from byte `begin` on.

    Pages say how long they are, so one that was cut off shows.
    """
    parts: list[Part] = []
    page = end = at = begin
    # Streams that are heard together all begin before one goes on.
    going = False
    while (at := data.find(b"OggS\0", at)) >= 0:
        first = bool(data[at + 5 : at + 6] and data[at + 5] & _BEGINS)
        if first and going:
            parts.append(Part(begin, at, lacks="end" if end > at else None))
            begin = at
        going = not first
        page, end = at, _end(data, at)
        whole = end == len(data) or data[end : end + 4] == b"OggS"
        # Where a page is cut off, another may begin inside of what it claims.
        at = end if whole else at + _HEADER
    # What follows a page that was cut off begins inside of what that claims.
    foreign = end if kind_at(data, end) else next_header(data, page + _HEADER)
    torn = end > (len(data) if foreign is None else foreign)
    return [*parts, Part(begin, foreign, lacks="end" if torn else None)]


def _end(data: Bytes, at: int) -> int:
    begin = at + _HEADER
    if begin > len(data):
        return begin
    segments = data[begin - 1]
    return begin + segments + sum(data[begin : begin + segments])
