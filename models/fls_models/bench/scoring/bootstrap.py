"""How sure a share is that was measured on so many items: the bootstrap's 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_DRAWS = 10_000
_SEED = 0


@dataclass(frozen=True)
class Share:
    """`hits` of `count`, with the interval that 95 % of resampled sets fall into."""

    hits: int
    count: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """0 to 1; nan of nothing."""
        return self.hits / self.count if self.count else float("nan")

    def __str__(self) -> str:
        if not self.count:
            return "-"
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"

    def as_json(self) -> dict[str, float | int | None]:
        """Shares as fractions; null of nothing."""
        known = self.count > 0
        return {
            "hits": self.hits,
            "count": self.count,
            "share": round(self.value, 4) if known else None,
            "low": round(self.low, 4) if known else None,
            "high": round(self.high, 4) if known else None,
        }


def share(outcomes: Sequence[bool]) -> Share:
    """The share of true outcomes. Items are drawn anew with replacement, always by one seed."""
    count, hits = len(outcomes), sum(outcomes)
    if not count:
        return Share(0, 0, float("nan"), float("nan"))
    # Drawing items of two kinds with replacement is drawing from a binomial distribution.
    shares = np.random.default_rng(_SEED).binomial(count, hits / count, _DRAWS) / count
    low, high = np.quantile(shares, [0.025, 0.975])
    return Share(hits, count, float(low), float(high))
