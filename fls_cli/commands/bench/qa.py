"""`fls bench`: how good a model is, measured on recordings of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from fls_cli.session.session import Session
from fls_cli.sources.decode import decode
from fls_cli.storage.files import write_atomically
from fls_cli.writers import bench_report
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.answering.model import Model
    from fls_models.bench.qa.conditions import Given

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
    measured: MeasuredModel,
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
    wanted = [] if questions.budgets == "none" else budgets_named(questions.budgets)
    listen = budgets_named(questions.listen)[0] if questions.listen else None
    form = form_of(output)
    work = work_folder(work)
    with manners.session() as session:
        from fls_models.bench.caches.results import Kept
        from fls_models.bench.qa.items import load_items
        from fls_models.bench.qa.qa import QaBench
        from fls_models.bench.qa.report import run

        found = load_items(items, limit)
        silent = sum(item.audio is None for item in found)
        if wanted and silent:
            raise UsageError(
                f"{silent} of {len(found)} items of {items} have no audio; "
                f"`python benchmarks/speak.py {items} --out spoken/` speaks them."
            )
        engine = measured.engine
        loaded = session.model(engine)
        with _given(loaded, language, listen, work) as given:
            true = _true(session, loaded, engine, given)
            bench = QaBench(given, found, Kept(work), session.bars, true=true)
            asked = questions.free, questions.refusals
            report = run(bench, loaded.card.name, len(found), wanted, *asked)
        if as_json:
            session.show(bench_report.qa_json(report, items.name))
        else:
            tables = bench_report.qa_tables(report, items.name)
            session.show(clean("\n".join(table.as_text() for table in tables)))
        if output is not None:
            render: Callable[..., str] = (
                bench_report.qa_markdown if form == ".md" else bench_report.qa_json
            )
            write_atomically(output, clean(render(report, items.name)))
        session.finish()


@contextmanager
def _given(
    loaded: Model, language: str | None, listen: str | None, work: Path | None
) -> Iterator[Given]:
    """Recordings as a model reads them: words, or frames, which always need a folder to lie in."""
    from fls_models.bench.caches.frames import FrameHearing
    from fls_models.bench.caches.transcripts import TranscriptCache
    from fls_models.bench.qa.conditions import GivenFrames, GivenText
    from fls_models.pipelines.frames import FrameModel

    name = loaded.card.name
    if not isinstance(loaded, FrameModel):
        hearing = TranscriptCache(
            lambda: loaded.transcriber, decode, name, work=work, language=language
        )
        yield GivenText(loaded, hearing, listen=listen)
        return
    if listen:
        raise UsageError(
            f"--listen is for transcripts; {name} reads frames, which are heard for each budget."
        )
    with TemporaryDirectory(prefix="fls-bench-") as passing:
        yield GivenFrames(loaded, FrameHearing(loaded, decode, work or Path(passing)))


def _true(session: Session, loaded: Model, engine: Engine, given: Given) -> Given:
    """True transcripts, read by the same language model as text, without what frames take."""
    from fls_models.bench.qa.conditions import GivenText
    from fls_models.bench.qa.transcript_model import ReadingText
    from fls_models.pipelines.frames import FrameModel

    if not isinstance(loaded, FrameModel):
        return given
    if not loaded.card.reads_text:
        return GivenText(ReadingText(loaded), marks=(loaded.ear,))
    # A text model that can read frames, too: its text reader has no LoRA and thresholds of its own.
    name = loaded.card.name if engine.model == "auto" else engine.model
    other = session.start(replace(engine, model=name, read="text"), session.memory)
    return GivenText(other)
