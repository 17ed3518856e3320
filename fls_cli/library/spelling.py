"""Other spellings of a word among those that were heard: names come out of a decoder in many ways.

A word is another spelling where most letters are the same, or it sounds the same: its Metaphone
(Philips, 1990) is equal or nearly so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import jellyfish
from rapidfuzz.distance import Levenshtein

from fls_cli.library.query import quoted

# Letters below which a word is what it is, and spellings of a word at most.
_SHORTEST, _MOST = 4, 8
# How alike letters, or both together, have to be; and letters of what sounds the same.
_ALIKE, _TOGETHER, _SOUNDING = 0.8, 0.72, 0.5


class Spellings:
    """Of a vocabulary: small letters, as it is indexed."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._vocabulary = [word for word in vocabulary if word.isalpha()]

    @cached_property
    def _there(self) -> frozenset[str]:
        return frozenset(self._vocabulary)

    def __call__(self, word: str) -> list[str]:
        """Other spellings, the likest first, each in FTS5's quotes; of two words, a phrase."""
        word = word.casefold()
        if len(word) < _SHORTEST or not word.isalpha():
            return []
        sound = jellyfish.metaphone(word)
        found: list[tuple[float, str]] = []
        for other in self._vocabulary:
            if other != word and abs(len(other) - len(word)) <= len(word) // 2:
                letters = Levenshtein.normalized_similarity(word, other, score_cutoff=_SOUNDING)
                if letters and (alike := _alikeness(letters, sound, other)):
                    found.append((alike, other))
        spellings = [quoted(other) for _, other in sorted(found, reverse=True)[:_MOST]]
        return spellings + [f'"{first} {second}"' for first, second in self._halves(word)]

    def _halves(self, word: str) -> list[tuple[str, str]]:
        """Two words that it is made of, both of which were said."""
        cuts = range(3, len(word) - 2)
        halves = ((word[:cut], word[cut:]) for cut in cuts)
        return [pair for pair in halves if self._there.issuperset(pair)]


def _alikeness(letters: float, sound: str, other: str) -> float:
    """How alike two words are, 0 where they are not; `letters` are alike so much."""
    sounds = Levenshtein.normalized_similarity(sound, jellyfish.metaphone(other))
    is_alike = (
        letters >= _ALIKE or (sounds == 1 and len(sound) > 1) or (letters + sounds) / 2 >= _TOGETHER
    )
    return (letters + sounds) / 2 if is_alike else 0.0
