"""Whether the names and numbers of an answer were said, and of what the question is about.

A small model that does not know who directed a play names a director, or the one person that the
recording has. So each name and number of an answer that the question does not hold must be said
where, within a few sentences, the words of the question are, or the other words of the answer; rare
words count more. How much that catches says `benchmarks/README.md`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from math import log

from fls_models.answering.readers.text import Phrase
from fls_models.core.text.exact import ExactWords
from fls_models.core.text.sentence_ends import sentences_of
from fls_models.core.text.words import content_words, is_number, same_word, words_of, words_of_each

# Sentences on either side of a name, and the share of the words by weight that is said there.
_AROUND = 2
_LEAST = 0.4
# Whoever counts finds so many things in a recording without a word of how many they are.
_COUNTED = 12
_QUANTITY_WORDS = """
    all both dozen few half hundreds millions most no none quarter several third thousands
"""
_QUANTITIES = frozenset(_QUANTITY_WORDS.split())
_ASKS_A_NUMBER = re.compile(
    r"\b(how (many|much)|what (percentage|percent|share|number)|wie ?viele?|combien|cuánt[oa]s?)\b",
    re.IGNORECASE,
)
_ASKS_TO_COUNT = re.compile(r"\b(how many|wie ?viele|combien|cuánt[oa]s)\b", re.IGNORECASE)
_ASKS_A_NAME = re.compile(
    r"\b(names? of|what is [\w' ]+ (called|named)|wie heißt|comment s['’]appelle|cómo se llama"
    r"|(which|what) (city|company|country|hospital|institute|organi[sz]ation|town|university))\b",
    re.IGNORECASE,
)
_ASKS_WHO = re.compile(r"\b(who|whom|whose|wer|wem|wen|wessen|qui|quién(es)?)\b", re.IGNORECASE)


class Grounds:
    """What was said in the phrases of a recording, which answers are held against.

    `names` and `numbers` say what is looked at: numbers are written otherwise in another language
    than the recording's, and names are found by their capitals, which other nouns have in German.
    """

    def __init__(self, phrases: Sequence[Phrase], *, names: bool, numbers: bool) -> None:
        spoken = [f"{phrase.speaker or ''} {phrase.text}".strip() for phrase in phrases]
        speakers = {phrase.speaker for phrase in phrases if phrase.speaker}
        self._exact = ExactWords([phrase.text for phrase in phrases], speakers)
        self._names, self._numbers = names, numbers
        self._words = [frozenset(words) for words in words_of_each(spoken)]
        self._vocabulary = frozenset().union(*self._words)

    def hold(self, sentence: str, question: str) -> bool:
        """Whether the names and numbers of a sentence were said of what a question is about."""
        new = self._new(sentence, question)
        if any(not self._places(words_of(each)) for each in new):
            return False
        asked, written = content_words(words_of(question)), content_words(words_of(sentence))
        near = [self._is_near(words_of(each), asked, written) for each in new]
        # What is said of somebody besides may come from elsewhere.
        return 2 * sum(near) >= len(near)

    def answer(self, text: str, question: str) -> bool:
        """Whether a text holds what a question asks for by its words: as many numbers, a name."""
        words = words_of(text)
        if asked := len(_ASKS_A_NUMBER.findall(question)):
            return sum(is_number(word) or word in _QUANTITIES for word in words) >= asked
        asks_a_name = self._names and _ASKS_A_NAME.search(question)
        return not asks_a_name or bool(self._new(text, question))

    def _new(self, text: str, question: str) -> list[str]:
        known = words_of(question)
        found = [
            each
            for sentence in sentences_of(text)
            for each in self._exact.of(sentence)
            if (self._numbers if all(map(is_number, words_of(each))) else self._names)
        ]
        counts = _ASKS_TO_COUNT.search(question)
        return [
            each
            for each in found
            if not (counts and _is_count(each))
            and not all(any(same_word(word, other) for other in known) for word in words_of(each))
        ]

    def _is_near(self, wanted: Sequence[str], *texts: Sequence[str]) -> bool:
        """Whether `wanted` is said near enough of one of the texts' other words."""
        places = self._places(wanted)
        for words in texts:
            weights = self._weights(set(words) - set(wanted))
            least = _LEAST * sum(weight for weight, _ in weights)
            for place in places:
                near = self._words[max(0, place - _AROUND) : place + _AROUND + 1]
                said = frozenset().union(*near)
                if sum(weight for weight, same in weights if not said.isdisjoint(same)) >= least:
                    return True
        return False

    def _places(self, wanted: Sequence[str]) -> list[int]:
        same = [self._same(word) for word in wanted]
        return [
            place
            for place, said in enumerate(self._words)
            if not any(said.isdisjoint(each) for each in same)
        ]

    def _weights(self, words: Collection[str]) -> list[tuple[float, frozenset[str]]]:
        """Of each word that was said, by its rarity, and what is the same word there."""
        weighed = []
        for word in words:
            same = self._same(word)
            count = sum(not said.isdisjoint(same) for said in self._words)
            if count:
                weighed.append((log(1 + len(self._words) / count), same))
        return weighed

    def _same(self, word: str) -> frozenset[str]:
        return frozenset(other for other in self._vocabulary if same_word(word, other))


def _is_count(number: str) -> bool:
    return number.isdecimal() and int(number) <= _COUNTED


def asks_for_one_thing(question: str) -> bool:
    """Whether a question asks for a number, a name, or who it was: what is near does not say it."""
    return any(asks.search(question) for asks in (_ASKS_A_NUMBER, _ASKS_A_NAME, _ASKS_WHO))
