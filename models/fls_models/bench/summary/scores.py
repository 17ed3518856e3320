"""How good a summary is, by rules on strings, so that anybody gets the same.

Against what was said: a sentence is borne out where some five sentences in a row of the recording
hold 60 % of its content words, and the recording all of its names and numbers. It is copied where
80 % of its word 4-grams are the recording's, repeated where an earlier one holds 80 % of its
content words. Against what a summary should say: the share of the facts' content words that
sentences which are borne out have, and ROUGE-L (Lin 2004; F1 of the longest common subsequence of
words). A topic is counted where a sentence that is borne out is about a place in it.

Names and numbers are those of `core.text.exact`; so this is about English.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq

from fls_models.bench.summary.items import SummaryItem
from fls_models.core.text.exact import ExactWords
from fls_models.core.text.sentence_ends import sentences_of
from fls_models.core.text.words import (
    content_words,
    covered,
    grams,
    is_copied,
    same_word,
    words_of,
)

_TOGETHER = 5
_BORNE_OUT = 0.6
_REPEATED = 0.8


@dataclass(frozen=True)
class SentenceScores:
    """Of one sentence of a summary: `place` is the sentence of the recording that holds most of
    it, of the five that do; `wrong` are names and numbers that the recording does not hold."""

    text: str
    place: int
    share: float
    exact: int
    wrong: tuple[str, ...]
    is_copied: bool
    is_repeated: bool

    @property
    def is_borne_out(self) -> bool:
        return self.share >= _BORNE_OUT and not self.wrong


@dataclass(frozen=True)
class SummaryScores:
    """Of one summary; `facts` and `rouge` are shares, `topics` names of those that are counted."""

    sentences: tuple[SentenceScores, ...]
    facts: float
    rouge: float
    topics: tuple[str, ...]


class Recording:
    """What was said, prepared for any number of summaries."""

    def __init__(self, item: SummaryItem) -> None:
        self._item = item
        said = item.transcript.sentences
        speakers = {sentence.speaker for sentence in said} - {None}
        texts = [sentence.text for sentence in said]
        self._words = [words_of(text) for text in texts]
        self._exact = ExactWords(texts, [str(speaker) for speaker in speakers])
        self._grams = {gram for words in self._words for gram in grams(words)}
        self._vocabulary = {word for words in self._words for word in words}
        self._places: dict[str, NDArray[np.bool_]] = {}

    def score(self, summary: str) -> SummaryScores:
        """Scores of a summary in plain sentences."""
        scored: list[SentenceScores] = []
        before: list[list[str]] = []
        for text in sentences_of(summary):
            words = words_of(text)
            content = content_words(words)
            place, share = self._best_place(content)
            exact, wrong = self._exact.of(text), self._exact.wrong(text)
            copied = is_copied(words, self._grams)
            repeated = any(covered(content, other) >= _REPEATED for other in before)
            scored.append(SentenceScores(text, place, share, len(exact), wrong, copied, repeated))
            before.append(words)
        words = words_of(summary)
        true = words_of(" ".join(each.text for each in scored if each.is_borne_out))
        facts = [covered(content_words(words_of(fact)), true) for fact in self._item.facts]
        reference = words_of(" ".join(self._item.facts))
        common = LCSseq.similarity(words, reference)
        rouge = 2 * common / (len(words) + len(reference)) if words else 0.0
        topics = tuple(
            topic.name
            for topic in self._item.topics
            if any(each.is_borne_out and each.place in topic.sentences for each in scored)
        )
        return SummaryScores(tuple(scored), sum(facts) / len(facts), rouge, topics)

    def opening(self, words: int) -> str:
        """The first sentences of the recording, of so many words at least."""
        said: list[str] = []
        for sentence in self._item.transcript.sentences:
            if sum(len(text.split()) for text in said) >= words:
                break
            said.append(sentence.text)
        return " ".join(said)

    def around(self, place: int, width: int) -> str:
        """So many sentences of the recording around one."""
        said = self._item.transcript.sentences
        first = max(0, min(place - width // 2, len(said) - width))
        return " ".join(each.text for each in said[first : first + width])

    def _holding(self, word: str) -> NDArray[np.bool_]:
        """Which sentences of the recording hold a word."""
        if word not in self._places:
            same = {other for other in self._vocabulary if same_word(word, other)}
            self._places[word] = np.array([not same.isdisjoint(words) for words in self._words])
        return self._places[word]

    def _best_place(self, content: Sequence[str]) -> tuple[int, float]:
        if not content:
            return 0, 1.0
        held = np.stack([self._holding(word) for word in content])
        together = min(_TOGETHER, held.shape[1])
        windows = np.lib.stride_tricks.sliding_window_view(held, together, axis=1).any(axis=2)
        shares = windows.mean(axis=0)
        first = int(shares.argmax())
        place = first + int(held[:, first : first + together].sum(axis=0).argmax())
        return place, float(shares[first])
