"""Other spellings of a word among those that were heard: names come out of a decoder in many ways.

A word is another spelling where most letters are the same, or it sounds the same: its Metaphone
(Philips, 1990) is equal or nearly so. Two words are one where together they sound like it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product

import jellyfish
from rapidfuzz.distance import Levenshtein

from fls_cli.library.query import quoted

# Letters below which a word is what it is, and spellings of a word at most, in one word and in two.
_SHORTEST, _MOST, _MOST_PAIRS = 4, 8, 24
# How alike letters, or both together, have to be; and letters of what sounds the same.
_ALIKE, _TOGETHER, _SOUNDING = 0.8, 0.66, 0.5
# Letters of each of two words.
_HALF = 3


class Spellings:
    """Of a vocabulary: words in small letters."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._vocabulary = [word for word in vocabulary if word.isalpha()]

    @cached_property
    def _by_sound(self) -> dict[str, list[str]]:
        """Words by their Metaphone."""
        sounds: dict[str, list[str]] = {}
        for word in self._vocabulary:
            sounds.setdefault(jellyfish.metaphone(word), []).append(word)
        return sounds

    def __call__(self, word: str) -> list[str]:
        """Other spellings, the likest first, each in FTS5's quotes; two words are a phrase."""
        word = word.casefold()
        if len(word) < _SHORTEST or not word.isalpha():
            return []
        sound = jellyfish.metaphone(word)
        words = sorted(self._words(word, sound), reverse=True)[:_MOST]
        # Most of these were never said so.
        pairs = sorted(self._pairs(word, sound), reverse=True)[:_MOST_PAIRS]
        return [quoted(other) for _, other in words + pairs]

    def _words(self, word: str, sound: str) -> Iterator[tuple[float, str]]:
        """How alike each word is that is alike, and that word.

        Of a word that was said as it is written, only what sounds the same: money is not honey.
        """
        is_said = word in self._by_sound.get(sound, ())
        for other_sound, others in self._by_sound.items():
            sounds = Levenshtein.normalized_similarity(sound, other_sound)
            for other in others:
                letters = Levenshtein.normalized_similarity(word, other, score_cutoff=_SOUNDING)
                is_same = sounds == 1 and len(sound) > 1 and letters > 0
                both = (letters + sounds) / 2
                is_alike = not is_said and (letters >= _ALIKE or both >= _TOGETHER)
                if other != word and (is_same or is_alike):
                    yield both, other

    def _pairs(self, word: str, sound: str) -> Iterator[tuple[float, str]]:
        """Two words one after the other that sound like it."""
        least = _ALIKE if word in self._by_sound.get(sound, ()) else _SOUNDING
        for cut in range(1, len(sound)):
            halves = (self._by_sound.get(part, ()) for part in (sound[:cut], sound[cut:]))
            for first, second in product(*halves):
                letters = Levenshtein.normalized_similarity(word, first + second)
                if min(len(first), len(second)) >= _HALF and letters >= least:
                    yield (letters + 1) / 2, f"{first} {second}"
