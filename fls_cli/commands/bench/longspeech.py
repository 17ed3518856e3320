"""`fls bench longspeech-eval`: ways to shorten recordings side by side, by score and by cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fls_cli.console.text import clean
from fls_cli.options.bench import MeasuredModel, work_folder
from fls_cli.options.choices import Manners
from fls_cli.options.groups import grouped
from fls_cli.options.longspeech import CascadeEar, Comparison, Grading, ReportFiles
from fls_cli.session.engine import Engine
from fls_cli.session.session import Session
from fls_cli.sources.decode import decode
from fls_cli.storage.files import make_folder, write_atomically
from fls_cli.writers import longspeech_report
from fls_cli.writers.longspeech_report import LongSpeechReport
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.answering.model import Model
    from fls_models.bench.caches.transcripts import TranscriptCache
    from fls_models.bench.longspeech.methods import Method
    from fls_models.bench.scoring.judge import Judge
    from fls_models.pipelines.cascade import CascadeModel


@grouped
def longspeech_eval(
    *,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="The folder of LongSpeech-Eval, or JSON lines of audio, question, answer, "
            "choices, facts, transcript, task.",
            show_default=False,
        ),
    ],
    comparison: Comparison,
    max_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Of a reply.")] = 128,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only the first N items.")
    ] = None,
    grading: Grading,
    target: MeasuredModel,
    hearing: CascadeEar,
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep results here; an interrupted bench goes on where it stopped."
        ),
    ] = None,
    files: ReportFiles,
    manners: Manners,
) -> None:
    """Compare ways to shorten long recordings.

    Side by side: score, operations, seconds, memory.

    Example: fls bench longspeech-eval items.jsonl --model qwen2-audio -o out/
    """
    files.check()
    with manners.session() as session:
        from fls_models.bench.caches.results import ResultCache
        from fls_models.bench.longspeech.evaluate import LongSpeechEval
        from fls_models.bench.longspeech.items import load_spoken_items
        from fls_models.bench.longspeech.methods import lengths_of
        from fls_models.bench.scoring.judge import judge_rows

        methods = comparison.selection()
        amounts = comparison.amounts()
        grading.check()
        items = load_spoken_items(data, comparison.tasks_named(), limit)
        server = grading.server()
        model = session.model(_engine(target, methods))
        listener = _listener(session, model, methods, hearing.ear)
        work = work_folder(work)
        cache = ResultCache(work)
        bench = LongSpeechEval(
            model,
            decode,
            cache,
            hearing=None if listener is None else _hearing(listener, work),
            encoder_fingerprint="" if listener is None else listener.encoder_fingerprint,
            max_tokens=max_tokens,
            replies=comparison.replies,
            progress=session.bars,
        )
        rows = bench.run(items, methods, lengths_of(*amounts, model.rates))
        judge = server or _own_judge(session, model, listener, grading.judge)
        graded = judge_rows(judge, rows, cache, session.bars) if judge else None
        device = str(getattr(model.language_model, "device", "cpu"))
        report = LongSpeechReport(data.name, model.card.name, device, tuple(rows), graded)
        _show(session, report, as_json=files.as_json)
        if files.output is not None:
            _write(report, files.output, plots=files.plots)
        session.finish()


def _show(session: Session, report: LongSpeechReport, *, as_json: bool) -> None:
    if (note := longspeech_report.ungraded_note(report.judging)) is not None:
        session.say(note)
    if as_json:
        session.show(clean(longspeech_report.as_json(report)))
    else:
        tables = longspeech_report.tables(report)
        session.show(clean("\n".join(table.as_text() for table in tables)))


def _write(report: LongSpeechReport, folder: Path, *, plots: bool) -> None:
    """All files of a report, each whole or absent."""
    from fls_models.bench.scoring.tables import as_csv

    make_folder(folder)
    for name, text in (
        ("table.md", longspeech_report.markdown(report)),
        ("table.csv", as_csv(report.lines)),
        ("results.json", longspeech_report.as_json(report)),
        ("answers.jsonl", longspeech_report.answers(report.rows)),
    ):
        write_atomically(folder / name, clean(text))
    if plots:
        from fls_models.bench.scoring.plots import draw

        draw(report.lines, folder, f"{report.data}, {report.model}")


def _hearing(listener: CascadeModel, work: Path | None) -> TranscriptCache:
    from fls_models.bench.caches.transcripts import TranscriptCache

    return TranscriptCache(lambda: listener.transcriber, decode, listener.card.name, work=work)


def _engine(target: MeasuredModel, methods: Sequence[Method]) -> Engine:
    """The model, which reads frames if that is what any of the methods compares."""
    if target.read == "auto" and any(method.reads != "text" for method in methods):
        target = replace(target, read="frames")
    return target.engine


def _listener(
    session: Session, model: Model, methods: Sequence[Method], name: str
) -> CascadeModel | None:
    """Whose Whisper writes what is read as text, if any is."""
    if not any(method.reads == "text" for method in methods):
        return None
    name = model.card.name if model.reads_by == "text" else name
    return _text_model(session, model, name, "--ear")


def _own_judge(
    session: Session, model: Model, listener: CascadeModel | None, name: str | None
) -> Judge | None:
    """A model of this project as the judge; None where nobody is to judge."""
    if not name:
        return None
    from fls_models.bench.scoring.judge import OwnJudge

    judge = listener if listener and listener.card.name == name else None
    judge = judge or _text_model(session, model, name, "--judge")
    return OwnJudge(judge.language_model, judge.card.name)


def _text_model(session: Session, model: Model, name: str, option: str) -> CascadeModel:
    """A model that reads text: the one that is measured, if it is that, or another beside it."""
    from fls_models.core.cache import NULL_CACHE

    reader: Any = model
    if model.reads_by != "text" or model.card.name != name:
        reader = session.start(Engine(name, read="text"), NULL_CACHE)
    if reader.reads_by != "text":
        raise UsageError(f"{option} takes a model that reads text, such as mini, not {name}.")
    text: CascadeModel = reader
    return text
