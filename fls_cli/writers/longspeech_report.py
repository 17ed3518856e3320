"""What `fls bench longspeech-eval` found, as text, Markdown, CSV and JSON. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fls_cli.writers.bench_report import Table

if TYPE_CHECKING:
    from fls_models.bench.longspeech.measurement import Row
    from fls_models.bench.scoring.judge import Judging
    from fls_models.bench.scoring.tables import Line

_HOW = (
    "n: items; scores are over them, with 95 % bootstrap intervals (items drawn anew)",
    "all: the items of all tasks that have choices",
    "choices: the correct choice is the likeliest reply, per token",
    "facts: what the reply holds of the reference or its facts, by the rule of bench/facts.py",
    "WER: both sides after Whisper's English normaliser",
    "TFLOPs: counted from the model's dimensions (bench/cost.py), up to the reply's last word",
    "hear: decoding and encoding, once for all methods; for the cascade, Whisper's transcript",
    "fuse, read (prefill), reply: means an item. RTF: all of it for a second of audio",
    "peak: the device's memory on a GPU, else the whole process's",
)


@dataclass(frozen=True)
class LongSpeechReport:
    """Rows of one model on one set of items, and the grades of a judge, if there was one."""

    data: str
    model: str
    device: str
    rows: tuple[Row, ...]
    judging: Judging | None

    @property
    def lines(self) -> list[Line]:
        from fls_models.bench.scoring.tables import lines

        return lines(self.rows, self._grades)

    @property
    def _grades(self) -> dict[tuple[str, str | None, str], float]:
        return {} if self.judging is None else self.judging.grades


def tables(report: LongSpeechReport) -> list[Table]:
    """The table in the paper's form; fusion against the others, where there are others."""
    from fls_models.bench.scoring.gains import gain_cells, gains_of
    from fls_models.bench.scoring.tables import cells

    items = {row.item.name: row.measurement.duration for row in report.rows}
    title = (
        f"{report.data}: {len(items)} items, {sum(items.values()) / len(items):.0f} s on average, "
        f"model {report.model} on {report.device}"
    )
    if report.judging is not None:
        title += f", judge {report.judging.judge}"
    report_tables = [Table(title, *cells(report.lines))]
    gains = gains_of(report.rows, report._grades)
    if gains:
        name = "Gain of fusion on the same items, [95 % interval]"
        report_tables.append(Table(name, *gain_cells(gains)))
    return report_tables


def markdown(report: LongSpeechReport) -> str:
    """The tables, how they were measured, what could not be judged, the paper's own figures."""
    from fls_models.bench.scoring import tables as figures
    from fls_models.core.budget import NOT_MEASURED

    parts = ["# LongSpeech-Eval\n", *(table.as_markdown() for table in tables(report))]
    methods = {row.method.name: row.method.description for row in report.rows}
    notes = [*_HOW, *(f"{name}: {description}" for name, description in methods.items())]
    parts.append("".join(f"* {line}\n" for line in notes))
    if (note := ungraded_note(report.judging)) is not None:
        parts.append(f"{note}\n")
    title = f"LongSpeech-Eval, 164 recordings, an LLM judge, an L40: {NOT_MEASURED}"
    parts.append(Table(title, figures.PAPER_HEADINGS, figures.PAPER).as_markdown())
    return "\n".join(parts)


def ungraded_note(judging: Judging | None) -> str | None:
    """What has no grade, in a sentence; None where everything has one."""
    if judging is None or not (judging.failed or judging.ungradable):
        return None
    parts = [
        f"{len(judging.failed)} of {len(judging.failed) + len(judging.grades)} answers got no grade"
        " and are left out of the judge's mean"
    ]
    if judging.failed:
        parts[0] += f" (the first: {judging.failed[0][1]})"
    if judging.ungradable:
        parts.append(f"{judging.ungradable} have neither a reference nor a transcript")
    return "; ".join(parts) + "."


def as_json(report: LongSpeechReport) -> str:
    """Everything: the table, and each row with its scores."""
    from fls_models.bench.scoring.gains import gains_of
    from fls_models.bench.scoring.scores import judged_by, scored

    judging = report.judging
    payload: dict[str, Any] = {
        "bench": "longspeech-eval",
        "data": report.data,
        "model": report.model,
        "device": report.device,
        "judge": None
        if judging is None
        else {
            "name": judging.judge,
            "graded": len(judging.grades),
            "failed": [{"question": question, "why": why} for question, why in judging.failed],
            "ungradable": judging.ungradable,
        },
        "table": [line.as_json() for line in report.lines],
        "gains": [asdict(gain) for gain in gains_of(report.rows, report._grades)],
        "rows": [
            {
                **_named(row),
                "duration": row.measurement.duration,
                "scores": asdict(scored(row, report._grades)),
                "measured": asdict(row.measurement),
                "graded_as": None
                if row.measurement.text is None
                else list(judged_by(row.item, row.measurement.text)[:2]),
            }
            for row in report.rows
        ],
    }
    return json.dumps(payload, ensure_ascii=False, indent=1) + "\n"


def answers(rows: Sequence[Row]) -> str:
    """JSON lines: question, reference and reply of every row, in full."""
    lines = [
        {
            **_named(row),
            "question": row.item.question,
            "reference": row.item.transcript if row.item.task == "asr" else row.item.answer,
            "answer": row.measurement.text,
        }
        for row in rows
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _named(row: Row) -> dict[str, Any]:
    return {
        "id": row.item.name,
        "task": row.item.task,
        "method": row.method.name,
        "length": None if row.length is None else row.length.label,
    }
