"""Streams of frames without a clock: where their frames are, and how much sound lies between.

How much is missing where such a stream is damaged only its bytes tell.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fls_cli.media.layout.kinds import Bytes

# The bytes and the seconds of a frame.
Frame: TypeAlias = tuple[int, float]


@dataclass(frozen=True)
class Run:
    """Frames from byte `begin` to `end`, one behind the other: `seconds` of sound.

    `torn` says that the last of them is cut off.
    """

    begin: int
    end: int
    seconds: float
    torn: bool = False

    @property
    def bytes_per_second(self) -> float:
        return (self.end - self.begin) / self.seconds


@dataclass(frozen=True)
class FrameKind:
    """Frames begin with `sync`; `read` makes of their first `header` bytes what they are.

    It gives None for what is no frame, also where there are fewer bytes.
    """

    sync: bytes
    header: int
    read: Callable[[bytes], Frame | None]

    def runs(self, data: Bytes, at: int, begins: Sequence[int] = ()) -> Iterator[Run]:
        """What of a file is, from byte `at` on, frames; between runs lie tags and what is damaged.

        `begins` is where recordings begin, as far as is known, in order: runs end there.
        """
        for limit in (*begins, len(data)):
            while (begin := self._first(data, at, limit)) is not None:
                at, seconds = begin, 0.0
                while at < limit and (frame := self.frame(data, at)) is not None:
                    at += frame[0]
                    seconds += frame[1]
                yield Run(begin, min(at, limit), seconds, at > limit)
            at = limit

    def frame(self, data: Bytes, at: int) -> Frame | None:
        """The frame that begins at a byte."""
        return self.read(data[at : at + self.header])

    def begins(self, data: Bytes, at: int, limit: int) -> bool:
        """Whether frames begin at a byte: three in a row, since bytes may look like one by chance.

        Fewer, where they end at `limit`.
        """
        for count in range(3):
            frame = self.frame(data, at)
            if frame is None:
                return False
            at += frame[0]
            if at >= limit:
                return count > 0
        return True

    def _first(self, data: Bytes, at: int, limit: int) -> int | None:
        """Where frames begin."""
        while (at := data.find(self.sync, at, limit)) >= 0:
            if self.begins(data, at, limit):
                return at
            at += 1
        return None
