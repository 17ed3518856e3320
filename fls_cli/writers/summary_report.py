"""What `fls bench summary` found, as a table, Markdown or JSON. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fls_cli.writers.bench_report import Table
from fls_cli.writers.transcripts.timed_words import one_line

if TYPE_CHECKING:
    from fls_models.bench.summary.summary import SummaryTotals


def summary_table(methods: Sequence[SummaryTotals], name: str, judge: str | None) -> Table:
    """One row a method; `judge` is the other model that checked sentences."""
    first = methods[0]
    title = f"{name}: {len(first.rows)} recording{'s' * (len(first.rows) != 1)}"
    headings = (
        *("method", "borne out", f"says {judge}" if judge else "", "wrong names of 100"),
        *("facts", "ROUGE-L", "topics", "copied", "repeated", "words", "seconds"),
    )
    rows = []
    for each in methods:
        counted, there = each.topics
        cells = (
            *(each.method, _percent(each.share("is_borne_out")), _percent(each.confirmed)),
            *(_number(each.wrong), _percent(each.facts), _percent(each.rouge)),
            *(f"{counted}/{there}" if there else "-", _percent(each.share("is_copied"))),
            *(_percent(each.share("is_repeated")), _number(each.words), _number(each.seconds)),
        )
        rows.append(cells)
    columns = [place for place, heading in enumerate(headings) if heading]
    return Table(
        title,
        tuple(headings[place] for place in columns),
        tuple(tuple(row[place] for place in columns) for row in rows),
    )


def summary_markdown(methods: Sequence[SummaryTotals], name: str, judge: str | None) -> str:
    """The table, then every summary, with what is wrong with its sentences."""
    parts = ["# Summaries\n", summary_table(methods, name, judge).as_markdown()]
    for rows in zip(*(method.rows for method in methods), strict=True):
        parts.append(f"## {one_line(rows[0].item.name)}\n")
        parts += [f"* should be said: {one_line(fact)}" for fact in rows[0].item.facts]
        for method, row in zip(methods, rows, strict=True):
            parts.append(f"\n{method.method}:\n")
            for place, sentence in enumerate(row.scores.sentences):
                doubts = [f"not heard: {', '.join(sentence.wrong)}"] if sentence.wrong else []
                doubts += ["not borne out"] * (not sentence.is_borne_out and not sentence.wrong)
                doubts += ["copied"] * sentence.is_copied + ["repeated"] * sentence.is_repeated
                doubts += [f"{judge} says no"] * bool(row.confirmed and not row.confirmed[place])
                note = f" ({'; '.join(doubts)})" if doubts else ""
                parts.append(f"* {one_line(sentence.text)}{note}")
        parts.append("")
    return "\n".join(parts)


def summary_bench_json(methods: Sequence[SummaryTotals], name: str, judge: str | None) -> str:
    payload = {"items": name, "judge": judge, "methods": [each.as_json() for each in methods]}
    return json.dumps(payload, ensure_ascii=False, indent=1) + "\n"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
