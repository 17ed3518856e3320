"""Words of the user's, names above all, and where something that sounds like them was written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np

# Names come out in pieces: so many words more than an entry has are compared with it, and so many
# at most.
_MORE_WORDS, _MOST_WORDS = 2, 8
# How much spelling is to be alike, and how many entries at most are looked at for a place.
_ALIKE, _ENTRIES = 0.6, 3
# Nats by which an entry may be less likely than what was written: a name that the decoder never
# saw. Of names that were said 90 % are within it, and the next of 34 minutes without any is twice
# as far (`benchmarks/vocabulary.py`). Of many entries each is expected less.
_MARGIN, _FEW = 8.0, 200
_EDGES = re.compile(r"^(\W*)(.*?)(\W*)$", re.DOTALL)
# What sounds alike in most languages of the Latin alphabet, in this order.
_SOUNDS = (
    ("sch", "s"), ("tch", "c"), ("ph", "f"), ("sh", "s"), ("ch", "c"), ("th", "t"), ("wh", "w"),
    ("gh", "g"), ("ck", "k"), ("qu", "kw"), ("q", "k"), ("x", "ks"), ("ce", "se"), ("ci", "si"),
    ("cy", "si"), ("c", "k"), ("z", "s"), ("y", "i"), ("w", "v"), ("j", "i"), ("ee", "i"),
    ("oo", "u"), ("ou", "u"), ("ea", "i"), ("ie", "i"), ("ei", "i"), ("ai", "e"), ("h", ""),
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """Words `first` to `end` may be `entry`; `likeness` of their spelling, 0 to 1."""

    first: int
    end: int
    entry: str
    likeness: float

    def touches(self, other: Candidate) -> bool:
        return self.first < other.end and other.first < self.end


@dataclass(frozen=True)
class Vocabulary:
    """Names and words, each as it is to be written."""

    entries: tuple[str, ...]

    @property
    def margin(self) -> float:
        """Nats by which an entry may be less likely than what was written."""
        return max(0.0, _MARGIN - log(max(1.0, len(self.entries) / _FEW)))

    def candidates(self, words: Sequence[str]) -> list[Candidate]:
        """Where entries may have been said instead of these words, the most alike first.

        Not where an entry is written already, punctuation aside.
        """
        from rapidfuzz.distance import Levenshtein
        from rapidfuzz.process import cdist

        cores = [edges(word)[1] for word in words]
        written = [place for place in self._places(cores) if self._is_entry(cores, place)]
        places = [
            (first, end)
            for first, end in self._places(cores)
            if not any(first < until and begin < end for begin, until in written)
        ]
        if not places:
            return []
        sounds = [sound("".join(cores[first:end])) for first, end in places]
        alike = cdist(
            sounds, self._sounds, scorer=Levenshtein.normalized_similarity, score_cutoff=_ALIKE
        )
        found = [
            Candidate(first, end, self.entries[column], float(alike[row, column]))
            for row, (first, end) in enumerate(places)
            for column in np.argsort(-alike[row], kind="stable")[:_ENTRIES].tolist()
            if alike[row, column] > 0
        ]
        return sorted(found, key=lambda each: (-each.likeness, each.end - each.first, each.first))

    def _places(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        for first in range(len(words)):
            ends = range(first + 1, min(len(words), first + self._most_words) + 1)
            yield from ((first, end) for end in ends)

    def _is_entry(self, words: Sequence[str], place: tuple[int, int]) -> bool:
        return " ".join(word.strip() for word in words[slice(*place)]) in self._written

    @cached_property
    def _written(self) -> frozenset[str]:
        return frozenset(" ".join(entry.split()) for entry in self.entries)

    @cached_property
    def _sounds(self) -> list[str]:
        return [sound(entry) for entry in self.entries]

    @cached_property
    def _most_words(self) -> int:
        most = max(len(entry.split()) for entry in self.entries)
        return min(_MOST_WORDS, most + _MORE_WORDS)


def sound(text: str) -> str:
    """A spelling that is the same for what sounds alike, more or less; without blanks."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(each for each in plain if each.isalnum())
    for written, said in _SOUNDS:
        letters = letters.replace(written, said)
    return re.sub(r"(.)\1+", r"\1", letters)


def edges(word: str) -> tuple[str, str, str]:
    """What is no letter before a word, the word, and what is none behind it."""
    found = _EDGES.match(word)
    assert found is not None
    before, core, behind = found.groups()
    return before, core, behind
