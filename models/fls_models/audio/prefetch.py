"""Drawing from an iterable in a second thread, a few items ahead of whoever takes them.

So that decoding and features are made while the encoder works. It does not know what the items
are. Sources are closed by whoever draws from them: a child process may hang on a generator, and a
generator that runs in another thread cannot be closed from outside.
"""

import atexit
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from time import monotonic
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")

_END: Any = object()
_TICK = 0.1
# Seconds in which a thread ends when the program does.
_PATIENCE = 5.0


class ReadAhead(Generic[T]):
    """The items of `iterable`, drawn by a thread from now on.

    At most `waiting`, 1 or more, are drawn and not yet taken; ValueError for less. The thread has
    torch record gradients unless told otherwise.
    """

    def __init__(self, iterable: Iterable[T], waiting: int) -> None:
        if waiting < 1:
            raise ValueError(f"at least one item is drawn ahead, not {waiting}")
        # An item in a tuple, so that it cannot be mistaken for an error or for the end, None.
        self._drawn: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
        self._room, self._stopped = Semaphore(waiting), Event()
        self._thread = Thread(target=self._draw, args=(iterable,), name="ahead", daemon=True)
        self._thread.start()
        _running.add(self)

    def items(self) -> Generator[T, None, None]:
        """The items, in order and once, an error after those before it; then this is closed."""
        try:
            while not self._stopped.is_set() and (item := self._drawn.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                self._room.release()
                yield item[0]
        finally:
            self.close()

    def put(self, item: T) -> None:
        """Called by the iterable: an item before the one that it is at. `waiting` is above 1."""
        self._room.acquire()
        self._drawn.put((item,))

    def widen(self, more: int) -> None:
        """From now on so many more may wait."""
        for _ in range(more):
            self._room.release()

    def close(self) -> None:
        """Closes the iterable, if that is a generator, and waits until the thread has ended.

        That is as long as the iterable takes for the item that it is at.
        """
        self._stopped.set()
        while self._thread.is_alive():
            self._end()

    def _end(self) -> None:
        self._room.release()
        self._interrupt(self._thread.ident or 0)
        self._thread.join(_TICK)

    def _interrupt(self, thread: int) -> None:
        """Ends what a thread waits for; called until it has ended."""

    def _draw(self, iterable: Iterable[T]) -> None:
        try:
            with closing_source(iterable):
                stream = iter(iterable)
                while self._room.acquire() and not self._stopped.is_set():
                    item = next(stream, _END)
                    if item is _END:
                        break
                    self._drawn.put((item,))
                    # Else the last item lives as long as it takes to draw the next.
                    del item
        except BaseException as error:  # raised again where the items are taken
            self._drawn.put(error)
        else:
            self._drawn.put(None)


_running: WeakSet[ReadAhead[Any]] = WeakSet()


@atexit.register
def _end_all() -> None:
    """Nobody may have closed them: whoever drew may still hang on an error.

    Python takes a thread that computes in C++ down with the whole program ("terminate called
    without an active exception"), and its exit code is lost.
    """
    running, until = list(_running), monotonic() + _PATIENCE
    for each in running:
        each._stopped.set()
    for each in running:
        while each._thread.is_alive() and monotonic() < until:
            each._end()


def ahead(iterable: Iterable[T], waiting: int) -> Generator[T, None, None]:
    """`ReadAhead.items` of a thread that begins with the first one taken."""
    yield from ReadAhead(iterable, waiting).items()


@contextmanager
def closing_source(source: Iterable[object]) -> Iterator[None]:
    """Closes `source` at the end if it is a generator; other iterables need no closing."""
    try:
        yield
    finally:
        if isinstance(source, Generator):
            source.close()
