"""Blocks that were lost, as the bytes of what is there show."""

from pathlib import Path

from fls_cli.media.layout.kinds import Bytes, mapped
from fls_cli.media.layout.transport import Packets

_BLOCK = 4096


def has_lost_blocks(path: Path, container: str) -> bool:
    """Whether MPEG-PS or MPEG-TS shows where a block was lost, which ffmpeg may pass over.

    Raises OSError.
    """
    if container not in ("mpeg", "mpegts"):
        return False
    with mapped(path) as data:
        if container == "mpeg":
            return data.find(bytes(_BLOCK)) >= 0
        packets = Packets.at(data, 0)
        return packets is not None and not packets.are_all_there(data)


def ends_in_zeros(data: Bytes) -> bool:
    """As a download does whose room was made before; less than that is how some fill blocks."""
    size = max(_BLOCK, len(data) // 200)
    return data[-size:] == bytes(size)
