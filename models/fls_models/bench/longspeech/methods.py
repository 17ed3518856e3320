"""What is compared: ways to give a recording to a language model, each by its name.

A method replaces one step, how encoded frames become those that are read, and nothing else; the
cascade alone hears otherwise. How much is read is a `Length`: frames for 30 s of audio.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from fls_models.bench.longspeech.baselines import BASELINES, Compression
from fls_models.core.budget import NAMES, PAPER, Budget, FrameRates, Task
from fls_models.core.constants import WINDOW_SECONDS
from fls_models.errors import UsageError
from fls_models.extractor.fusion import Schedule, at_once, paper_schedule


def _no_rounds(frames: int, target: int) -> tuple[int, ...]:
    return ()


@dataclass(frozen=True)
class Length:
    """How many frames are read for 30 s of audio: `asked` for questions, `written` for transcripts.

    `least` is the fewest, however short the recording. `budget` is the one that it is of, if any.
    """

    label: str
    asked: float
    written: float
    least: int = 1
    budget: str | None = None

    def frames(self, seconds: float, task: Task) -> int:
        """L for a recording of so many seconds."""
        return max(self.least, round(self.rate(task) * seconds / WINDOW_SECONDS))

    def rate(self, task: Task) -> float:
        return self.asked if task == "ask" else self.written


@dataclass(frozen=True)
class Method:
    """One row of a table.

    Attributes:
        reads: `fused` frames, as many as a length says; all `frames`; or `text`, a transcript.
        description: in a few words, for whoever reads the table.
        compress: makes L frames out of T; None where all are read, or none.
        weighs: whether content density takes part, and so the CTC head.
        rounds: how often frames are compared with their neighbours: for counting operations.
        stretches: whether the language model's window is stretched to hold what is read.
    """

    name: str
    reads: Literal["fused", "frames", "text"]
    description: str
    compress: Compression | None = None
    weighs: bool = False
    rounds: Schedule = _no_rounds
    stretches: bool = False

    def lengths(self, there: Sequence[Length]) -> list[Length | None]:
        """Those that it is measured at: transcripts are heard and read at budgets alone. Where
        there are none, or all frames are read, one without a name."""
        if self.reads == "fused":
            return list(there)
        at_budgets = [length for length in there if length.budget is not None]
        return [*at_budgets] if self.reads == "text" and at_budgets else [None]


def _fused(
    name: str, description: str, rounds: Schedule = _no_rounds, *, weighs: bool = False
) -> Method:
    return Method(name, "fused", description, BASELINES[name], weighs, rounds)


METHODS = MappingProxyType(
    {
        method.name: method
        for method in (
            _fused("fusion", "rounds of density-weighted means", paper_schedule, weighs=True),
            _fused("random", "frames kept at random"),
            _fused("avgpool", "means of equal segments"),
            _fused("mostsim", "one round of plain means", at_once),
            _fused("single-pass", "fusion without iteration", at_once, weighs=True),
            _fused("no-density", "fusion with plain means", paper_schedule),
            Method("uncompressed", "frames", "all frames, as far as the window goes"),
            Method("ntk-rope", "frames", "all frames, window stretched", stretches=True),
            Method("cascade", "text", "Whisper's transcript, read by the same language model"),
        )
    }
)

ABLATION = ("fusion", "single-pass", "no-density")
"""The method and what is left without one of its parts (arXiv 2507.14815, Table 2).

What dynamic compression training adds is seen by measuring the model that had none of it."""


def methods_named(names: Sequence[str]) -> list[Method]:
    """Each once, in their order; UsageError lists those there are."""
    wrong = [name for name in names if name not in METHODS]
    if wrong or not names:
        raise UsageError(
            f"There is no method {', '.join(wrong) or 'without a name'}; there are: "
            f"{', '.join(METHODS)}."
        )
    return [METHODS[name] for name in dict.fromkeys(names)]


def check_lengths(numbers: Sequence[str], budgets: Sequence[str]) -> None:
    """Raises UsageError for what is no number from 1 up, and for an unknown budget."""
    for text in numbers:
        if not text.isdecimal() or int(text) < 1:
            raise UsageError(f"A length is a number of frames from 1 up, not {text!r}.")
    for name in budgets:
        if name not in NAMES:
            raise UsageError(f"There is no budget {name!r}; there are: {', '.join(NAMES)}.")


def lengths_of(
    numbers: Sequence[str], budgets: Sequence[str], rates: FrameRates = PAPER
) -> list[Length]:
    """Lengths given as numbers, then those of budgets as a model with `rates` reads them.

    Raises what `check_lengths` does.
    """
    check_lengths(numbers, budgets)
    lengths = [Length(text, int(text), int(text)) for text in dict.fromkeys(numbers)]
    for name in dict.fromkeys(budgets):
        budget = Budget(name, rates=rates)
        lengths.append(
            Length(
                name,
                budget.frames(WINDOW_SECONDS, "ask"),
                budget.frames(WINDOW_SECONDS, "transcribe"),
                budget.frames(0.0),
                name,
            )
        )
    return lengths
