"""How sure a mean or a rate is that was measured on so many items: the bootstrap's 95 % interval.

Shares have their own, shorter way (`bootstrap`). Items are drawn anew with replacement, always by
one seed.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

_DRAWS = 10_000
_SEED = 0
# Items drawn at once: 32 MB of indices.
_AT_ONCE = 2**22


@dataclass(frozen=True)
class Estimate:
    """A value over `count` items, and the interval that 95 % of resampled sets fall into."""

    value: float
    low: float
    high: float
    count: int

    def as_json(self) -> dict[str, float | int]:
        return {name: round(number, 5) for name, number in asdict(self).items()}


def mean(values: Sequence[float]) -> Estimate | None:
    """The mean; None of nothing."""
    return rate(values, [1.0] * len(values))


def rate(parts: Sequence[float], wholes: Sequence[float]) -> Estimate | None:
    """All parts over all wholes, item by item together: errors over words. None of nothing.

    Raises ValueError where there are not as many parts as wholes.
    """
    if len(parts) != len(wholes):
        raise ValueError(f"{len(parts)} parts of {len(wholes)} wholes")
    count = len(parts)
    if not count:
        return None
    above, below = np.array(parts, dtype=np.float64), np.array(wholes, dtype=np.float64)
    generator = np.random.default_rng(_SEED)
    ratios: list[float] = []
    while len(ratios) < _DRAWS:
        draws = min(_DRAWS - len(ratios), max(1, _AT_ONCE // count))
        indices = generator.integers(count, size=(draws, count))
        ratios += (above[indices].sum(-1) / below[indices].sum(-1)).tolist()
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Estimate(float(above.sum() / below.sum()), float(low), float(high), count)
