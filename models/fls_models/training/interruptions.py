"""Work that is done whole or not at all, although the user presses Ctrl-C in the middle of it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Any


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and the request to end (SIGTERM) are heard once what is done within is whole.

    Outside the main thread nothing has to wait: Python raises KeyboardInterrupt in that one only.
    """
    if current_thread() is not main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    # Signals that are ignored, or that end the process at once, are left at that.
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }
    for waiting in handlers:
        signal.signal(waiting, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        for waiting, handler in handlers.items():
            signal.signal(waiting, handler)
    for number, frame in came:
        handlers[number](number, frame)
