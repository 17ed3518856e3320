"""Ctrl-C and requests to end (SIGTERM, SIGHUP): heard as such, and not in the wrong moment."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, TypeAlias

Handler: TypeAlias = Callable[[int, FrameType | None], Any]


@contextmanager
def undisturbed() -> Iterator[None]:
    """A signal is heard once what is done within is whole.

    Outside the main thread nothing has to wait: Python raises KeyboardInterrupt in that one only.
    """
    received: list[tuple[int, FrameType | None]] = []
    handlers = _handlers()
    for signum in handlers:
        signal.signal(signum, lambda number, frame: received.append((number, frame)))
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
    for number, frame in received:
        handlers[number](number, frame)


@contextmanager
def undisguised() -> Iterator[None]:
    """A signal ends what is done within as a signal, whatever a library makes of it.

    A handler raises between any two instructions of Python, also of those that a library runs from
    native code, which may put an error of its own into the place of the KeyboardInterrupt:
    safetensors 0.8.0 says ValueError, "could not determine the shape of object type", when it
    comes while `get_tensor` runs. Or it is lost, as in a `__del__`.

    Raises:
        KeyboardInterrupt, SystemExit: what the handler would have raised, instead of any other
            error, or at the end.
    """
    received: list[tuple[int, FrameType | None]] = []
    handlers = _handlers()
    for number, handler in handlers.items():
        signal.signal(number, partial(_hear, received, handler))
    try:
        yield
    # A command that ends well, too, says so by SystemExit.
    except (Exception, SystemExit):
        if not received:
            raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number, frame in received:
        _plain(handlers[number])(number, frame)


def _hear(
    received: list[tuple[int, FrameType | None]],
    handler: Handler,
    number: int,
    frame: FrameType | None,
) -> None:
    received.append((number, frame))
    _plain(handler)(number, frame)


def _plain(handler: Handler) -> Handler:
    """The handler that was there before any `undisguised`: the inner one alone takes account."""
    while isinstance(handler, partial) and handler.func is _hear:
        handler = handler.args[1]
    return handler


def _handlers() -> dict[int, Handler]:
    """What is done on a signal; those that are ignored, or that end the process, are left at that.

    Empty outside the main thread, which is the only one that may set them.
    """
    if current_thread() is not main_thread():
        return {}
    return {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if callable(handler := signal.getsignal(number))
    }
