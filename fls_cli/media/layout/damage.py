"""Blocks that were lost, and packets of MPEG-TS that are cut off, as their bytes show."""

from __future__ import annotations

from pathlib import Path

from fls_cli.media.layout.kinds import Bytes, Part, mapped

_BLOCK = 4096
# Of packets in MPEG-TS.
_SYNC = 0x47


def has_lost_blocks(path: Path, container: str) -> bool:
    """Whether MPEG-PS or MPEG-TS shows where a block was lost, which ffmpeg may pass over.

    Raises OSError.
    """
    if container not in ("mpeg", "mpegts"):
        return False
    with mapped(path) as data:
        if container == "mpeg":
            return data.find(bytes(_BLOCK)) >= 0
        size, sync = _packets(data) or (1, 0)
        begins = data[sync::size]
        return size > 1 and begins.count(_SYNC) < len(begins)


def ends_in_zeros(data: Bytes) -> bool:
    """As a download does whose room was made before; less than that is how some fill blocks."""
    size = max(_BLOCK, len(data) // 200)
    return data[-size:] == bytes(size)


def transport_stream(data: Bytes) -> tuple[Part, ...]:
    """All of it; `lacks` goes by its last packet."""
    size, sync = _packets(data) or (1, 0)
    torn = size > 1 and _missing_of_packet(data, size, sync) > 0
    return (Part(lacks="end" if torn else None),)


def _packets(data: Bytes) -> tuple[int, int] | None:
    """How long they are: 188 bytes, in some recorders with 4 before or 16 behind them.

    And where their first byte is.
    """
    for size, sync in ((188, 0), (192, 4), (204, 0)):
        if all(data[sync + size * number] == _SYNC for number in range(3)):
            return size, sync
    return None


def _missing_of_packet(data: Bytes, size: int, sync: int) -> int:
    """How many bytes the last packet lacks; those in the middle may have lost or gained some."""
    for rest in range(size):
        begin = len(data) - rest + sync
        if all(data[begin - size * number] == _SYNC for number in range(1, 4)):
            return -rest % size
    return 0
