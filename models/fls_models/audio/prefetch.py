"""Drawing from an iterable in a second thread, a few items ahead of whoever takes them.

So that decoding and features are made while the encoder works. It does not know what the items
are. Sources are closed by whoever draws from them: a child process may hang on a generator, and a
generator that runs in another thread cannot be closed from outside.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Any, TypeVar

T = TypeVar("T")

_END: Any = object()


def ahead(iterable: Iterable[T], waiting: int) -> Generator[T, None, None]:
    """The items of `iterable`, in order, drawn by a thread that begins with the first one taken.

    An error of the iterable comes out after the items before it. Closing the generator (or its
    end, or an error) closes the iterable, if that is a generator, and waits until the thread has
    ended: as long as the iterable takes for the item that it is at.

    Args:
        iterable: runs in the thread, where torch records gradients unless told otherwise.
        waiting: how many items, at least 1, are drawn and not yet taken at any time.

    Raises:
        ValueError: `waiting` is below 1.
    """
    if waiting < 1:
        raise ValueError(f"at least one item is drawn ahead, not {waiting}")
    # An item in a tuple, so that it cannot be mistaken for an error or for the end, None.
    drawn: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
    room, stopped = Semaphore(waiting), Event()

    def draw() -> None:
        try:
            with closing_source(iterable):
                stream = iter(iterable)
                while room.acquire() and not stopped.is_set():
                    item = next(stream, _END)
                    if item is _END:
                        break
                    drawn.put((item,))
                    # Else the last item lives as long as it takes to draw the next.
                    del item
        except BaseException as error:  # raised again where the items are taken
            drawn.put(error)
        else:
            drawn.put(None)

    thread = Thread(target=draw, name="ahead", daemon=True)
    thread.start()
    try:
        while (entry := drawn.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            room.release()
            yield entry[0]
    finally:
        stopped.set()
        room.release()
        thread.join()


@contextmanager
def closing_source(source: Iterable[object]) -> Iterator[None]:
    """Closes `source` at the end if it is a generator; other iterables need no closing."""
    try:
        yield
    finally:
        if isinstance(source, Generator):
            source.close()
