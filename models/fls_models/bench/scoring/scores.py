"""How good what was measured is: choices, facts, words, and what a judge says.

Every score is a number an item, so that items can be drawn anew and methods compared item by item.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fls_models.bench.asr import compare
from fls_models.bench.longspeech.items import SpokenItem
from fls_models.bench.longspeech.measurement import Row
from fls_models.bench.scoring.estimates import Estimate, mean, rate
from fls_models.bench.scoring.facts import holds_fact

Judged = Mapping[tuple[str, str | None, str], float]
"""1 to 5 by question (with its reference), and answer."""

METRICS = ("judge", "choices", "facts", "wer")
"""In the order in which one stands for all: the paper's own first. Less is better of `wer`."""


@dataclass(frozen=True)
class ItemScores:
    """What is known of one row; None is not known.

    Attributes:
        judge: 1 to 5.
        choices: 1.0 where no other choice is as likely as the correct one, else 0.0.
        facts: share of the facts that the reply holds.
        errors, words: of a transcript, against the reference.
    """

    judge: float | None = None
    choices: float | None = None
    facts: float | None = None
    errors: int | None = None
    words: int | None = None

    @property
    def wer(self) -> float | None:
        if self.errors is None or not self.words:
            return None
        return self.errors / self.words


def scored(row: Row, judged: Judged) -> ItemScores:
    """The scores of a row; none of what does not fit the language model's window."""
    item, measurement = row.item, row.measurement
    if not measurement.fits:
        return ItemScores()
    if item.task == "asr":
        if measurement.text is None or item.transcript is None:
            return ItemScores()
        compared = compare(item.name, item.transcript, measurement.text)
        return ItemScores(errors=compared.errors, words=compared.words)
    return ItemScores(
        judge=None if measurement.text is None else judged.get(judged_by(item, measurement.text)),
        choices=_chosen(item, measurement.likelihoods),
        facts=None if measurement.text is None else _facts(item, measurement.text),
    )


def judged_by(item: SpokenItem, text: str) -> tuple[str, str | None, str]:
    """What a judge's score belongs to."""
    return item.question, item.answer or item.transcript, text


def estimate(scores: Sequence[ItemScores], metric: str) -> Estimate | None:
    """One metric over items that have it, with its interval; None where none has."""
    if metric == "wer":
        pairs = [
            (score.errors, score.words)
            for score in scores
            if score.errors is not None and score.words
        ]
        return rate(
            [float(errors) for errors, _ in pairs], [float(words or 1) for _, words in pairs]
        )
    values = [getattr(score, metric) for score in scores]
    return mean([value for value in values if value is not None])


def is_likeliest(choice: int, likelihoods: Sequence[float]) -> bool:
    """Whether no other choice is likelier or as likely."""
    return all(likelihoods[choice] > rival for i, rival in enumerate(likelihoods) if i != choice)


def _chosen(item: SpokenItem, likelihoods: Sequence[float] | None) -> float | None:
    if item.correct is None or likelihoods is None:
        return None
    return float(is_likeliest(item.correct, likelihoods))


def _facts(item: SpokenItem, text: str) -> float | None:
    if item.facts:
        held = [holds_fact(text, item.question, [fact], 0) for fact in item.facts]
        return sum(held) / len(held)
    if item.correct is not None:
        return float(holds_fact(text, item.question, item.choices, item.correct))
    # A summary in other words holds few of the reference's: it takes facts to be judged by.
    if item.answer is None or item.task == "summary":
        return None
    return float(holds_fact(text, item.question, [item.answer], 0))
