"""Where in a recording an answer comes from: where the language model looks as it writes it.

A model that writes down a fact which it has read attends to the place where it stands. So each
phrase of the recording gets the attention that goes to it from the answer's tokens, on average
over all heads of the upper layers; neighbours of the strongest phrase that are looked at about as
much belong to it. How often that is right is measured by `benchmarks/evidence.py`.

Shapes: L embeddings of a recording in one pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from fls_models.answering.readers.text import ModelInput, Phrase, quotation
from fls_models.core.results import Passage, Span

MAX_SECONDS = 30.0
"""Seconds: nobody wants to listen to more to see whether an answer is right."""

# Layers below this part of all read words; those above it, facts.
_LOWEST = 1 / 3
# Phrases looked at this much of the strongest beside them are one passage with it.
_ALONG = 0.5
# What is looked at less than this much of the strongest phrase is not what an answer rests on.
_FAINT = 0.5


@dataclass(frozen=True, eq=False)
class PassAttention:
    """One pass over a recording, and how much an answer looks at each of its embeddings.

    Attributes:
        attention: (layers, heads, L) float32, as `LanguageModel.attention` gives it.
    """

    reading: ModelInput
    attention: Tensor

    @cached_property
    def weights(self) -> Tensor:
        """(L,): the mean over all heads of the upper layers."""
        lowest = round(len(self.attention) * _LOWEST)
        return self.attention[lowest:].mean((0, 1))


def passages(passes: Sequence[PassAttention], limit: int) -> tuple[Passage, ...]:
    """At most so many passages of at most 30 s that an answer rests on, the strongest first.

    A passage is as strong as its strongest phrase. None where an answer looks at nothing of the
    recording.
    """
    everything = sum(float(view.weights.sum()) for view in passes)
    ranked = [entry for view in passes for entry in _strongest(view, everything, limit)]
    ranked.sort(key=lambda entry: (-entry[0], entry[1].span.start))
    return tuple(passage for peak, passage in ranked[:limit] if peak >= _FAINT * ranked[0][0])


def _strongest(view: PassAttention, everything: float, limit: int) -> list[tuple[float, Passage]]:
    """The strongest passages of one pass, which do not overlap, and how much the strongest phrase
    of each is looked at."""
    phrases = [part for phrase in view.reading.phrases for part in _short(phrase, view.reading)]
    weights = [float(view.weights[part.rows.start : part.rows.stop].sum()) for part in phrases]
    free = {place for place, weight in enumerate(weights) if weight > 0}
    strongest: list[tuple[float, Passage]] = []
    while free and len(strongest) < limit:
        best = max(free, key=lambda place: (weights[place], -place))
        together = _grown(best, phrases, weights, free)
        free.difference_update(together)
        span = Span(phrases[together.start].span.start, phrases[together.stop - 1].span.end)
        share = sum(weights[place] for place in together) / everything
        text = quotation(phrases[place] for place in together)
        strongest.append((weights[best], Passage(span, min(1.0, share), text)))
    return strongest


def _grown(best: int, phrases: Sequence[Phrase], weights: Sequence[float], free: set[int]) -> range:
    """A phrase and those beside it that are looked at about as much, as far as 30 s go."""
    together = range(best, best + 1)
    while True:
        wider = [
            range(min(together.start, place), max(together.stop, place + 1))
            for place in (together.start - 1, together.stop)
            if place in free and weights[place] >= _ALONG * weights[best]
        ]
        fitting = [
            places
            for places in wider
            if phrases[places.stop - 1].span.end - phrases[places.start].span.start <= MAX_SECONDS
        ]
        if not fitting:
            return together
        together = max(fitting, key=lambda places: sum(weights[place] for place in places))


def _short(phrase: Phrase, reading: ModelInput) -> list[Phrase]:
    """A phrase in parts of at most 30 s, each as long as that allows. Parts have no text: where
    words are known, sentences end long before.
    """
    if phrase.span.end - phrase.span.start <= MAX_SECONDS:
        return [phrase]
    parts: list[Phrase] = []
    first, start = phrase.rows.start, phrase.span.start
    spans = reading.spans.tolist()
    for row in phrase.rows:
        if row > first and spans[row][1] - start > MAX_SECONDS:
            parts.append(Phrase(range(first, row), Span(start, spans[row - 1][1])))
            first, start = row, max(spans[row - 1][1], spans[row][0])
    parts.append(Phrase(range(first, phrase.rows.stop), Span(start, phrase.span.end)))
    return parts
