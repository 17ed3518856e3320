"""How work tells whoever asked for it how far it is, and the callback of who did not ask."""

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Called with a stage's name, what is done of it and its total (None where unknown).

    The unit is the stage's own: bytes for downloads, seconds of audio for reading, tokens for
    answering. A stage ends when `done == total`.
    """

    def __call__(self, stage: str, done: float, total: float | None) -> None: ...


def within(progress: Progress, stage: str, before: float, total: float) -> Callable[[float], None]:
    """What reports a part of a stage, of which so much was done before; never above the total."""
    return lambda done: progress(stage, min(before + done, total), total)


def ignore(*values: object, **named: object) -> None:
    """The callback of who does not want to be called: progress that nobody sees, and the like."""
