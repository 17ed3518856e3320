"""`fls bench summary`: how true summaries are, and what they leave out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fls_cli.console.text import clean
from fls_cli.options import bench as bench_options
from fls_cli.options import common as options
from fls_cli.options.bench import MeasuredModel, form_of, work_folder
from fls_cli.options.choices import Manners
from fls_cli.options.groups import grouped
from fls_cli.storage.files import write_atomically
from fls_cli.writers import summary_report
from fls_models.core.budget import Budget
from fls_models.core.cache import NULL_CACHE
from fls_models.errors import UsageError


@grouped
def summary(
    *,
    items: Annotated[
        Path,
        typer.Argument(
            metavar="ITEMS.jsonl",
            help="JSON lines: id, turns or text, facts that a summary should hold, and topics, "
            "each a name and its first and last turn, if known.",
            show_default=False,
        ),
    ],
    budget: options.Budget = "balanced",
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Another model, which is asked whether each sentence is true."
        ),
    ] = None,
    target: MeasuredModel,
    limit: bench_options.Limit = None,
    work: bench_options.Work = None,
    as_json: bench_options.Json = False,
    output: bench_options.Report = None,
    manners: Manners,
) -> None:
    """Summarise what was said in recordings, and check each sentence against it.

    The first sentences of each recording, as many words, stand beside the summaries.

    Example: fls bench summary examples/summary-sample/sample.jsonl --model mini
    """
    paid = Budget(budget)
    form = form_of(output)
    work = work_folder(work)
    with manners.session() as session:
        from fls_models.answering.generation import GenerationConfig
        from fls_models.bench.caches.results import ResultCache
        from fls_models.bench.summary.items import load_summary_items
        from fls_models.bench.summary.summary import Judge, SummaryBench

        bench_items = load_summary_items(items, limit)
        model = session.model(target.engine)
        if model.reads_by != "text":
            raise UsageError(
                f"{model.card.name} reads {model.reads_by} here; the bench has texts: --read text."
            )
        other = None
        if judge is not None:
            judging = session.start(replace(target.engine, model=judge), NULL_CACHE)
            other = Judge(judging.language_model, judging.card.name)
        bench = SummaryBench(bench_items, ResultCache(work), session.bars)
        config = GenerationConfig(max_tokens=160)
        totals = bench.by_model(model, paid, config, other)
        methods = (totals, bench.openings(totals))
        told = (methods, items.name, None if other is None else other.name)
        payload = summary_report.summary_bench_json(*told)
        session.show(payload if as_json else clean(summary_report.summary_table(*told).as_text()))
        if output is not None:
            markdown = summary_report.summary_markdown(*told)
            write_atomically(output, clean(markdown if form == ".md" else payload))
        session.finish()
