"""Summaries of what was really said, scored by rule and checked by another language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fls_models.answering.generation import GenerationConfig
from fls_models.answering.model import Model
from fls_models.answering.summaries.summarize import summarise
from fls_models.bench.caches.results import ResultCache
from fls_models.bench.counting import counted
from fls_models.bench.summary.items import SummaryItem
from fls_models.bench.summary.scores import Recording, SentenceScores, SummaryScores
from fls_models.core.budget import Budget
from fls_models.core.progress import Progress, ignore
from fls_models.lslm.base import LanguageModel
from fls_models.lslm.prompts import Prompt

FORM = "summary-6"
"""Changes when the same model would summarise the same text otherwise."""

OPENING = "first sentences"
_CHECK = Prompt(
    system="You check statements against what was said. You are strict.",
    opening="What was said:\n",
)
# Sentences of the recording that a statement is checked against, and what makes sure.
_AROUND = 16
_SURE = 1.0


@dataclass(frozen=True)
class SummaryRow:
    """One summary and its scores; `confirmed` is by sentence what another model says of it."""

    item: SummaryItem
    text: str
    seconds: float
    scores: SummaryScores
    confirmed: tuple[bool, ...] = ()


@dataclass(frozen=True)
class SummaryTotals:
    """All summaries by one method together. Shares are 0 to 1, None where nothing was counted."""

    method: str
    rows: tuple[SummaryRow, ...]

    @property
    def _sentences(self) -> list[SentenceScores]:
        return [sentence for row in self.rows for sentence in row.scores.sentences]

    def share(self, what: str) -> float | None:
        """Of sentences, those that are so: `is_borne_out`, `is_copied`, `is_repeated`."""
        return _mean([float(getattr(sentence, what)) for sentence in self._sentences])

    @property
    def confirmed(self) -> float | None:
        return _mean([float(sure) for row in self.rows for sure in row.confirmed])

    @property
    def wrong(self) -> float | None:
        """Wrong names and numbers of a hundred."""
        exact = sum(sentence.exact for sentence in self._sentences)
        wrong = sum(len(sentence.wrong) for sentence in self._sentences)
        return 100 * wrong / exact if exact else None

    @property
    def facts(self) -> float | None:
        return _mean([row.scores.facts for row in self.rows])

    @property
    def rouge(self) -> float | None:
        return _mean([row.scores.rouge for row in self.rows])

    @property
    def topics(self) -> tuple[int, int]:
        """Topics that are counted, and how many there are."""
        counted = sum(len(row.scores.topics) for row in self.rows)
        return counted, sum(len(row.item.topics) for row in self.rows)

    @property
    def words(self) -> float | None:
        return _mean([float(len(row.text.split())) for row in self.rows])

    @property
    def seconds(self) -> float | None:
        return _mean([row.seconds for row in self.rows])

    def as_json(self) -> dict[str, Any]:
        counted, there = self.topics
        return {
            "method": self.method,
            "sentences": len(self._sentences),
            "borne_out": self.share("is_borne_out"),
            "confirmed": self.confirmed,
            "wrong_names_per_100": self.wrong,
            "facts": self.facts,
            "rouge_l": self.rouge,
            "copied": self.share("is_copied"),
            "repeated": self.share("is_repeated"),
            "topics": {"counted": counted, "of": there},
            "words": self.words,
            "seconds": self.seconds,
            "summaries": [_row_json(row) for row in self.rows],
        }


class SummaryBench:
    """Some items, and what is measured on them."""

    def __init__(
        self, items: Sequence[SummaryItem], cache: ResultCache, progress: Progress = ignore
    ) -> None:
        self._items = tuple(items)
        self._recordings = [Recording(item) for item in items]
        self._cache = cache
        self._progress = progress

    def by_model(
        self, model: Model, budget: Budget, generation: GenerationConfig, judge: Judge | None
    ) -> SummaryTotals:
        """Summaries as `fls summarize` writes them, of the true transcripts."""
        rows: list[SummaryRow] = []
        pairs = list(zip(self._items, self._recordings, strict=True))
        for item, recording in counted(pairs, "summarised", self._progress):

            def make(item: SummaryItem = item) -> dict[str, Any]:
                summary = summarise(
                    model,
                    item.name,
                    item.transcript,
                    heard_in={},
                    style="brief",
                    budget=budget,
                    generation=generation,
                )
                seconds = sum(summary.usage.seconds.values())
                return {"text": summary.brief, "seconds": seconds}

            key = {
                "form": FORM,
                "model": model.card.name,
                "budget": budget.label,
                "generation": vars(generation),
                "text": item.transcript.text,
            }
            made = self._cache.get(key, make)
            scores = recording.score(made["text"])
            rows.append(SummaryRow(item, made["text"], made["seconds"], scores))
        return SummaryTotals(model.card.name, self._checked(rows, judge))

    def openings(self, totals: SummaryTotals) -> SummaryTotals:
        """The first sentences of each recording, of as many words as a method's summary has."""
        rows = []
        for row, recording in zip(totals.rows, self._recordings, strict=True):
            text = recording.opening(len(row.text.split()))
            rows.append(SummaryRow(row.item, text, 0.0, recording.score(text)))
        return SummaryTotals(OPENING, tuple(rows))

    def _checked(self, rows: list[SummaryRow], judge: Judge | None) -> tuple[SummaryRow, ...]:
        if judge is None:
            return tuple(rows)
        checked = []
        others = [*self._recordings[1:], self._recordings[0]]
        pairs = list(zip(rows, self._recordings, others, strict=True))
        for row, recording, other in counted(pairs, "checked", self._progress):
            confirmed = []
            for sentence in row.scores.sentences:
                said = recording.around(sentence.place, _AROUND)
                foreign = other.around(0, _AROUND)
                confirmed.append(judge.confirms(said, foreign, sentence.text, self._cache))
            checked.append(replace(row, confirmed=tuple(confirmed)))
        return tuple(checked)


class Judge:
    """Another language model, asked of each sentence whether it agrees with what was said.

    Some say yes to everything and some no: so what counts is by how much likelier the place bears a
    statement out than one that has nothing to do with it.
    """

    def __init__(self, llm: LanguageModel, name: str) -> None:
        self._llm = llm
        self.name = name

    def confirms(self, said: str, foreign: str, statement: str, cache: ResultCache) -> bool:
        """Whether what was said bears a statement out; `foreign` was said elsewhere."""

        def make() -> dict[str, Any]:
            return {"nats": self._margin(said, statement) - self._margin(foreign, statement)}

        key = {"form": FORM, "judge": self.name}
        shown = {"said": said, "foreign": foreign, "statement": statement}
        return bool(cache.get(key | shown, make)["nats"] >= _SURE)

    def _margin(self, said: str, statement: str) -> float:
        """By how much Yes is likelier than No, in nats."""
        context = self._llm.read(_CHECK, self._llm.embed(self._llm.tokenize(said)))
        request = (
            f"\n\nStatement: {statement}\nIs all of the statement true, by what was said? "
            "Reply with Yes or No."
        )
        yes, no = self._llm.scores(context, request, ("Yes", "No"))
        return float(yes[0] - no[0])


def _row_json(row: SummaryRow) -> dict[str, Any]:
    return {
        "id": row.item.name,
        "summary": row.text,
        "seconds": round(row.seconds, 2),
        "facts": row.scores.facts,
        "rouge_l": row.scores.rouge,
        "topics": list(row.scores.topics),
        "sentences": [
            {
                "text": sentence.text,
                "borne_out": sentence.is_borne_out,
                "confirmed": row.confirmed[place] if row.confirmed else None,
                "copied": sentence.is_copied,
                "repeated": sentence.is_repeated,
                "wrong": list(sentence.wrong),
            }
            for place, sentence in enumerate(row.scores.sentences)
        ],
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
