"""How work tells whoever asked for it how far it is, and the callback of who did not ask."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with a stage's name, what is done of it and its total (None where unknown).

    The unit is the stage's own: bytes for downloads, seconds of audio for reading, tokens for
    answering. A stage ends when `done == total`.
    """

    def __call__(self, stage: str, done: float, total: float | None) -> None: ...


def ignore(*values: object, **named: object) -> None:
    """The callback of who does not want to be called: progress that nobody sees, and the like."""
