"""How a file's bytes are laid out: which recordings are joined in it, and what each lacks."""

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
    seconds before it are damaged. `missing` is how many bytes it promises and lacks, at its end or
    in its middle; `torn` says that it ends within a frame, packet, page or box, or in zeros.
    `seconds` is how long it promises to be, None where only decoding tells.
    """

    begin: int = 0
    end: int | None = None
    unbounded: bool = False
    hole: float = 0.0
    missing: int = 0
    torn: bool = False
    seconds: float | None = None

    @property
    def is_whole(self) -> bool:
        return self.begin == 0 and self.end is None


WHOLE = Part()


def length(parts: tuple[Part, ...]) -> float | None:
    """How many seconds the parts promise together, None where one does not tell."""
    known = [part.seconds for part in parts if part.seconds is not None]
    return sum(known) + sum(part.hole for part in parts) if len(known) == len(parts) else None
