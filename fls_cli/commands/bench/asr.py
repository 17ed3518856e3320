"""`fls bench asr`: word errors of transcribing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.console.text import clean
from fls_cli.options import bench as bench_options
from fls_cli.options import common as options
from fls_cli.options.bench import MeasuredModel, budgets_named, form_of, work_folder
from fls_cli.options.choices import Manners
from fls_cli.options.groups import grouped
from fls_cli.sources.decode import decode
from fls_cli.storage.files import write_atomically
from fls_cli.writers import bench_report

if TYPE_CHECKING:
    from fls_models.answering.model import Model


@grouped
def asr(
    *,
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST",
            help='JSON lines {"audio": PATH, "text": WORDS}, paths relative to the manifest.',
            show_default=False,
        ),
    ],
    budget: Annotated[
        str,
        typer.Option(
            "--budget",
            "-b",
            metavar="BUDGET,...",
            help="fast, balanced, accurate, or several with commas.",
        ),
    ] = "balanced",
    target: MeasuredModel,
    language: options.Language = None,
    limit: bench_options.Limit = None,
    work: bench_options.Work = None,
    as_json: bench_options.Json = False,
    output: bench_options.Report = None,
    manners: Manners,
) -> None:
    """Measure word errors of transcribing.

    After both sides were normalised (see benchmarks/README.md).

    Models write down what they hear: Whisper's words, or what fused frames read like.

    Example: fls bench asr examples/asr-sample/sample.jsonl -b fast,accurate
    """
    budgets = budgets_named(budget)
    form = form_of(output)
    work = work_folder(work)
    with manners.session() as session:
        from fls_models.bench.asr import load_manifest, measure
        from fls_models.bench.caches.transcripts import TranscriptCache

        utterances = load_manifest(manifest, limit)
        model = session.model(target.engine)
        name = model.card.name
        if model.reads_by != "text":
            name += f", reading {model.reads_by}"
        hearing = TranscriptCache(
            lambda: model.transcriber,
            decode,
            _kept_as(model),
            rates=model.rates,
            work=work,
            language=language,
        )
        reports = [measure(utterances, hearing, effort, name, session.bars) for effort in budgets]
        report = bench_report.asr_json(reports, manifest.name)
        table = bench_report.asr_table(reports, manifest.name).as_text()
        session.show(report if as_json else clean(table))
        if output is not None:
            markdown = bench_report.asr_markdown(reports, manifest.name)
            write_atomically(output, clean(markdown if form == ".md" else report))
        session.finish()


def _kept_as(model: Model) -> str:
    """What tells transcripts of models that lie in one folder from each other."""
    if model.reads_by == "text":
        return model.card.name
    fingerprint = hashlib.sha256(model.encoder_fingerprint.encode()).hexdigest()[:12]
    return f"{model.card.name}-{model.reads_by}-{fingerprint}"
