"""How a file's bytes are laid out: which recordings are joined in it, and what each lacks."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from fls_cli.media.ffmpeg.raw import RawAudio

Bytes: TypeAlias = mmap.mmap
Lack: TypeAlias = Literal["bytes", "end"]

# Sizes that writers leave who could not go back to fill them in.
UNKNOWN = 0x7FFF_F000
# Fewer bytes than that are padding or a tag cut short.
WORTH_TELLING = 4096


@dataclass(frozen=True)
class BareSamples:
    """Samples that are read by their bytes, as ffmpeg misreads the header; `end` 0 for the end."""

    begin: int
    end: int
    raw: RawAudio


@dataclass(frozen=True)
class Part:
    """Bytes of a file that are a recording of their own; `end` None for the end of the file.

    `unbounded` says that the header's length is too short and to be ignored; `hole` is how many
    seconds before it are damaged. `lacks` says that it has fewer `bytes` than it promises, be it in
    its middle, or no `end`, as it stops within a frame, packet, page or box, or in zeros;
    `disordered`, that its pieces do not follow each other in time, and ffmpeg leaves out some.
    `seconds` is how long it promises to be, None where only decoding tells; `torn` is where in it,
    in seconds, a frame breaks off and others go on, how much later nobody knows; `ended`, that it
    says itself that it is complete, whatever follows; `bare` are its samples where ffmpeg needs to
    be told what they are; `pieces` are where the bytes begin and end that are read, if not all of
    them are.
    """

    begin: int = 0
    end: int | None = None
    unbounded: bool = False
    hole: float = 0.0
    lacks: Lack | None = None
    disordered: bool = False
    seconds: float | None = None
    torn: tuple[float, ...] = ()
    ended: bool = False
    bare: BareSamples | None = None
    pieces: tuple[tuple[int, int], ...] = ()

    @property
    def is_whole(self) -> bool:
        return self.begin == 0 and self.end is None


WHOLE = Part()


@contextmanager
def mapped(path: Path, end: int | None = None) -> Iterator[Bytes]:
    """The bytes of a file, up to `end`, none of them read yet. Raises OSError."""
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), end or 0, access=mmap.ACCESS_READ) as data,
    ):
        yield data


def length(parts: tuple[Part, ...]) -> float | None:
    """How many seconds the parts promise together, None where one does not tell."""
    seconds = [part.seconds for part in parts if part.seconds is not None]
    return sum(seconds) + sum(part.hole for part in parts) if len(seconds) == len(parts) else None
