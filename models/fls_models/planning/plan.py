"""What a question about a recording takes, before anything of the recording is heard.

Windows, passes and how much they read follow from the recording's length and the budget. Seconds
follow from those and from how fast a machine is (`Pace`), which `profiling` finds out.
Numbers only: no weights, no audio, no cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import ceil
from typing import Any, Literal

from fls_models.core.budget import Budget, sections
from fls_models.core.constants import FRAME_RATE, WINDOW_SECONDS
from fls_models.extractor.sections import SectionPlanner
from fls_models.weights.card import Card, frames_of

ReadsBy = Literal["text", "frames"]

TOKENS_SAID = 100
"""Tokens of the language model in 30 s of speech, about."""

ENOUGH_SECONDS = 40.0
"""What is measured on less audio is better measured again on something longer."""


@dataclass(frozen=True)
class Pass:
    """What the language model reads at once.

    Attributes:
        frames: of 40 ms, of the recording.
        length: embeddings that they become: fused frames, or tokens.
    """

    frames: int
    length: int


@dataclass(frozen=True)
class Planned:
    """What is read of a recording of so many seconds at a budget.

    Of fused frames the number is exact in one pass; where a section ends is heard first, and each
    further pass may round to one frame more or less. Of tokens it is an estimate.
    """

    budget: str
    reads_by: ReadsBy
    audio_seconds: float
    passes: tuple[Pass, ...]

    @property
    def windows(self) -> int:
        """Windows of 30 s, the last one padded."""
        return max(1, ceil(self.audio_seconds / WINDOW_SECONDS))

    @property
    def length(self) -> int:
        """Embeddings read in all passes."""
        return sum(pass_.length for pass_ in self.passes)


def planned(card: Card, reads_by: ReadsBy, budget: str, seconds: float) -> Planned:
    """What a model reads of `seconds` of audio for a question.

    Raises UsageError where there is no such budget, or the model reads no frames.
    """
    if reads_by == "text":
        passes = _of_text(Budget(budget), seconds, card.max_frames)
    else:
        frames = frames_of(card)
        passes = _of_frames(Budget(budget, rates=frames.budgets), seconds, frames.max_frames)
    return Planned(budget, reads_by, seconds, tuple(passes))


def _of_text(budget: Budget, seconds: float, max_length: int) -> list[Pass]:
    """Equal passes over about as much as is said; where sentences end is not known."""
    transcript_tokens = max(1, round(TOKENS_SAID * seconds / WINDOW_SECONDS))
    max_tokens = budget.tokens(seconds)
    tokens = transcript_tokens if max_tokens is None else min(transcript_tokens, max_tokens)
    count, frames = sections(tokens, max_length), max(1, round(seconds * FRAME_RATE))
    edges = [i / count for i in range(count + 1)]
    return [
        Pass(
            round(frames * last) - round(frames * first),
            round(tokens * last) - round(tokens * first),
        )
        for first, last in pairwise(edges)
    ]


def _of_frames(budget: Budget, seconds: float, max_length: int) -> list[Pass]:
    """The sections of `extract`, each ending as late as it may."""
    count = max(1, round(seconds * FRAME_RATE))
    division = SectionPlanner(budget, "ask", max_length, count / FRAME_RATE)
    passes: list[Pass] = []
    begin = 0
    while begin < count:
        places = division.end(count - begin)
        end = begin + places[-1] if places else count
        # The last frame ends where the recording does.
        until = end / FRAME_RATE if end < count else max(seconds, begin / FRAME_RATE)
        passes.append(Pass(end - begin, division.close(end - begin, until - begin / FRAME_RATE)))
        begin = end
    return passes


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a model is on a machine, in seconds of wall clock.

    Attributes:
        start: for a process to begin, import what it needs, and end.
        load: for the weights, once a process.
        begin: for what is found out once a recording, the language above all.
        hear: for a second of audio, by the budget's name.
        speakers: for a second of audio, to find out who speaks; 0 where it cannot be found out.
        read: for an embedding that the language model reads.
        first: for judging and answering the first question of a process, once one pass is read.
        following: the same for a further recording of the same process.
        check: for judging by a further pass that was read.
        answer: for writing one answer.
        note: tokens of an answer, as which it is read again where there are several passes.
        audio_seconds: what was measured on.
    """

    start: float
    load: float
    begin: float
    hear: Mapping[str, float]
    speakers: float
    read: float
    first: float
    following: float
    check: float
    answer: float
    note: int
    audio_seconds: float

    @property
    def process(self) -> float:
        """Seconds that a process takes whatever it is asked."""
        return self.start + self.load + max(0.0, self.first - self.following)

    def recording(self, planned: Planned) -> float:
        """Seconds from a loaded model to the answer to one question about a recording.

        As many passes are thought to speak of the question as there are, which is so of a question
        about the recording as a whole. One about a single fact is answered sooner.
        """
        count = len(planned.passes)
        seconds = self.begin + self.hear[planned.budget] * planned.audio_seconds
        seconds += self.read * planned.length + self.following
        if count > 1:
            # A note from each pass, and the answer from all notes.
            seconds += (count - 1) * self.check + count * self.answer
            seconds += self.read * self.note * count
        return seconds

    def expected(self, planned: Sequence[Planned], *, speakers: bool = False) -> float:
        """Seconds of one `fls ask` about these recordings, each for the first time."""
        seconds = self.process + sum(map(self.recording, planned))
        if speakers:
            seconds += self.speakers * sum(each.audio_seconds for each in planned)
        return seconds

    def as_json(self) -> dict[str, Any]:
        """Everything, as `from_json` takes it."""
        return {**asdict(self), "hear": dict(self.hear)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Pace:
        return cls(**raw)
