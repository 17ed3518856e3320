"""Decoding the next recordings while the model works on this one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

from fls_cli.media.flaws import Flaw
from fls_models.audio.prefetch import ReadAhead

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Block: TypeAlias = NDArray[np.float32]
    Blocks: TypeAlias = Generator[Block, None, None]

# Seconds of audio that wait to be heard, a block of 64 kB each, and the one that is decoded.
_WAITING = 600 + 1


class Ahead(ReadAhead["Block | Flaw"]):
    """Blocks of a recording, decoded by a thread from now on, at most ten minutes ahead.

    `decode`, a generator, is given what to call with a warning. Warnings and errors come out where
    the blocks are taken, after the blocks before them. Closing ends a child process, too.
    """

    def __init__(self, decode: Callable[[Callable[[Flaw], None]], Blocks]) -> None:
        super().__init__(decode(self.put), _WAITING)

    def blocks(self, warn: Callable[[Flaw], None]) -> Blocks:
        """The blocks, once; closing the generator ends the decoding."""
        with closing(self.items()) as items:
            for item in items:
                if isinstance(item, Flaw):
                    warn(item)
                else:
                    yield item

    def _interrupt(self, thread: int) -> None:
        from fls_cli.media.ffmpeg.process import end_child_of
        from fls_cli.sources.remote import end_wait_of

        # It may wait for a host that is silent, by itself or in a child, or the one after it.
        end_child_of(thread)
        end_wait_of(thread)
