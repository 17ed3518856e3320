"""In which order texts are spoken: so many hours of them, each text before any is spoken again.

A walk goes through the spans of documents clip by clip, and can be led over the clips that were
made before, so that it goes on where they end. Making clips is others' work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from fls_models.errors import UsageError
from fls_models.training.data.clips import TextSpan


@dataclass(frozen=True)
class JournalEntry:
    """A line of the journal.

    Attributes:
        round: how often all texts had been spoken before.
        at, first, after: the span's place in its document; the clip's first line in the
            span, and the next clip's.
        audio: the recording, relative to the folder; None where no line could be said.
        lines: what is said, a sentence each.
        part: the recording of the beginning alone, and how many lines that is.
        held: whether the document is held out.
    """

    round: int
    source: str
    at: int
    first: int
    after: int
    skipped: int
    held: bool
    audio: str | None = None
    seconds: float = 0.0
    lines: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    distortions: Mapping[str, Any] | None = None
    part: tuple[str, int] | None = None

    @property
    def text(self) -> str:
        return " ".join(self.lines)


@dataclass(frozen=True)
class Order:
    """How much is made of what.

    Attributes:
        train, dev: spans of documents to train on and of those held out; either may be empty.
        share: of the seconds, how many are to be of what is held out.
        hours: stop when that much was made; None: when every text was spoken once.
    """

    train: Sequence[TextSpan]
    dev: Sequence[TextSpan]
    share: float
    hours: float | None
    seed: int


class Walk:
    """Goes through the spans, in another order in each round, clip by clip."""

    def __init__(self, text_spans: Sequence[TextSpan], order: Order) -> None:
        self.round = 0
        self.first = 0
        self._text_spans = text_spans
        self._order = order
        self._turn = 0
        self._shuffled = self._shuffle()

    @property
    def is_over(self) -> bool:
        return not self._text_spans or (self._order.hours is None and self.round > 0)

    @property
    def text_span(self) -> TextSpan:
        return self._shuffled[self._turn]

    def advance(self, entry: JournalEntry) -> None:
        """A clip was made from here, now or before."""
        here = (self.round, self.text_span.source, self.text_span.at, self.first)
        if (entry.round, entry.source, entry.at, entry.first) != here or entry.after <= self.first:
            raise UsageError(
                "The clips that are there do not fit these texts; --fresh makes all clips anew."
            )
        self.first = entry.after
        if self.first >= len(self.text_span.lines):
            self._turn, self.first = self._turn + 1, 0
        if self._turn == len(self._shuffled):
            self.round, self._turn = self.round + 1, 0
            self._shuffled = self._shuffle()

    def _shuffle(self) -> list[TextSpan]:
        shuffled = list(self._text_spans)
        Random(f"{self._order.seed} {self.round}").shuffle(shuffled)
        return shuffled
