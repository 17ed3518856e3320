"""Budgets: how much of a recording the language model gets to read.

A budget is a rate, since quality follows frames per second and not their total (arXiv 2507.14815,
Tables 5 and 11): frames per 30 s window for a model that reads frames, tokens per window for one
that reads a transcript, which has some 100 tokens a window to begin with.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from fls_models.errors import UsageError
from fls_models.sampling import WINDOW_SECONDS

Task = Literal["ask", "transcribe"]
NAMES = ("fast", "balanced", "accurate")
LEAST = 12

_FRAMES = {
    "ask": {"fast": 100, "balanced": 200, "accurate": 400},
    "transcribe": {"fast": 200, "balanced": 400, "accurate": 750},
}
_TOKENS: dict[str, int | None] = {"fast": 50, "balanced": 100, "accurate": None}


@dataclass(frozen=True)
class Budget:
    """A budget by name, or the paper's L given directly (`--target-length`)."""

    name: str = "balanced"
    target_length: int | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise UsageError(f"There is no budget {self.name!r}; there are: {', '.join(NAMES)}.")
        if self.target_length is not None and self.target_length < 1:
            raise UsageError("--target-length takes a number of frames from 1 up.")

    @classmethod
    def labelled(cls, label: str) -> Budget:
        """The budget with that label."""
        if label.startswith("L="):
            return cls(target_length=int(label.removeprefix("L=")))
        return cls(label)

    @property
    def label(self) -> str:
        """What usage reports."""
        return self.name if self.target_length is None else f"L={self.target_length}"

    def frames(self, seconds: float, task: Task = "ask") -> int:
        """Fused frames to read of a recording: L = rate x seconds / 30, at least 12."""
        if self.target_length is not None:
            return self.target_length
        return max(LEAST, round(_FRAMES[task][self.name] * seconds / WINDOW_SECONDS))

    def rate(self, task: Task = "ask") -> float | None:
        """Fused frames for a second of audio; None where a length is given for all of it."""
        if self.target_length is not None:
            return None
        return _FRAMES[task][self.name] / WINDOW_SECONDS

    def tokens(self, seconds: float) -> int | None:
        """Transcript tokens to read of a recording; None for all of them."""
        if self.target_length is not None:
            return self.target_length
        rate = _TOKENS[self.name]
        return None if rate is None else max(LEAST, round(rate * seconds / WINDOW_SECONDS))


def sections(length: int, most: int) -> int:
    """Passes it takes to read `length` embeddings when one pass holds `most`."""
    return max(1, ceil(length / most))
