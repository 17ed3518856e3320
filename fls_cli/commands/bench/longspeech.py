"""`fls bench longspeech-eval`: ways to shorten recordings side by side, by score and by cost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fls_cli.console.text import clean, printable
from fls_cli.options import common as options
from fls_cli.options.bench import work_folder
from fls_cli.session.engine import Engine
from fls_cli.session.session import Session, open_session
from fls_cli.sources.decode import decode
from fls_cli.storage.files import check_folder, make_folder, write_atomically
from fls_cli.writers import longspeech_report
from fls_cli.writers.longspeech_report import LongSpeechReport
from fls_models.core.budget import NAMES
from fls_models.core.optional import optional
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.answering.model import Model
    from fls_models.bench.caches.transcripts import TranscriptCache
    from fls_models.bench.scoring.judge import Judge
    from fls_models.pipelines.cascade import CascadeModel

KEY = "FLS_JUDGE_KEY"
_WHAT = "What to measure"
_JUDGE = "Judge"


def longspeech_eval(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="The folder of LongSpeech-Eval, or JSON lines of audio, question, answer, "
            "choices, facts, transcript, task.",
            show_default=False,
        ),
    ],
    tasks: Annotated[
        str,
        typer.Option(
            "--tasks",
            metavar="TASK,...",
            help="asr, qa, dialogue, summary, emotion.",
            rich_help_panel=_WHAT,
        ),
    ] = "asr,qa,dialogue,summary,emotion",
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            metavar="METHOD,...",
            help="fusion, random, avgpool, mostsim, single-pass, no-density, uncompressed, "
            "ntk-rope, cascade, with commas; the first four unless given.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
    lengths: Annotated[
        str | None,
        typer.Option(
            "--lengths",
            metavar="N,...",
            help="Frames that 30 s of audio become.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    budgets: Annotated[
        str | None,
        typer.Option(
            "--budgets",
            metavar="BUDGET,...",
            help="fast, balanced, accurate, with commas; all, where no lengths are given.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    ablate: Annotated[
        bool,
        typer.Option(
            "--ablate", help="Fusion without iteration, without density.", rich_help_panel=_WHAT
        ),
    ] = False,
    replies: Annotated[
        bool,
        typer.Option(
            "--replies/--no-replies",
            help="Have questions answered in words; without, choices alone are scored.",
            rich_help_panel=_WHAT,
        ),
    ] = True,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", metavar="N", min=1, help="Of a reply.")
    ] = 128,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Only the first N items.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            metavar="URL|MODEL",
            help="Grades answers from 1 to 5: an OpenAI-compatible endpoint (its key in "
            f"{KEY}), or a model that reads text, such as mini.",
            rich_help_panel=_JUDGE,
        ),
    ] = None,
    judge_model: Annotated[
        str | None,
        typer.Option(
            "--judge-model",
            metavar="NAME",
            help="The model's name at the endpoint.",
            rich_help_panel=_JUDGE,
        ),
    ] = None,
    model: options.Model = "auto",
    read: options.Read = "auto",
    ear: Annotated[
        str,
        typer.Option("--ear", metavar="MODEL", help="Whose Whisper writes the cascade's text."),
    ] = "mini",
    effort: Annotated[
        str, typer.Option("--effort", metavar="BUDGET", help="At which effort it listens.")
    ] = "balanced",
    head: options.Head = None,
    device: options.Device = "auto",
    dtype: options.Dtype = "nf4",
    low_memory: options.LowMemory = False,
    work: Annotated[
        Path | None,
        typer.Option(
            "--work",
            metavar="DIR",
            help="Keep results here; an interrupted bench goes on where it stopped.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Tables (.md, .csv), all rows (.json), all answers and plots.",
        ),
    ] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Plots among them.")] = True,
    quiet: options.Quiet = False,
    offline: options.Offline = False,
) -> None:
    """Compare ways to shorten long recordings.

    Side by side: score, operations, seconds, memory.

    Example: fls bench longspeech-eval items.jsonl --model qwen2-audio -o out/
    """
    _check_place(output)
    if plots and output is not None:
        optional("matplotlib", "A plot", otherwise="; --no-plots does without")
    with open_session(quiet=quiet, offline=offline) as session:
        from fls_models.bench.caches.results import Kept
        from fls_models.bench.longspeech.evaluate import LongSpeechEval
        from fls_models.bench.longspeech.items import TASKS, load_spoken_items
        from fls_models.bench.longspeech.methods import (
            ABLATION,
            check_lengths,
            lengths_of,
            methods_named,
        )
        from fls_models.bench.scoring.judge import judge_rows

        asked = _listed(methods) if methods else []
        asked += list(ABLATION) if ablate else []
        chosen = methods_named(asked or ["fusion", "random", "avgpool", "mostsim"])
        numbers = _listed(lengths or "")
        paid = _listed(budgets or "") or ([] if lengths else list(NAMES))
        check_lengths(numbers, paid)
        if effort not in NAMES:
            raise UsageError(f"--effort takes {', '.join(NAMES)}, not {effort!r}.")
        if not judge and judge_model:
            raise UsageError("--judge-model goes with --judge and an address.")
        items = load_spoken_items(data, _tasks(tasks, TASKS), limit)
        grader = _server(judge, judge_model)
        if read == "auto" and any(method.reads != "text" for method in chosen):
            read = "frames"
        loaded = session.model(
            Engine(model, device=device, dtype=dtype, head=head, low_memory=low_memory, read=read)
        )
        writes = any(method.reads == "text" for method in chosen)
        if loaded.reads_by == "text":
            ear = loaded.card.name
        listener = _text_model(session, loaded, ear, "--ear") if writes else None
        work = work_folder(work)
        kept = Kept(work)
        bench = LongSpeechEval(
            loaded,
            decode,
            kept,
            hearing=None if listener is None else _hearing(listener, work),
            ear="" if listener is None else listener.ear,
            effort=effort,
            max_tokens=max_tokens,
            replies=replies,
            progress=session.bars,
        )
        rows = bench.run(items, chosen, lengths_of(numbers, paid, loaded.rates))
        if judge and grader is None:
            from fls_models.bench.scoring.judge import OwnJudge

            own = listener if listener and listener.card.name == judge else None
            own = own or _text_model(session, loaded, judge, "--judge")
            grader = OwnJudge(own.language_model, own.card.name)
        judging = judge_rows(grader, rows, kept, session.bars) if grader else None
        where = str(getattr(loaded.language_model, "device", "cpu"))
        report = LongSpeechReport(data.name, loaded.card.name, where, tuple(rows), judging)
        if (told := longspeech_report.untold(judging)) is not None:
            session.say(told)
        if as_json:
            session.show(clean(longspeech_report.as_json(report)))
        else:
            found = longspeech_report.tables(report)
            session.show(clean("\n".join(table.as_text() for table in found)))
        if output is not None:
            _write(report, output, plots=plots)
        session.finish()


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


def _text_model(session: Session, loaded: Model, name: str, option: str) -> CascadeModel:
    """A model that reads text: the one that is measured, if it is that, or another beside it."""
    from fls_models.core.cache import NULL_CACHE

    found: Any = loaded
    if loaded.reads_by != "text" or loaded.card.name != name:
        found = session.start(Engine(name, read="text"), NULL_CACHE)
    if found.reads_by != "text":
        raise UsageError(f"{option} takes a model that reads text, such as mini, not {name}.")
    text: CascadeModel = found
    return text


def _server(judge: str | None, model: str | None) -> Judge | None:
    """The judge behind an address, None where the judge is a model of this project."""
    if judge is None or "://" not in judge:
        return None
    from fls_models.bench.scoring.judge_server import ServerJudge

    if not model:
        raise UsageError("--judge with an address needs --judge-model, the model's name there.")
    return ServerJudge(judge, model, os.environ.get(KEY) or None)


def _listed(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


def _tasks(given: str, known: tuple[str, ...]) -> list[str]:
    names = _listed(given)
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise UsageError(
            f"There is no task {', '.join(wrong) or given!r}; there are: {', '.join(known)}."
        )
    return names


def _check_place(output: Path | None) -> None:
    """A folder to write to: better known now than after hours."""
    if output is None:
        return
    if os.path.exists(output) and not os.path.isdir(output):
        raise UsageError(f"{printable(str(output))} is a file; -o names a folder for the report.")
    make_folder(output)
    check_folder(output)
