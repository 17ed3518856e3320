"""How much better one method does than the others on the same items: the paper's orderings.

Item by item, because items differ more than methods do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fls_models.bench.longspeech.measurement import Row
from fls_models.bench.scoring.estimates import Estimate, mean
from fls_models.bench.scoring.scores import METRICS, ItemScores, Judged, scored
from fls_models.bench.scoring.tables import METRIC_NAMES, grouped, interval_text


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
    comparisons = []
    for (task, name, length), group in groups.items():
        method_rows = groups.get((task, method, length))
        if name == method or method_rows is None:
            continue
        own = {row.item.name: scored(row, judged or {}) for row in method_rows}
        foreign = {row.item.name: scored(row, judged or {}) for row in group}
        for metric in METRICS:
            gains = _gains(own, foreign, metric)
            if (gain := mean(gains)) is not None:
                comparisons.append(Gain(task, length, metric, method, name, gain))
                break
    return comparisons


def gain_cells(
    gains: Sequence[Gain],
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    headings = ("compared", "L / 30 s", "task", "metric", "n", "gain")
    rows = tuple(
        (
            f"{gain.better} over {gain.other}",
            gain.length or "-",
            gain.task,
            METRIC_NAMES[gain.metric],
            str(gain.gain.count),
            interval_text(gain.metric, gain.gain, sign="+"),
        )
        for gain in gains
    )
    return headings, rows


def _gains(
    own: Mapping[str, ItemScores], foreign: Mapping[str, ItemScores], metric: str
) -> list[float]:
    sign = -1 if metric == "wer" else 1
    differences = []
    for name, scores in own.items():
        value = getattr(scores, metric)
        rival = getattr(foreign[name], metric) if name in foreign else None
        if value is not None and rival is not None:
            differences.append(sign * (value - rival))
    return differences
