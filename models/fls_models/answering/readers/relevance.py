"""Which sentences carry most: for a question, or for a recording as a whole.

Sentences and questions are compared as bags of letter 4-grams weighted by their rarity in the
recording, in any script and without a list of words: `planted` and `planting` share most of theirs.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_GRAM = 4


class Relevance:
    """Compares the sentences of one recording, with each other and with questions."""

    def __init__(self, sentences: Sequence[str]) -> None:
        bags = [_grams(sentence) for sentence in sentences]
        counts = Counter(gram for bag in bags for gram in bag)
        self._index = {gram: column for column, gram in enumerate(counts)}
        count = np.fromiter(counts.values(), np.float64, len(counts))
        self._rarity = np.log((1 + len(bags)) / (0.5 + count))
        self._rows = np.stack([self._row(bag) for bag in bags]) if bags else np.zeros((0, 0))

    def to(self, question: str) -> NDArray[np.float64]:
        """How near each sentence is to a question: (n,), 0 to 1. Neighbours lend a third."""
        row = self._row(_grams(question))
        similarity = self._rows @ row
        smoothed = similarity.copy()
        smoothed[1:] += similarity[:-1] / 3
        smoothed[:-1] += similarity[1:] / 3
        return np.asarray(smoothed / (1 + 2 / 3))

    def centrality(self) -> NDArray[np.float64]:
        """How near each sentence is to all others: (n,), mean cosine (LexRank without a graph)."""
        if not len(self._rows):
            return np.zeros(0)
        return np.asarray(self._rows @ self._rows.mean(axis=0))

    def similarity(self) -> NDArray[np.float64]:
        """Cosine of every pair of sentences: (n, n)."""
        return np.asarray(self._rows @ self._rows.T)

    def _row(self, bag: Counter[str]) -> NDArray[np.float64]:
        row = np.zeros(len(self._index))
        for gram, times in bag.items():
            if gram in self._index:
                column = self._index[gram]
                row[column] = (1 + np.log(times)) * self._rarity[column]
        norm = float(np.linalg.norm(row))
        return row / norm if norm else row


def _grams(text: str) -> Counter[str]:
    """Letter 4-grams of each word, and short words whole."""
    bag: Counter[str] = Counter()
    for word in _WORD.findall(text.lower()):
        bag.update(word[i : i + _GRAM] for i in range(max(1, len(word) - _GRAM + 1)))
    return bag
