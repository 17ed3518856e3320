"""One line for each task, method and length, in the form of the paper's tables; as CSV and JSON.

Means over items, scores with their intervals. Pure functions: nothing is measured here.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from fls_models.bench.longspeech.measurement import Row
from fls_models.bench.scoring.estimates import Estimate
from fls_models.bench.scoring.scores import METRICS, Judged, estimate, scored

# arXiv 2507.14815, Tables 1, 2 and 4: LongSpeech-Eval, 164 recordings, an LLM judge, an L40.
PAPER = (
    ("fusion", "3.55", "26.44", "1.47"),
    ("fusion, without dynamic training", "3.33", "-", "-"),
    ("single-pass", "3.41", "-", "-"),
    ("no-density", "3.28", "-", "-"),
    ("random", "2.54", "-", "-"),
    ("mostsim", "3.08", "-", "-"),
    ("avgpool", "3.10", "-", "-"),
    ("ntk-rope", "3.44", "61.21", "4.80"),
    ("cascade", "3.75", "-", "18.61"),
)
PAPER_HEADINGS = ("method", "judge (1-5)", "TFLOPs", "seconds")

METRIC_NAMES = {
    "judge": "judge (1-5)",
    "choices": "choices %",
    "facts": "facts %",
    "wer": "WER %",
}


ALL = "all"
"""Stands for a task: every item that has choices, where several tasks have such items."""


@dataclass(frozen=True)
class Line:
    """A task under a method and a length.

    Attributes:
        length: a number of frames a window or a budget's name; empty for methods without one.
        rate: frames read for 30 s of audio, as they were, or tokens of transcript.
        count: items that were measured; `unfit` more did not fit the language model's window.
        scores: by metric.
        tflops, hear, fuse, read, reply, seconds, first: means an item; None is not known.
        real_time_factor: seconds of work for a second of audio, all items together.
        peak: bytes, the most of any item.
    """

    task: str
    method: str
    length: str
    rate: float
    count: int
    unfit: int
    scores: Mapping[str, Estimate]
    tflops: float | None
    hear: float
    fuse: float
    read: float
    reply: float
    seconds: float
    first: float | None
    real_time_factor: float
    peak: int

    def as_json(self) -> dict[str, Any]:
        values = {name: value for name, value in vars(self).items() if name != "scores"}
        rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}
        return {
            **rounded,
            "scores": {name: estimate.as_json() for name, estimate in self.scores.items()},
        }


def grouped(rows: Sequence[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """By task, method and length, in the order in which they first appear; `ALL` is the last."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    by_task = [(row.item.task, row) for row in rows]
    with_choices = [row for row in rows if row.item.choices]
    if len({row.item.task for row in with_choices}) > 1:
        by_task += [(ALL, row) for row in with_choices]
    for task, row in by_task:
        length = "" if row.length is None else row.length.label
        groups.setdefault((task, row.method.name, length), []).append(row)
    return groups


def lines(rows: Sequence[Row], judged: Judged | None = None) -> list[Line]:
    """All rows, grouped in the order in which they first appear."""
    return [_line(key, group, judged or {}) for key, group in grouped(rows).items()]


def cells(lines: Sequence[Line]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Headings and rows for people to read; scores that no line has are left out."""
    metrics = [name for name in METRICS if any(name in line.scores for line in lines)]
    headings = (
        "method", "L / 30 s", "task", "n", *(METRIC_NAMES[name] for name in metrics),
        "TFLOPs", "hear s", "fuse s", "read s", "reply s", "all s", "to first word s", "RTF",
        "peak GB",
    )  # fmt: skip
    return headings, tuple(_cells(line, metrics) for line in lines)


def as_csv(lines: Sequence[Line]) -> str:
    """The same, a number a cell, shares and rates as fractions; empty is not known."""
    spread = [f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")]
    plain = [name for name in Line.__dataclass_fields__ if name != "scores"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*plain, *spread])
    for line in lines:
        payload = line.as_json()
        scores: list[float | str] = []
        for name in METRICS:
            estimate = line.scores.get(name)
            ends = (
                ("", "", "") if estimate is None else (estimate.value, estimate.low, estimate.high)
            )
            scores += [end if isinstance(end, str) else round(end, 5) for end in ends]
        writer.writerow(
            [*("" if payload[name] is None else payload[name] for name in plain), *scores]
        )
    return text.getvalue()


def interval_text(metric: str, estimate: Estimate, sign: str = "") -> str:
    """A value with its interval; shares and rates in per cent."""
    scale, digits = (1, 2) if metric == "judge" else (100, 1)
    value, low, high = (scale * number for number in (estimate.value, estimate.low, estimate.high))
    return f"{value:{sign}.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def _line(key: tuple[str, str, str], group: Sequence[Row], judged: Judged) -> Line:
    fitting = [row for row in group if row.measurement.fits]
    measurements = [row.measurement for row in fitting]
    item_scores = [scored(row, judged) for row in fitting]
    estimates = {metric: estimate(item_scores, metric) for metric in METRICS}

    def average(name: str) -> float | None:
        values = [getattr(item, name) for item in measurements]
        numbers = [value for value in values if value is not None]
        return fmean(numbers) if numbers else None

    audio = sum(item.duration for item in measurements)
    flops = average("flops")
    stages = ("hear", "fuse", "read", "reply", "seconds")
    means: dict[str, Any] = {name: average(name) or 0.0 for name in stages}
    return Line(
        *key,
        rate=30 * sum(item.frames for item in measurements) / audio if audio else 0.0,
        count=len(measurements),
        unfit=len(group) - len(fitting),
        scores={name: value for name, value in estimates.items() if value is not None},
        tflops=None if flops is None else flops / 1e12,
        **means,
        first=average("to_first"),
        real_time_factor=sum(item.seconds for item in measurements) / audio if audio else 0.0,
        peak=max((item.peak for item in measurements), default=0),
    )


def _cells(line: Line, metrics: Sequence[str]) -> tuple[str, ...]:
    count = f"{line.count}" + (f" (+{line.unfit} too long)" if line.unfit else "")
    head = (line.method, line.length or "-", line.task, count)
    if not line.count:
        return (*head, *["-"] * (len(metrics) + 9))
    return (
        *head,
        *(
            interval_text(name, line.scores[name]) if name in line.scores else "-"
            for name in metrics
        ),
        "-" if line.tflops is None else f"{line.tflops:.4g}",
        f"{line.hear:.2f}",
        f"{line.fuse:.3f}",
        f"{line.read:.2f}",
        f"{line.reply:.2f}",
        f"{line.seconds:.2f}",
        "-" if line.first is None else f"{line.first:.2f}",
        f"{line.real_time_factor:.4f}",
        f"{line.peak / 1e9:.2f}",
    )
