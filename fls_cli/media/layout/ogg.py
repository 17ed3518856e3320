"""Where the chains of an Ogg file begin, and whether its last pages are all there (RFC 3533)."""

import struct
from collections.abc import Iterator

from fls_cli.media.layout.headers import kind_at, next_header
from fls_cli.media.layout.kinds import WORTH_TELLING, Bytes, Lack, Part

_HEADER = 27
_BEGINS, _ENDS = 2, 4
# A page's flags; its stream, number and checksum.
_PAGE = struct.Struct("<5xB8xIII")


def ogg_parts(data: Bytes, begin: int) -> list[Part]:
    """A part for each chain from byte `begin` on.

    Pages say how long they are, so one that was cut off shows, and of the last ones one that is
    missing or damaged: what is lost before them, times tell.
    """
    parts: list[Part] = []
    page = end = begin
    # Streams that are heard together all begin before one goes on.
    going = False
    numbers: dict[int, int] = {}
    is_missing, flags = False, 0
    for page in _pages(data, begin):
        flags, stream, number, _ = _PAGE.unpack(data[page : page + _PAGE.size])
        if flags & _BEGINS and going:
            parts.append(Part(begin, page, lacks="end" if end > page else None))
            begin = page
            numbers.clear()
        end = _end(data, page)
        going = not flags & _BEGINS
        is_missing = number != numbers.get(stream, number - 1) + 1
        numbers[stream] = number
    # What follows a page that was cut off begins inside of what that claims.
    foreign = end if kind_at(data, end) else next_header(data, page + _HEADER)
    if end > (len(data) if foreign is None else foreign):
        return [*parts, Part(begin, foreign, lacks="end")]
    is_lost = going and (is_missing or _is_damaged(data, page, end, foreign))
    lacks: Lack | None = "bytes" if is_lost else None
    return [*parts, Part(begin, foreign, lacks=lacks, ended=going and bool(flags & _ENDS))]


def _pages(data: Bytes, at: int) -> Iterator[int]:
    """Where each page begins."""
    while (at := data.find(b"OggS\0", at)) >= 0 and at + _PAGE.size <= len(data):
        yield at
        end = _end(data, at)
        whole = end == len(data) or data[end : end + 4] == b"OggS"
        # Where a page is cut off, another may begin inside of what it claims.
        at = end if whole else at + _HEADER


def _end(data: Bytes, at: int) -> int:
    begin = at + _HEADER
    if begin > len(data):
        return begin
    segments = data[begin - 1]
    return begin + segments + sum(data[begin : begin + segments])


def _is_damaged(data: Bytes, page: int, end: int, foreign: int | None) -> bool:
    """Whether the last page, which is all there, is not what was written, or not the last."""
    flags, _, _, checksum = _PAGE.unpack(data[page : page + _PAGE.size])
    if foreign is None and not flags & _ENDS and len(data) - end >= WORTH_TELLING:
        return True
    computed = 0
    # The checksum counts as 0.
    for byte in data[page : page + 22] + bytes(4) + data[page + 26 : end]:
        computed = (computed << 8 & 0xFFFF_FFFF) ^ _CRC32[computed >> 24 ^ byte]
    return bool(computed != checksum)


def _crc32(byte: int) -> int:
    checksum = byte << 24
    for _ in range(8):
        checksum = checksum << 1 ^ 0x1_04C1_1DB7 if checksum & 0x8000_0000 else checksum << 1
    return checksum


_CRC32 = tuple(map(_crc32, range(256)))
