"""What `fls bench` found, as aligned text for a terminal, Markdown or JSON. Pure functions.

A `Table` is made once and rendered twice: on stdout and in a report.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fls_models.bench.asr import AsrReport
    from fls_models.bench.qa.qa import Replies, Reply
    from fls_models.bench.qa.report import QaReport


@dataclass(frozen=True)
class Table:
    """A title, headings and rows; the first column is words, the others are numbers."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def as_text(self) -> str:
        """Columns side by side, two spaces apart."""
        every = [self.headings, *self.rows]
        widths = [max(len(row[column]) for row in every) for column in range(len(self.headings))]
        lines = [
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in every
        ]
        return "\n".join([self.title, *lines]) + "\n"

    def as_markdown(self) -> str:
        ruler = ["---"] + ["---:"] * (len(self.headings) - 1)
        rows = [self.headings, tuple(ruler), *self.rows]
        lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
        titles = [f"**{_cell(title)}**" for title in self.title.split("\n")]
        return "\n\n".join([*titles, "\n".join(lines)]) + "\n"


def asr_table(reports: Sequence[AsrReport], name: str) -> Table:
    """One row a budget."""
    first = reports[0]
    title = (
        f"{name}: {len(first.items)} recordings, {first.audio_seconds:.0f} s, {first.words} words, "
        f"model {first.model}"
    )
    headings = ("budget", "WER", "wrong", "replaced", "left out", "put in", "real-time factor")
    rows = tuple(
        (
            report.budget,
            f"{100 * report.wer:.2f} %",
            str(report.errors),
            str(sum(item.substitutions for item in report.items)),
            str(sum(item.deletions for item in report.items)),
            str(sum(item.insertions for item in report.items)),
            f"{report.real_time_factor:.3f}",
        )
        for report in reports
    )
    return Table(title, headings, rows)


def asr_markdown(reports: Sequence[AsrReport], name: str) -> str:
    """The table, then every recording that has an error, both texts as they were compared."""
    parts = ["# Word error rate\n", asr_table(reports, name).as_markdown()]
    for report in reports:
        parts.append(f"## {report.budget}: recordings with errors\n")
        wrong = [item for item in report.items if item.errors]
        for item in wrong:
            parts.append(
                f"* `{_cell(item.name)}`: {item.errors} of {item.words}\n"
                f"  * said: {_cell(item.reference)}\n"
                f"  * heard: {_cell(item.hypothesis)}\n"
            )
        if not wrong:
            parts.append("None.\n")
    return "\n".join(parts)


def asr_json(reports: Sequence[AsrReport], name: str) -> str:
    found = {"bench": "asr", "manifest": name, "budgets": [one.as_json() for one in reports]}
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def qa_tables(report: QaReport, name: str) -> list[Table]:
    """Likelihood, free answers, refusals, seconds: those that were measured."""
    head = f"{name}: {report.items} items, model {report.model}, reading {report.reader}"
    tables = [
        Table(
            f"{head}\nCorrect choice likeliest per token, [95 % interval]",
            ("condition", "correct", "share"),
            tuple((one.condition, str(one.share.hits), str(one.share)) for one in report.choices),
        )
    ]
    if report.free:
        count = len(report.free[0].replies)
        tables.append(
            Table(
                f"Answered in words, {count} questions",
                ("condition", "right fact", "share", "refused"),
                tuple(
                    (one.condition, str(one.share.hits), str(one.share), _refused(one))
                    for one in report.free
                ),
            )
        )
    if report.refusals:
        tables.append(
            Table(
                "Refused ('the recording does not say')",
                ("condition", "foreign questions caught", "own questions lost"),
                tuple(
                    (
                        one.condition,
                        f"{one.caught.hits}/{one.caught.count}, {one.caught}",
                        f"{one.lost.hits}/{one.lost.count}, {one.lost}",
                    )
                    for one in report.refusals
                ),
            )
        )
    if report.never:
        tables.append(
            Table(
                f"Refused: nothing, because {report.model} has no thresholds for it yet",
                ("condition", "foreign questions caught", "own questions lost"),
                tuple((condition, "-", "-") for condition in report.never),
            )
        )
    if report.listening:
        tables.append(
            Table(
                "Seconds of listening",
                ("effort", "audio", "work", "real-time factor"),
                tuple(
                    (budget, f"{audio:.0f}", f"{work:.0f}", f"{work / audio:.3f}")
                    for budget, (work, audio) in report.listening.items()
                    if audio
                ),
            )
        )
    if report.free:
        tables.append(_stages(report))
    return tables


def qa_markdown(report: QaReport, name: str) -> str:
    """All tables, then every free answer and every question that was refused wrongly or not."""
    parts = ["# Questions\n", *(table.as_markdown() for table in qa_tables(report, name))]
    if report.free:
        parts.append("## Every free answer\n")
        for replies in zip(*(one.replies for one in report.free), strict=True):
            item = replies[0].item
            parts.append(f"### {_cell(item.name)}: {_cell(item.question)}\n")
            parts.append(f"Correct: {_cell(item.correct)}\n")
            parts += [
                f"* {one.condition}, {_verdict(reply)}: {_cell(reply.text)}"
                for one, reply in zip(report.free, replies, strict=True)
            ]
            parts.append("")
    for refusals in report.refusals:
        parts.append(f"## {refusals.condition}: own questions lost\n")
        parts += [f"* {_cell(question)}" for question in refusals.missed] or ["None."]
        parts.append(f"\n## {refusals.condition}: foreign questions answered\n")
        parts += [f"* {_cell(question)}" for question in refusals.slipped] or ["None."]
        parts.append("")
    return "\n".join(parts).rstrip("\n") + "\n"


def qa_json(report: QaReport, name: str) -> str:
    found: dict[str, Any] = {"bench": "qa", "file": name, **report.as_json()}
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def _stages(report: QaReport) -> Table:
    stages = list(dict.fromkeys(s for one in report.free for r in one.replies for s in r.seconds))
    return Table(
        "Mean seconds a question, without listening",
        ("condition", *stages),
        tuple((one.condition, *(f"{one.mean(s):.2f}" for s in stages)) for one in report.free),
    )


def _refused(replies: Replies) -> str:
    """How many; a dash where no question could have been."""
    return str(replies.refused) if replies.refuses or replies.refused else "-"


def _verdict(reply: Reply) -> str:
    if not reply.answered:
        return "refused"
    return "right" if reply.right else "wrong"


def _cell(text: str) -> str:
    """One line that neither ends a table's cell nor begins markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
