"""Packets of MPEG-TS (ISO/IEC 13818-1): what was joined in a stream of them, and how it ends.

ffmpeg goes by the tracks that it finds at the beginning. A recorder that changes its channel, an
advertisement between segments or `cat` of two recordings bring others, which nobody would hear.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from fls_cli.media.layout.headers import kind_at, next_header
from fls_cli.media.layout.kinds import Bytes, Part

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Rows: TypeAlias = npt.NDArray[np.uint8]
    Numbers: TypeAlias = npt.NDArray[np.uint16]

_SYNC = 0x47
_HEAD = 4
# Tables: of programs, and of what one consists of.
_PROGRAMS, _STREAMS = 0, 2
# Kinds of sound by the type of their stream: MPEG, AAC, LATM, AC-3, DTS and E-AC-3.
_SOUND = frozenset({0x03, 0x04, 0x0F, 0x11, 0x81, 0x82, 0x85, 0x86, 0x87})
# Of private data, by its descriptors: AC-3, E-AC-3, DTS, AAC; or a registration.
_PRIVATE = 0x06
_DESCRIPTORS = frozenset({0x6A, 0x7A, 0x7B, 0x7C})
_REGISTRATION = 0x05
# Of the clock in packets, as far as it is read here.
_CLOCK_RATE = 45_000
_REGISTERED = frozenset({b"Opus", b"AC-3", b"EAC3", b"DTS1", b"DTS2", b"DTS3", b"BSSD"})


class Packets(NamedTuple):
    """How long they are, and where the first byte of each stands.

    188 bytes; in some recorders with 4 before or 16 behind them.
    """

    size: int
    sync: int

    @classmethod
    def at(cls, data: Bytes, begin: int) -> Packets | None:
        """Those that begin at a byte."""
        for size, sync in ((188, 0), (192, 4), (204, 0)):
            places = range(begin + sync, begin + sync + 3 * size, size)
            if places[-1] < len(data) and all(data[place] == _SYNC for place in places):
                return cls(size, sync)
        return None

    def are_all_there(self, data: Bytes) -> bool:
        """Whether each begins where it should."""
        begins = data[self.sync :: self.size]
        return begins.count(_SYNC) == len(begins)


def transport_parts(data: Bytes, at: int) -> list[Part]:
    """A part for each set of tracks from a byte on."""
    parts: list[Part] = []
    begin: int | None = at
    while begin is not None and (packets := Packets.at(data, begin)) is not None:
        end = _end(data, begin, packets)
        begins = [begin, *_changes(data, begin, len(data) if end is None else end, packets)]
        stops = [*begins[1:], end]
        parts += [Part(first, stop) for first, stop in zip(begins, stops, strict=True)]
        torn = (end - begin) % packets.size if end else _is_torn(data, packets)
        if torn:
            parts[-1] = replace(parts[-1], lacks="end")
        begin = end
    return parts or [Part(at, next_header(data, at + 1))]


def _end(data: Bytes, begin: int, packets: Packets) -> int | None:
    """Where a recording of another kind, or other packets, begin; None for the end of the file."""
    import numpy as np

    there = np.frombuffer(data, np.uint8)[begin + packets.sync :: packets.size] == _SYNC
    for number in np.flatnonzero(~there)[:1]:
        end = begin + int(number) * packets.size
        if Packets.at(data, end) or kind_at(data, end):
            return end
        # Or within a packet that was cut off.
        return next_header(data, max(begin + 1, end - packets.size), end + packets.size)
    return None


def _changes(data: Bytes, begin: int, end: int, packets: Packets) -> Iterator[int]:
    """Where tracks of sound end or become others, or the clock goes back.

    At the table of programs before the change.
    """
    restarts = _restarts(data, begin, end, packets)
    programs: frozenset[int] = frozenset()
    tables: dict[int, frozenset[bytes]] = {}
    tracks: frozenset[bytes] = frozenset()
    table_begin = begin
    for at, number, section in _sections(data, begin, end, packets):
        if number == 0:
            programs, table_begin = _numbers(section), at
            if at > begin and any(before < at <= after for before, after in restarts):
                tables, tracks = {}, frozenset()
                yield at
            continue
        if number not in programs or section[0] != _STREAMS:
            continue
        tables[number] = _sounds(section)
        if not programs <= tables.keys():
            continue
        now = frozenset().union(*(tables[program] for program in programs))
        if now != tracks and not tracks <= now and table_begin > begin:
            yield table_begin
        tracks = now


def _sections(
    data: Bytes, begin: int, end: int, packets: Packets
) -> Iterator[tuple[int, int, bytes]]:
    """Tables of programs and streams: where their packet begins, its number, and the table."""
    import numpy as np

    first = begin + packets.sync
    rows, numbers = _rows(data, begin, end, packets)
    opening = (rows[:, 1] & 0x40) > 0
    programs: frozenset[int] = frozenset()
    for row in np.flatnonzero(opening & (numbers == 0)):
        section = _section(data, first + int(row) * packets.size)
        programs |= _numbers(section) if section else frozenset()
    chosen = opening & ((numbers == 0) | np.isin(numbers, list(programs)))
    del rows
    for row in np.flatnonzero(chosen):
        at = first + int(row) * packets.size
        if section := _section(data, at):
            yield at - packets.sync, int(numbers[row]), section


def _rows(data: Bytes, begin: int, end: int, packets: Packets) -> tuple[Rows, Numbers]:
    """(n, bytes), n packets from their first bytes on, and (n,), the numbers of their streams."""
    import numpy as np

    count = (end - begin - packets.sync) // packets.size
    of_all = np.frombuffer(data, np.uint8, count * packets.size, begin + packets.sync)
    rows = of_all.reshape(count, packets.size)
    numbers: Numbers = np.left_shift(rows[:, 1] & 0x1F, 8, dtype=np.uint16) | rows[:, 2]
    return rows, numbers


def _restarts(data: Bytes, begin: int, end: int, packets: Packets) -> list[tuple[int, int]]:
    """Where packets begin that tell the clock, the last before it goes back and the first after.

    None where it jumps forth as well, as in segments out of order.
    """
    import numpy as np

    rows, numbers = _rows(data, begin, end, packets)
    telling = (rows[:, 3] & 0x20 > 0) & (rows[:, 4] >= 7) & (rows[:, 5] & 0x10 > 0)
    clocks = np.flatnonzero(telling & (rows[:, 0] == _SYNC))
    # Every program has its own; that of the first will do.
    clocks = clocks[numbers[clocks] == numbers[clocks[:1]]]
    # Of 90 kHz and 33 bits, but for the last bit; it may run over.
    times = rows[clocks, 6:10].astype(np.int64) @ (1 << np.arange(24, -1, -8))
    steps = np.diff(times)
    back = (steps < -_CLOCK_RATE) & (steps > -(1 << 31))
    if (steps > _CLOCK_RATE).any():
        back[:] = False
    places = begin + clocks * packets.size
    del rows
    return [(int(places[at]), int(places[at + 1])) for at in np.flatnonzero(back)]


def _section(data: Bytes, at: int) -> bytes | None:
    """The table that begins in a packet, without its check sum; None if it is not all in it."""
    packet = data[at : at + 188]
    payload = _HEAD + (packet[_HEAD] + 1 if packet[3] & 0x20 else 0)
    if payload >= len(packet):
        return None
    begin = payload + 1 + packet[payload]
    size = int.from_bytes(packet[begin + 1 : begin + 3], "big") & 0x0FFF
    section = packet[begin : begin + 3 + size]
    return section[:-4] if size > 9 and len(section) == 3 + size and not _crc(section) else None


# Some come ten times a second, always the same.
@lru_cache(maxsize=64)
def _crc(section: bytes) -> int:
    """CRC-32/MPEG-2; 0 for a table with its check sum."""
    rest = 0xFFFFFFFF
    for byte in section:
        rest ^= byte << 24
        for _ in range(8):
            rest = (rest << 1 ^ (0x04C11DB7 if rest & 0x80000000 else 0)) & 0xFFFFFFFF
    return rest


def _numbers(section: bytes) -> frozenset[int]:
    """Of the packets that hold the tables of programs."""
    if section[0] != _PROGRAMS:
        return frozenset()
    entries = [section[at : at + 4] for at in range(8, len(section), 4)]
    return frozenset(
        int.from_bytes(entry[2:], "big") & 0x1FFF for entry in entries if any(entry[:2])
    )


def _sounds(section: bytes) -> frozenset[bytes]:
    """The type and number of each track of sound in a program."""
    sounds: set[bytes] = set()
    at = 12 + (int.from_bytes(section[10:12], "big") & 0x0FFF)
    while at + 5 <= len(section):
        size = int.from_bytes(section[at + 3 : at + 5], "big") & 0x0FFF
        if section[at] in _SOUND or (
            section[at] == _PRIVATE and _is_sound(section[at + 5 : at + 5 + size])
        ):
            sounds.add(section[at : at + 3])
        at += 5 + size
    return frozenset(sounds)


def _is_sound(descriptors: bytes) -> bool:
    while len(descriptors) >= 2:
        tag, size = descriptors[:2]
        if tag in _DESCRIPTORS or (tag == _REGISTRATION and descriptors[2:6] in _REGISTERED):
            return True
        descriptors = descriptors[2 + size :]
    return False


def _is_torn(data: Bytes, packets: Packets) -> bool:
    """Whether the last packet is not all there; others may have lost or gained some bytes."""
    size = packets.size
    for rest in range(size):
        begin = len(data) - rest + packets.sync
        if all(data[begin - size * number] == _SYNC for number in range(1, 4)):
            return rest > 0
    return False
