"""How a file's bytes are laid out: which recordings are joined in it, and what it lacks."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TypeAlias

Bytes: TypeAlias = mmap.mmap

# Sizes that writers leave who could not go back to fill them in.
UNKNOWN = 0x7FFF_F000
# Fewer bytes than that are padding or a tag cut short.
WORTH_TELLING = 4096


@dataclass(frozen=True)
class Part:
    """Bytes of a file that are a recording of their own; `end` None for the end of the file.

    `unbounded` says that the header's length is too short and to be ignored; `hole` is how many
    seconds before it are damaged.
    """

    begin: int = 0
    end: int | None = None
    unbounded: bool = False
    hole: float = 0.0

    @property
    def is_whole(self) -> bool:
        return self.begin == 0 and self.end is None


WHOLE = Part()


@dataclass(frozen=True)
class Layout:
    """The parts of a file, and how many bytes its header promises that are not there.

    `seconds` is how long it is where counting tells, or a header that ffmpeg does not believe.
    """

    parts: tuple[Part, ...] = (WHOLE,)
    missing: int = 0
    seconds: float | None = None


def joined(begins: list[int], data: Bytes, end: int) -> Layout:
    """Parts that begin at `begins`, the last promising to end at `end`."""
    ends: list[int | None] = [*begins[1:], None]
    parts = tuple(Part(begin, end) for begin, end in zip(begins, ends, strict=True))
    missing = end - len(data)
    return Layout(parts, missing if missing >= WORTH_TELLING else 0)
