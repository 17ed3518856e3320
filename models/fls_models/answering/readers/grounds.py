"""Whether the names and numbers of an answer were said, and of what the question is about.

A small model that does not know who directed a play names a director, or the one person that the
recording has. So each name and number of an answer that the question does not hold must be said
where, within a few sentences, the words of the question are, or the other words of the answer; rare
words count more. How much that catches says `benchmarks/README.md`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cache, cached_property
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
# In which numbers are spelt out as well, by num2words' names; English is normalised.
_SPELT = {
    "Dutch": "nl",
    "French": "fr",
    "German": "de",
    "Italian": "it",
    "Portuguese": "pt",
    "Spanish": "es",
}
# Of numbers, but no numbers.
_IN_NUMBERS = frozenset(
    ("e", "een", "ein", "eine", "en", "et", "um", "uma", "un", "una", "und", "une", "uno", "y")
)
_ASKS_WHO = re.compile(r"\b(who|whom|whose|wer|wem|wen|wessen|qui|quién(es)?)\b", re.IGNORECASE)


def spoken_of(phrases: Sequence[Phrase]) -> list[str]:
    """What is said in each, with the name of whoever says it."""
    return [f"{phrase.speaker or ''} {phrase.text}".strip() for phrase in phrases]


class Grounds:
    """What was said in the phrases of a recording, which answers are held against.

    `names` and `numbers` say what is looked at: numbers are written otherwise in another language
    than the recording's, and names are found by their capitals, which other nouns have in German.
    `language` is the recording's, by its English name.
    """

    def __init__(
        self, phrases: Sequence[Phrase], *, names: bool, numbers: bool, language: str = "English"
    ) -> None:
        self._said, self._spelt = spoken_of(phrases), _SPELT.get(language)
        speakers = {phrase.speaker for phrase in phrases if phrase.speaker}
        self._exact = ExactWords([phrase.text for phrase in phrases], speakers)
        self._names, self._numbers = names, numbers
        self._words = [frozenset(words) for words in words_of_each(self._said)]
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
            count = sum(is_number(word) or word in _QUANTITIES for word in words)
            if self._spelt:
                spelt = number_words(self._spelt)
                count += sum(word in spelt for word in _plain(text).split())
            return count >= asked
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
        places = set(range(len(self._words))).intersection(*map(self._places_of, wanted))
        return sorted(places)

    def _places_of(self, word: str) -> set[int]:
        same = self._same(word)
        places = {place for place, said in enumerate(self._words) if not said.isdisjoint(same)}
        for spelt in spellings(int(word), self._spelt) if self._spelt and word.isdecimal() else ():
            places |= {place for place, text in enumerate(self._plain) if f" {spelt} " in text}
        return places

    @cached_property
    def _plain(self) -> list[str]:
        return [_plain(text) for text in self._said]

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


def spellings(number: int, language: str) -> set[str]:
    """How a number is spelt out in a language, by num2words' name of it, as `_plain` has it."""
    from num2words import num2words

    try:
        spelt = _plain(str(num2words(number, lang=language))).strip()
    except (NotImplementedError, OverflowError):
        return set()
    # A hundred is einhundert and hundert.
    return {spelt, re.sub("^ein(?=hundert|tausend)", "", spelt)}


@cache
def number_words(language: str) -> frozenset[str]:
    """Words that are numbers, or parts of them, in a language by num2words' name of it."""
    numbers = (*range(2, 1000), 1000, 10**6)
    spelt = " ".join(each for number in numbers for each in spellings(number, language))
    return frozenset(spelt.split()) - _IN_NUMBERS


def _plain(text: str) -> str:
    """Words with one space before and after each."""
    words = " ".join(re.findall(r"[^\W_]+", text.casefold()))
    return f" {words} "


def _is_count(number: str) -> bool:
    return number.isdecimal() and int(number) <= _COUNTED


def asks_for_one_thing(question: str) -> bool:
    """Whether a question asks for a number, a name, or who it was: what is near does not say it."""
    return any(asks.search(question) for asks in (_ASKS_A_NUMBER, _ASKS_A_NAME, _ASKS_WHO))
