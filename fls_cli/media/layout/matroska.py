"""Where a recording in Matroska or WebM ends (RFC 8794 and 9559)."""

from __future__ import annotations

from fls_cli.media.layout.headers import HEADERS
from fls_cli.media.layout.joined_kinds import Kind
from fls_cli.media.layout.kinds import Bytes

_SEGMENT = b"\x18\x53\x80\x67"


def _segment_end(data: Bytes, at: int) -> int | None:
    """Behind the segment that follows the header at a byte; recorders may leave its size open."""
    header = _size(data, at + 4)
    if header is None:
        return None
    size_of_header, width = header
    begin = at + 4 + width + size_of_header
    if data[begin : begin + 4] != _SEGMENT or (segment := _size(data, begin + 4)) is None:
        return None
    size, width = segment
    return begin + 4 + width + size


def _size(data: Bytes, at: int) -> tuple[int, int] | None:
    """A size of variable width at a byte, and its width; None where it is left open."""
    first = data[at] if at < len(data) else 0
    if first == 0:
        return None
    width = 9 - first.bit_length()
    size = int.from_bytes(data[at : at + width], "big") & (1 << 7 * width) - 1
    return None if size == (1 << 7 * width) - 1 else (size, width)


MATROSKA = Kind(HEADERS["matroska"], _segment_end)
