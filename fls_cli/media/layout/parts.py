"""What lies in a file behind what its header tells of: further parts, or an end too early.

People join recordings with `cat`, recorders crash before they fill in a header, downloads stop.
ffmpeg reads what the first header promises and says nothing of the rest.
"""

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from fls_cli.media.layout.ends import KINDS
from fls_cli.media.layout.frames import frame_parts
from fls_cli.media.layout.headers import FRAMES, behind_tag, kind_at
from fls_cli.media.layout.kinds import WHOLE, Bytes, Part, mapped
from fls_cli.media.layout.mp4 import MP4
from fls_cli.media.layout.ogg import ogg_parts
from fls_cli.media.layout.transport import Packets, transport_parts
from fls_cli.media.layout.wav import wav_parts

_SMALLEST = 1024
_BLOCK = 4096
# Where zeros may be silence, or room for an index.
_OF_SAMPLES = frozenset({"wav", "aiff", "au", "w64", "caf", "mov"})
_WITHOUT_PARTS = frozenset({"mpeg", "nut", "dts"})
_READERS: dict[str, Callable[[Bytes, int], list[Part]]] = {
    **{name: kind.parts for name, kind in KINDS.items()},
    "wav": wav_parts,
    "ogg": ogg_parts,
    "mpegts": transport_parts,
    "mov": MP4.parts,
    **{name: partial(frame_parts, name=name) for name in FRAMES},
}


def parts_of(path: Path, container: str) -> tuple[Part, ...]:
    """The recordings in a file of ffmpeg's format `container`, at least one. Raises OSError."""
    name = container.split(",")[0]
    status = os.stat(path)
    if status.st_size < _SMALLEST or (name not in _READERS and name not in _WITHOUT_PARTS):
        return (WHOLE,)
    return _read(path, name, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, name: str, size: int, changed: int) -> tuple[Part, ...]:
    # A recording is looked at several times while it is worked on.
    with mapped(path) as data:
        parts = _recordings(data, name)
        # What was joined to it may be samples.
        if len(parts) > 1 or name in _OF_SAMPLES or parts[0].ended or not _ends_in_zeros(data):
            return parts
        return (replace(parts[0], lacks="end"),)


def _recordings(data: Bytes, name: str | None) -> tuple[Part, ...]:
    """Those in a file that begins as the kind of this name does."""
    parts: list[Part] = []
    # Taggers put an ID3v2 tag in front of whatever it is. Frames are found behind one anyway.
    first = 0 if name in FRAMES else behind_tag(data, 0)
    begin: int | None = first
    while begin is not None:
        try:
            parts += _READERS[name](data, begin) if name in _READERS else [Part(begin)]
        except struct.error:
            # A header that is itself cut short: ffmpeg knows better what to make of it.
            parts.append(Part(begin))
        begin = parts[-1].end
        name = None if begin is None else kind_at(data, begin)
    if parts[0].begin == first:
        parts[0] = replace(parts[0], begin=0)
    return tuple(parts)


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


def _ends_in_zeros(data: Bytes) -> bool:
    """As a download does whose room was made before; less than that is how some fill blocks."""
    size = max(_BLOCK, len(data) // 200)
    return data[-size:] == bytes(size)
