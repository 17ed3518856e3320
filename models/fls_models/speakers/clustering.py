"""Which stretches of speech are of one voice: agglomerative clustering of embeddings.

How alike two clusters A and B are is the mean product of their embeddings, over what it is within
each: mean(a b) / sqrt(mean(a a') mean(b b')), of embeddings of different stretches, so that the
noise of short ones does not count. It is about 1 for one voice, whatever the recording. They are
joined while it is above 1 - margin - spread / sqrt(seconds of the shorter): the less was heard, the
more may the means differ by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MARGIN = 0.06
SPREAD = 0.16
# What is thought of a cluster of few stretches: the mean product within it, as if of so many
# square seconds.
_COHESION, _PRIOR = 0.76, 16.0
_LEAST_COHESION = 0.3
_NEVER = -9.0
# Stretches that are clustered at once: the clusters of more are made of those of such blocks.
_BLOCK = 900


@dataclass
class Clusters:
    """What is known of n clusters; all of it adds up when they are joined.

    Of the embeddings of its stretches, each by its seconds: `sums` (n, D), `squares` the sum of
    their lengths squared; `seconds` and the sum of their `seconds_squared`.
    """

    sums: Floats
    squares: Floats
    seconds: Floats
    seconds_squared: Floats

    @classmethod
    def of(cls, embeddings: Floats, seconds: Floats) -> Clusters:
        """Each stretch, (n, D) its mean embedding, for itself."""
        sums = embeddings * seconds[:, None]
        return cls(sums, np.square(sums).sum(axis=1), seconds.copy(), np.square(seconds))

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def centres(self) -> Floats:
        """(n, D) of length 1."""
        centres: Floats = self.sums / np.linalg.norm(self.sums, axis=1, keepdims=True)
        return centres

    def select(self, rows: Sequence[int]) -> Clusters:
        places = list(rows)
        return Clusters(*(values[places] for values in vars(self).values()))

    def grouped(self, labels: NDArray[np.int64], count: int) -> Clusters:
        """Joined where labels, 0 to `count`, are the same."""
        grouped = []
        for values in vars(self).values():
            total = np.zeros((count, *values.shape[1:]))
            np.add.at(total, labels, values)
            grouped.append(total)
        return Clusters(*grouped)

    def likeness(self, row: int | None = None) -> Floats:
        """How much each is like the one in `row`, or (n, n) like each other."""
        rows = slice(None) if row is None else slice(row, row + 1)
        pairs = np.square(self.seconds) - self.seconds_squared
        cohesion = (np.square(self.sums).sum(axis=1) - self.squares + _PRIOR * _COHESION) / (
            pairs + _PRIOR
        )
        scale = self.seconds * np.sqrt(np.maximum(cohesion, _LEAST_COHESION))
        alike: Floats = self.sums[rows] @ self.sums.T / np.outer(scale[rows], scale)
        return alike if row is None else alike[0]

    def margins(self, row: int | None = None) -> Floats:
        """How far above the bound each is like the one in `row`, or (n, n) like each other."""
        own = self.seconds[:, None] if row is None else self.seconds[row]
        shorter = np.minimum(own, self.seconds)
        margins: Floats = (
            self.likeness(row) - 1 + MARGIN + SPREAD / np.sqrt(np.maximum(shorter, 0.5))
        )
        return margins

    def join(self, row: int, other: int) -> None:
        """Adds the other one to that in `row`; the other stays as it is."""
        for values in vars(self).values():
            values[row] += values[other]


def agglomerate(
    clusters: Clusters, fewest: int = 1, most: int | None = None
) -> tuple[Clusters, NDArray[np.int64]]:
    """Joins what is alike, to at least `fewest` and at most `most`: clusters, and the new label of
    each of the old."""
    if len(clusters) > _BLOCK:
        starts = range(0, len(clusters), _BLOCK)
        blocks = [
            agglomerate(clusters.select(range(start, min(start + _BLOCK, len(clusters)))))
            for start in starts
        ]
        offsets = np.cumsum([0, *(len(block) for block, _ in blocks)])
        first = np.concatenate(
            [labels + at for (_, labels), at in zip(blocks, offsets, strict=False)]
        )
        joined, second = agglomerate(clusters.grouped(first, int(offsets[-1])), fewest, most)
        return joined, second[first]
    labels = np.arange(len(clusters))
    working = clusters.select(range(len(clusters)))
    margins = working.margins()
    np.fill_diagonal(margins, _NEVER)
    left = len(clusters)
    while left > fewest:
        row, other = np.unravel_index(int(margins.argmax()), margins.shape)
        if margins[row, other] < 0 and (most is None or left <= most):
            break
        working.join(int(row), int(other))
        labels[labels == other] = row
        left -= 1
        is_gone = margins[:, row] <= _NEVER
        updated = working.margins(int(row))
        updated[is_gone] = updated[[row, other]] = _NEVER
        margins[row], margins[:, row] = updated, updated
        margins[other], margins[:, other] = _NEVER, _NEVER
    names, labels = np.unique(labels, return_inverse=True)
    return working.select(names.tolist()), labels.astype(np.int64)
