"""How much better one method does than the others on the same items: the paper's orderings.

Item by item, because items differ more than methods do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fls_models.bench.longspeech.measurement import Row
from fls_models.bench.scoring.estimates import Estimate, mean
from fls_models.bench.scoring.scores import METRICS, ItemScores, Judged, scored
from fls_models.bench.scoring.tables import METRIC_NAMES, grouped, shown


@dataclass(frozen=True)
class Gain:
    """How much better the first of two methods did than the other on the same items."""

    task: str
    length: str
    metric: str
    better: str
    other: str
    gain: Estimate


def gains_of(
    rows: Sequence[Row], judged: Judged | None = None, method: str = "fusion"
) -> list[Gain]:
    """A method against the others at the same length, item by item, on the first metric there is.

    Gains are positive where the method does better.
    """
    groups = grouped(rows)
    found = []
    for (task, name, length), same in groups.items():
        others = groups.get((task, method, length))
        if name == method or others is None:
            continue
        own = {row.item.name: scored(row, judged or {}) for row in others}
        foreign = {row.item.name: scored(row, judged or {}) for row in same}
        for metric in METRICS:
            gains = _gains(own, foreign, metric)
            if (gain := mean(gains)) is not None:
                found.append(Gain(task, length, metric, method, name, gain))
                break
    return found


def gain_cells(
    found: Sequence[Gain],
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    headings = ("compared", "L / 30 s", "task", "metric", "n", "gain")
    rows = tuple(
        (
            f"{one.better} over {one.other}",
            one.length or "-",
            one.task,
            METRIC_NAMES[one.metric],
            str(one.gain.count),
            shown(one.metric, one.gain, sign="+"),
        )
        for one in found
    )
    return headings, rows


def _gains(
    own: Mapping[str, ItemScores], foreign: Mapping[str, ItemScores], metric: str
) -> list[float]:
    sign = -1 if metric == "wer" else 1
    found = []
    for name, one in own.items():
        ours = getattr(one, metric)
        theirs = getattr(foreign[name], metric) if name in foreign else None
        if ours is not None and theirs is not None:
            found.append(sign * (ours - theirs))
    return found
