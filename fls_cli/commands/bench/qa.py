"""`fls bench`: how good a model is, measured on recordings of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.console.help_pages import CommandLine
from fls_cli.console.text import clean
from fls_cli.options import bench as bench_options
from fls_cli.options import common as options
from fls_cli.options.bench import MeasuredModel, budgets_named, form_of, work_folder
from fls_cli.options.choices import Manners
from fls_cli.options.groups import grouped
from fls_cli.session.engine import Engine
from fls_cli.session.own_models import note_measured
from fls_cli.session.session import Session
from fls_cli.sources.decode import decode
from fls_cli.storage.files import write_atomically
from fls_cli.writers import bench_report
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.answering.model import Model
    from fls_models.bench.qa.conditions import ConditionInputs

app = CommandLine(
    help="Measure a model on recordings.\n\nExample: fls bench asr examples/asr-sample/sample.jsonl"
)


@dataclass(frozen=True)
class _Questions:
    """Which are asked, at which budgets."""

    budgets: Annotated[
        str,
        typer.Option(
            metavar="BUDGET,...",
            help="Which to measure, with commas; none: from the true text alone.",
        ),
    ] = "fast,balanced,accurate"
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="BUDGET",
            help="Hear every recording once, at this budget's effort, whatever is read of its "
            "transcript.",
        ),
    ] = None
    free: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="So many questions answered in words; -o lists every reply beside its reference.",
        ),
    ] = 40
    refusals: Annotated[
        bool,
        typer.Option(
            "--refusals/--no-refusals", help="Ask every question of a foreign recording, too."
        ),
    ] = True


@app.command("qa")
@grouped
def qa(
    *,
    items: Annotated[
        Path,
        typer.Argument(
            metavar="ITEMS.jsonl",
            help="JSON lines as SPIRAL has them: id, turns or text, question, choices, answer, "
            "and audio, a path relative to the file.",
            show_default=False,
        ),
    ],
    questions: _Questions,
    target: MeasuredModel,
    language: options.Language = None,
    limit: bench_options.Limit = None,
    work: bench_options.Work = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
    output: bench_options.Report = None,
    manners: Manners,
) -> None:
    """Ask questions about recordings, and count right answers.

    By likelihood of choices, in words, and what is refused.

    Models read what they hear, a transcript or fused frames, and the true text beside it.

    Example: fls bench qa examples/qa-sample/sample.jsonl --budgets balanced
    """
    budgets = [] if questions.budgets == "none" else budgets_named(questions.budgets)
    listen = budgets_named(questions.listen)[0] if questions.listen else None
    form = form_of(output)
    work = work_folder(work)
    with manners.session() as session:
        from fls_models.bench.caches.results import ResultCache
        from fls_models.bench.qa.items import load_items
        from fls_models.bench.qa.qa import QaBench
        from fls_models.bench.qa.report import run

        bench_items = load_items(items, limit)
        silent = sum(item.audio is None for item in bench_items)
        if budgets and silent:
            raise UsageError(
                f"{silent} of {len(bench_items)} items of {items} have no audio; "
                f"`python benchmarks/speak.py {items} --out spoken/` speaks them."
            )
        engine = target.engine
        model = session.model(engine)
        with _given(model, language, listen, work) as inputs:
            true = _true(session, model, engine, inputs)
            bench = QaBench(inputs, bench_items, ResultCache(work), session.bars, true=true)
            limits = questions.free, questions.refusals
            report = run(bench, model.card.name, len(bench_items), budgets, *limits)
        payload = bench_report.qa_json(report, items.name)
        tables = bench_report.qa_tables(report, items.name)
        text = "\n".join(table.as_text() for table in tables)
        session.show(payload if as_json else clean(text))
        if output is not None:
            markdown = bench_report.qa_markdown(report, items.name)
            write_atomically(output, clean(markdown if form == ".md" else payload))
        note_measured(model.card.name, bench_report.qa_note(report, items.name))
        session.finish()


@contextmanager
def _given(
    model: Model, language: str | None, listen: str | None, work: Path | None
) -> Iterator[ConditionInputs]:
    """Recordings as a model reads them: words, or frames, which always need a folder to lie in."""
    from fls_models.bench.caches.frames import FrameCache
    from fls_models.bench.caches.transcripts import TranscriptCache
    from fls_models.bench.qa.conditions import FrameInputs, TextInputs
    from fls_models.pipelines.frames import FrameModel

    name = model.card.name
    if not isinstance(model, FrameModel):
        hearing = TranscriptCache(
            lambda: model.transcriber, decode, name, work=work, language=language
        )
        yield TextInputs(model, hearing, listen=listen)
        return
    if listen:
        raise UsageError(
            f"--listen is for transcripts; {name} reads frames, which are heard for each budget."
        )
    with TemporaryDirectory(prefix="fls-bench-") as passing:
        yield FrameInputs(model, FrameCache(model, decode, work or Path(passing)))


def _true(
    session: Session, model: Model, engine: Engine, inputs: ConditionInputs
) -> ConditionInputs:
    """True transcripts, read by the same language model as text, without what frames take."""
    from fls_models.bench.qa.conditions import TextInputs
    from fls_models.bench.qa.transcript_model import ReadingText
    from fls_models.pipelines.frames import FrameModel

    if not isinstance(model, FrameModel):
        return inputs
    if not model.card.reads_text:
        return TextInputs(ReadingText(model), marks=(model.encoder_fingerprint,))
    # A text model that can read frames, too: its text reader has no LoRA and thresholds of its own.
    name = model.card.name if engine.model == "auto" else engine.model
    text_model = session.start(replace(engine, model=name, read="text"), session.memory)
    return TextInputs(text_model)
