"""One line for each task, method and length, in the form of the paper's tables; as CSV and JSON.

Means over items, scores with their intervals. Pure functions: nothing is measured here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from fls_models.bench.longspeech.measurement import Measured, Row
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
        told = {name: value for name, value in vars(self).items() if name != "scores"}
        rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in told.items()}
        return {**rounded, "scores": {name: one.as_json() for name, one in self.scores.items()}}


def grouped(rows: Sequence[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """By task, method and length, in the order in which they first appear; `ALL` is the last."""
    found: dict[tuple[str, str, str], list[Row]] = {}

    def add(task: str, row: Row) -> None:
        length = "" if row.length is None else row.length.label
        found.setdefault((task, row.method.name, length), []).append(row)

    for row in rows:
        add(row.item.task, row)
    chosen = [row for row in rows if row.item.choices]
    if len({row.item.task for row in chosen}) > 1:
        for row in chosen:
            add(ALL, row)
    return found


def lines(rows: Sequence[Row], judged: Judged | None = None) -> list[Line]:
    """All rows, grouped in the order in which they first appear."""
    found = []
    for (task, method, length), same in grouped(rows).items():
        fit = [row for row in same if row.measured.fits]
        scores = [scored(row, judged or {}) for row in fit]
        estimates = {metric: estimate(scores, metric) for metric in METRICS}
        found.append(
            _line(
                (task, method, length),
                [row.measured for row in fit],
                len(same) - len(fit),
                {name: one for name, one in estimates.items() if one is not None},
            )
        )
    return found


def cells(found: Sequence[Line]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Headings and rows for people to read; scores that no line has are left out."""
    metrics = [name for name in METRICS if any(name in line.scores for line in found)]
    headings = (
        "method", "L / 30 s", "task", "n", *(METRIC_NAMES[name] for name in metrics),
        "TFLOPs", "hear s", "fuse s", "read s", "reply s", "all s", "to first word s", "RTF",
        "peak GB",
    )  # fmt: skip
    return headings, tuple(_cells(line, metrics) for line in found)


def as_csv(found: Sequence[Line]) -> str:
    """The same, a number a cell, shares and rates as fractions; empty is not known."""
    spread = [f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")]
    plain = [name for name in Line.__dataclass_fields__ if name != "scores"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*plain, *spread])
    for line in found:
        told = line.as_json()
        scores: list[float | str] = []
        for name in METRICS:
            one = line.scores.get(name)
            ends = ("", "", "") if one is None else (one.value, one.low, one.high)
            scores += [end if isinstance(end, str) else round(end, 5) for end in ends]
        writer.writerow([*("" if told[name] is None else told[name] for name in plain), *scores])
    return text.getvalue()


def shown(metric: str, one: Estimate, sign: str = "") -> str:
    """A value with its interval; shares and rates in per cent."""
    scale, digits = (1, 2) if metric == "judge" else (100, 1)
    value, low, high = (scale * number for number in (one.value, one.low, one.high))
    return f"{value:{sign}.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def _line(
    key: tuple[str, str, str],
    found: Sequence[Measured],
    unfit: int,
    scores: Mapping[str, Estimate],
) -> Line:
    def average(value: Callable[[Measured], float | None]) -> float | None:
        known = [one for one in map(value, found) if one is not None]
        return fmean(known) if known else None

    audio = sum(one.duration for one in found)
    flops = average(lambda one: one.flops)
    return Line(
        *key,
        rate=30 * sum(one.frames for one in found) / audio if audio else 0.0,
        count=len(found),
        unfit=unfit,
        scores=scores,
        tflops=None if flops is None else flops / 1e12,
        hear=average(lambda one: one.hear) or 0.0,
        fuse=average(lambda one: one.fuse) or 0.0,
        read=average(lambda one: one.read) or 0.0,
        reply=average(lambda one: one.reply) or 0.0,
        seconds=average(lambda one: one.seconds) or 0.0,
        first=average(lambda one: one.to_first),
        real_time_factor=sum(one.seconds for one in found) / audio if audio else 0.0,
        peak=max((one.peak for one in found), default=0),
    )


def _cells(line: Line, metrics: Sequence[str]) -> tuple[str, ...]:
    count = f"{line.count}" + (f" (+{line.unfit} too long)" if line.unfit else "")
    head = (line.method, line.length or "-", line.task, count)
    if not line.count:
        return (*head, *["-"] * (len(metrics) + 9))
    return (
        *head,
        *(shown(name, line.scores[name]) if name in line.scores else "-" for name in metrics),
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
