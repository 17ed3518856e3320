"""What `fls bench` found, as aligned text for a terminal, Markdown or JSON. Pure functions.

A `Table` is made once and rendered twice: on stdout and in a report.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fls_cli.writers.plan_table import aligned

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
        return "\n".join([self.title, *aligned([self.headings, *self.rows])]) + "\n"

    def as_markdown(self) -> str:
        ruler = ["---"] + ["---:"] * (len(self.headings) - 1)
        rows = [self.headings, tuple(ruler), *self.rows]
        lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
        titles = [f"**{_cell(title)}**" for title in self.title.split("\n")]
        return "\n\n".join([*titles, "\n".join(lines)]) + "\n"


def qa_note(report: QaReport, name: str) -> str:
    """What was found, in a sentence for a model's card."""
    parts = [
        *(f"right choice in {each.share} ({each.condition})" for each in report.choices[1:]),
        *(f"right in words in {each.share} ({each.condition})" for each in report.free),
        *(
            f"refused {each.caught} of foreign and {each.lost} of own questions ({each.condition})"
            for each in report.refusals
        ),
        *(["refuses no question"] if report.never else []),
    ]
    return f"Measured by `fls bench qa` on {report.items} questions of {name}: {'; '.join(parts)}."


def asr_table(reports: Sequence[AsrReport], name: str) -> Table:
    """One row a budget."""
    first = reports[0]
    title = (
        f"{name}: {len(first.items)} recordings, {first.total('audio_seconds'):.0f} s, "
        f"{first.total('words')} words, model {first.model}"
    )
    headings = ("budget", "WER", "wrong", "replaced", "left out", "put in", "real-time factor")
    kinds = ("errors", "substitutions", "deletions", "insertions")
    rows = tuple(
        (
            report.budget,
            f"{100 * report.wer:.2f} %",
            *(str(report.total(kind)) for kind in kinds),
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
    budgets = [report.as_json() for report in reports]
    payload = {"bench": "asr", "manifest": name, "budgets": budgets}
    return json.dumps(payload, ensure_ascii=False, indent=1) + "\n"


def qa_tables(report: QaReport, name: str) -> Iterator[Table]:
    """Likelihood, free answers, refusals, seconds: those that were measured."""
    head = f"{name}: {report.items} items, model {report.model}, reading {report.reader}"
    yield Table(
        f"{head}\nCorrect choice likeliest per token, [95 % interval]",
        ("condition", "correct", "share"),
        tuple((row.condition, str(row.share.hits), str(row.share)) for row in report.choices),
    )
    if report.free:
        yield Table(
            f"Answered in words, {len(report.free[0].replies)} questions",
            ("condition", "right fact", "share", "refused"),
            tuple(
                (row.condition, str(row.share.hits), str(row.share), _refused(row))
                for row in report.free
            ),
        )
    headings = ("condition", "foreign questions caught", "own questions lost")
    if report.refusals:
        yield Table(
            "Refused ('the recording does not say')",
            headings,
            tuple(
                (row.condition, *(f"{s.hits}/{s.count}, {s}" for s in (row.caught, row.lost)))
                for row in report.refusals
            ),
        )
    if report.never:
        title = f"Refused: nothing, because {report.model} has no thresholds for it yet"
        yield Table(title, headings, tuple((condition, "-", "-") for condition in report.never))
    if report.listening:
        yield Table(
            "Seconds of listening",
            ("effort", "audio", "work", "real-time factor"),
            tuple(
                (budget, f"{audio:.0f}", f"{work:.0f}", f"{work / audio:.3f}")
                for budget, (work, audio) in report.listening.items()
                if audio
            ),
        )
    if report.free:
        replies = [reply for row in report.free for reply in row.replies]
        stages = list(dict.fromkeys(stage for reply in replies for stage in reply.seconds))
        yield Table(
            "Mean seconds a question, without listening",
            ("condition", *stages),
            tuple((row.condition, *(f"{row.mean(s):.2f}" for s in stages)) for row in report.free),
        )


def qa_markdown(report: QaReport, name: str) -> str:
    """All tables, then every free answer and every question that was refused wrongly or not."""
    parts = ["# Questions\n", *(table.as_markdown() for table in qa_tables(report, name))]
    if report.free:
        parts.append("## Every free answer\n")
        for replies in zip(*(result.replies for result in report.free), strict=True):
            item = replies[0].item
            parts.append(f"### {_cell(item.name)}: {_cell(item.question)}\n")
            parts.append(f"Correct: {_cell(item.correct)}\n")
            parts += [
                f"* {result.condition}, {_verdict(reply)}: {_cell(reply.text)}"
                for result, reply in zip(report.free, replies, strict=True)
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
    payload: dict[str, Any] = {"bench": "qa", "file": name, **report.as_json()}
    return json.dumps(payload, ensure_ascii=False, indent=1) + "\n"


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
