"""Samples with their times, out of a pipe: the NUT container, as ffmpeg writes it.

Of all containers that ffmpeg writes into a pipe, this keeps the time of each packet exactly. Only
what one stream of raw audio needs is read. The format: https://ffmpeg.org/~michael/nut.txt
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

_FILE_ID = b"nut/multimedia container\0"
_MAIN = b"NM\x7a\x56\x1f\x5f\x04\xad"
_STREAM = b"NS\x11\x40\x5b\xf2\xf9\xdb"
_SYNCPOINT = b"NK\xe4\xad\xee\xca\x45\x69"

_CODED_PTS, _STREAM_ID, _SIZE_MSB, _CHECKSUM = 8, 16, 32, 64
_RESERVED, _SIDE_DATA, _HEADER_IDX, _MATCH_TIME = 128, 256, 1024, 2048
_CODED, _INVALID = 4096, 8192
_SELDOM = _MATCH_TIME | _HEADER_IDX | _RESERVED | _CHECKSUM | _SIDE_DATA
_LONG_PACKET = 4096
_N = ord("N")
# More than a frame's header has.
_ROOM = 64
_CHUNK = 1 << 17


class Packet(NamedTuple):
    """`data` is interleaved samples; `pts` is the time of the first, in time base units."""

    pts: int
    data: bytes


class _Code(NamedTuple):
    """What a frame code stands for."""

    flags: int
    size_mul: int
    size_lsb: int
    pts_delta: int
    reserved: int


class NutReader:
    """The packets of a NUT stream of one raw audio track.

    `read(n)` gives at most `n` bytes, none at the end. `channels` is known once the first packet
    is. A stream that ends within a packet ends with the packet before it. Raises ValueError for
    what is no such stream.
    """

    channels = 1

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._buffer = b""
        self._at = 0
        self._codes: list[_Code] = []
        self._time_bases = 1
        self._shift = 0
        self._last_pts = 0

    def packets(self) -> Iterator[Packet]:
        try:
            if self._take(len(_FILE_ID)) != _FILE_ID:
                raise ValueError("not a NUT stream")
            while True:
                packet = self._next()
                if packet is not None:
                    yield packet
        except EOFError:
            return

    def _next(self) -> Packet | None:
        # A hundred thousand an hour: what is common is done here, without further calls.
        buffer, at = self._buffer, self._at
        if at + _ROOM > len(buffer):
            self._fill(_ROOM)
            buffer, at = self._buffer, self._at
        code = buffer[at]
        if code == _N:
            self._at = at + 1
            self._header(b"N" + self._take(7))
            return None
        flags, multiplier, size, pts_delta, reserved = self._codes[code]
        self._at = at + 1
        if flags & _INVALID:
            raise ValueError("an invalid frame code")
        if flags & _CODED:
            flags ^= self._number()
        if flags & _STREAM_ID:
            self._number()
        if flags & _CODED_PTS:
            self._last_pts = self._full_pts(self._number())
        else:
            self._last_pts += pts_delta
        if flags & _SIZE_MSB:
            size += multiplier * self._number()
        if flags & _SELDOM or reserved:
            self._skip(flags, reserved)
        return Packet(self._last_pts, self._take(size))

    def _skip(self, flags: int, reserved: int) -> None:
        if flags & _MATCH_TIME:
            self._number()
        if flags & _HEADER_IDX:
            self._number()
        self._numbers(self._number() if flags & _RESERVED else reserved)
        if flags & _CHECKSUM:
            self._take(4)
        if flags & _SIDE_DATA:
            raise ValueError("side data")

    def _full_pts(self, coded: int) -> int:
        if coded >= 1 << self._shift:
            return coded - (1 << self._shift)
        mask = (1 << self._shift) - 1
        delta = self._last_pts - mask // 2
        return ((coded - delta) & mask) + delta

    def _header(self, startcode: bytes) -> None:
        length = self._number()
        if length > _LONG_PACKET:
            self._take(4)
        body = NutReader(lambda _: b"")
        body._buffer = self._take(length)
        if startcode == _MAIN:
            self._codes, self._time_bases = body._main_header()
        elif startcode == _STREAM:
            self._shift, self.channels = body._stream_header()
        elif startcode == _SYNCPOINT:
            self._last_pts = body._number() // self._time_bases

    def _main_header(self) -> tuple[list[_Code], int]:
        *_, time_bases = self._numbers(4 if self._number() > 3 else 3)
        self._numbers(2 * time_bases)
        codes: list[_Code] = []
        delta, multiplier, lowest, reserved = 0, 1, 0, 0
        while len(codes) < 256:
            flags, fields = self._number(), self._number()
            values = self._numbers(fields)
            # Signed, as only the first of them is: 0, 1, -1, 2, -2, ...
            delta = (values[0] + 1 >> 1) * (1 if values[0] & 1 else -1) if fields > 0 else delta
            multiplier = values[1] if fields > 1 else multiplier
            lowest = values[3] if fields > 3 else 0
            reserved = values[4] if fields > 4 else 0
            count = values[5] if fields > 5 else multiplier - lowest
            while count and len(codes) < 256:
                if len(codes) == _N:
                    codes.append(_Code(_INVALID, 1, 0, 0, 0))
                    continue
                codes.append(_Code(flags, multiplier, lowest, delta, reserved))
                lowest, count = lowest + 1, count - 1
        return codes, time_bases

    def _stream_header(self) -> tuple[int, int]:
        self._numbers(2)
        self._take(self._number())
        _, shift, *_ = self._numbers(5)
        self._take(self._number())
        _, _, channels = self._numbers(3)
        return shift, channels

    def _numbers(self, count: int) -> list[int]:
        return [self._number() for _ in range(count)]

    def _number(self) -> int:
        value, at = 0, self._at
        while True:
            if at >= len(self._buffer):
                self._at = at
                self._fill(1)
                at = self._at
                if at >= len(self._buffer):
                    raise EOFError
            byte = self._buffer[at]
            at += 1
            value = value << 7 | byte & 127
            if byte < 128:
                self._at = at
                return value

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._buffer):
            self._fill(count)
            end = self._at + count
            if end > len(self._buffer):
                raise EOFError
        content = self._buffer[self._at : end]
        self._at = end
        return content

    def _fill(self, count: int) -> None:
        """Reads on until there are `count` bytes, or no more come; EOFError where none are left."""
        pieces = [self._buffer[self._at :]]
        size = len(pieces[0])
        while size < count and (more := self._read(_CHUNK)):
            pieces.append(more)
            size += len(more)
        self._buffer, self._at = b"".join(pieces), 0
        if not size:
            raise EOFError
