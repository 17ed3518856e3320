"""Decoding the next recordings while the model works on this one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, TypeAlias

from fls_cli.media.flaws import Flaw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Blocks: TypeAlias = Generator[NDArray[np.float32], None, None]

# Seconds of audio that wait to be heard, a block of 64 kB each.
_WAITING = 600
_TICK = 0.1


class Ahead:
    """Blocks of a recording, decoded by a thread from now on, at most ten minutes ahead.

    `decode` is given what to call with a warning. Warnings and errors come out where the blocks
    are taken, after the blocks before them.
    """

    def __init__(self, decode: Callable[[Callable[[Flaw], None]], Blocks]) -> None:
        self._decode = decode
        self._waiting: queue.Queue[object] = queue.Queue(_WAITING)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def blocks(self, warn: Callable[[Flaw], None]) -> Blocks:
        """The blocks, once; closing the generator ends the decoding."""
        try:
            while not self._stopped.is_set():
                found = self._waiting.get()
                if found is None:
                    return
                if isinstance(found, BaseException):
                    raise found
                if isinstance(found, Flaw):
                    warn(found)
                    continue
                yield found  # type: ignore[misc]
        finally:
            self.close()

    def close(self) -> None:
        """Ends the decoding, its child process included, and waits until it has ended."""
        from fls_cli.media.ffmpeg.process import end_child_of
        from fls_cli.sources.remote import end_wait_of

        self._stopped.set()
        while self._thread.is_alive():
            # It may wait for a host that is silent, by itself or in a child, or the one after it.
            if self._thread.ident is not None:
                end_child_of(self._thread.ident)
                end_wait_of(self._thread.ident)
            self._thread.join(_TICK)

    def _run(self) -> None:
        try:
            with closing(self._decode(self._put)) as blocks:
                for block in blocks:
                    self._put(block)
                    if self._stopped.is_set():
                        return
            self._put(None)
        except Exception as error:  # raised again where the blocks are taken
            self._put(error)

    def _put(self, thing: object) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._waiting.put(thing, timeout=_TICK)
                return
