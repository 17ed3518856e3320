"""Budgets: how much of a recording the language model gets to read.

A budget is a rate, since quality follows frames per second and not their total (arXiv 2507.14815,
Tables 5 and 11): frames per 30 s window for a model that reads frames, tokens per window for one
that reads a transcript, which has some 100 tokens a window to begin with. Users name a budget; how
many frames it is says the card of the model that reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil
from typing import Literal

from fls_models.core.constants import WINDOW_FRAMES, WINDOW_SECONDS
from fls_models.errors import UsageError

Task = Literal["ask", "transcribe"]
NAMES = ("fast", "balanced", "accurate")
MIN_FRAMES = 12

NOT_MEASURED = "from the paper, not measured"

_TOKENS: dict[str, int | None] = {"fast": 50, "balanced": 100, "accurate": None}


@dataclass(frozen=True, kw_only=True)
class FrameRates:
    """Frames that a model reads of a window of 30 s, by the budget's name.

    Attributes:
        ask: for questions and summaries.
        transcribe: for transcripts.
        source: where these numbers are from, for people.

    Raises:
        ValueError: a budget is missing or unknown, a number is not one from 1 to 750, a larger
            budget has fewer frames than a smaller one, or nothing is said of the source.
    """

    # Cards are hashable, and dictionaries are not.
    ask: Mapping[str, int] = field(hash=False)
    transcribe: Mapping[str, int] = field(hash=False)
    source: str

    def __post_init__(self) -> None:
        for task, rates in (("ask", self.ask), ("transcribe", self.transcribe)):
            if set(rates) != set(NAMES):
                raise ValueError(f"{task}: one number each for {', '.join(NAMES)}, not {rates}")
            frames = [rates[name] for name in NAMES]
            if any(type(n) is not int or not 1 <= n <= WINDOW_FRAMES for n in frames):
                raise ValueError(f"{task}: frames from 1 to {WINDOW_FRAMES}, not {frames}")
            if any(larger < smaller for smaller, larger in pairwise(frames)):
                raise ValueError(f"{task}: a larger budget reads no fewer frames, not {frames}")
        if not isinstance(self.source, str) or not self.source.strip():
            raise ValueError(f"source says where the numbers are from, or {NOT_MEASURED!r}")

    def of(self, task: Task) -> Mapping[str, int]:
        """Frames by the budget's name."""
        return self.ask if task == "ask" else self.transcribe


PAPER = FrameRates(
    ask={"fast": 100, "balanced": 200, "accurate": 400},
    transcribe={"fast": 200, "balanced": 400, "accurate": 750},
    source=NOT_MEASURED,
)
"""Of arXiv 2507.14815."""


@dataclass(frozen=True)
class Budget:
    """A budget by name, or the paper's L given directly (`--target-length`).

    `rates` are those of the model that reads frames.
    """

    name: str = "balanced"
    target_length: int | None = None
    rates: FrameRates = PAPER

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

    def by(self, rates: FrameRates) -> Budget:
        """The same budget as a model with those rates reads it."""
        return replace(self, rates=rates)

    def key(self, task: Task = "ask") -> str:
        """What tells the frames it pays for from others, for what is kept of them.

        The label alone where they are the paper's.
        """
        frames = self.rates.of(task)[self.name]
        if self.target_length is not None or frames == PAPER.of(task)[self.name]:
            return self.label
        return f"{self.label}={frames}"

    def frames(self, seconds: float, task: Task = "ask") -> int:
        """Fused frames to read of a recording: L = rate x seconds / 30, at least 12."""
        if self.target_length is not None:
            return self.target_length
        return max(MIN_FRAMES, round(self.rates.of(task)[self.name] * seconds / WINDOW_SECONDS))

    def rate(self, task: Task = "ask") -> float | None:
        """Fused frames for a second of audio; None where a length is given for all of it."""
        if self.target_length is not None:
            return None
        return self.rates.of(task)[self.name] / WINDOW_SECONDS

    def tokens(self, seconds: float) -> int | None:
        """Transcript tokens to read of a recording; None for all of them."""
        if self.target_length is not None:
            return self.target_length
        rate = _TOKENS[self.name]
        return None if rate is None else max(MIN_FRAMES, round(rate * seconds / WINDOW_SECONDS))


def sections(length: int, max_length: int) -> int:
    """Passes it takes to read `length` embeddings when one pass holds `max_length`."""
    return max(1, ceil(length / max_length))
