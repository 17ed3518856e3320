"""`fls bench`: how good a model is, measured on recordings of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli import bench_report, options
from fls_cli.desk import open_desk
from fls_cli.engines import Engine
from fls_cli.output import clean, write_atomically
from fls_models.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

app = typer.Typer(
    no_args_is_help=True,
    help="Measure a model on recordings.\n\n"
    "Example: fls bench asr examples/asr-sample/sample.jsonl",
)

_Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="Only the first N lines.")
]
_Report = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="A report with all details: .md or .json."),
]
_Work = Annotated[
    Path | None,
    typer.Option(
        "--work",
        metavar="DIR",
        help="Keep transcripts and results here; an interrupted bench goes on where it stopped.",
    ),
]


@app.command("asr")
def asr(
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
        typer.Option("--budget", "-b", help="fast, balanced, accurate, or several with commas."),
    ] = "balanced",
    model: options.Model = "auto",
    language: options.Language = None,
    limit: _Limit = None,
    work: _Work = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    output: _Report = None,
    quiet: options.Quiet = False,
    offline: options.Offline = False,
) -> None:
    """Word error rate of transcribing, after normalising both sides (see benchmarks/README.md).

    Example: fls bench asr examples/asr-sample/sample.jsonl --budget fast,accurate
    """
    budgets = _budgets(budget)
    form = _form(output)
    with open_desk(quiet=quiet, offline=offline) as desk:
        from fls_models.bench.asr import load_manifest, measure
        from fls_models.bench.heard import Hearing

        utterances = load_manifest(manifest, limit)
        loaded = desk.model(Engine(model))
        name = loaded.card.name
        hearing = Hearing(lambda: loaded.transcriber, _decode, name, work=work, language=language)
        reports = [measure(utterances, hearing, one, name, desk.bars) for one in budgets]
        if as_json:
            desk.show(bench_report.asr_json(reports, manifest.name))
        else:
            desk.show(clean(bench_report.asr_table(reports, manifest.name).as_text()))
        if output is not None:
            render = bench_report.asr_markdown if form == ".md" else bench_report.asr_json
            write_atomically(output, clean(render(reports, manifest.name)))
        desk.finish()


@app.command("qa")
def qa(
    items: Annotated[
        Path,
        typer.Argument(
            metavar="ITEMS.jsonl",
            help="JSON lines as SPIRAL has them: id, turns or text, question, choices, answer, "
            "and audio, a path relative to the file.",
            show_default=False,
        ),
    ],
    budgets: Annotated[
        str,
        typer.Option(
            "--budgets", help="Which to measure, with commas; none: from the true text alone."
        ),
    ] = "fast,balanced,accurate",
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="BUDGET",
            help="Hear every recording once, at this budget's effort, whatever is read of it.",
        ),
    ] = None,
    free: Annotated[
        int,
        typer.Option("--free", metavar="N", min=0, help="So many questions answered in words."),
    ] = 40,
    refusals: Annotated[
        bool,
        typer.Option(
            "--refusals/--no-refusals", help="Ask every question of a foreign recording, too."
        ),
    ] = True,
    model: options.Model = "auto",
    language: options.Language = None,
    limit: _Limit = None,
    work: _Work = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
    output: _Report = None,
    quiet: options.Quiet = False,
    offline: options.Offline = False,
) -> None:
    """Questions about recordings: by likelihood of choices, in words, and what is refused.

    Example: fls bench qa examples/qa-sample/sample.jsonl --budgets balanced -o report.md
    """
    wanted = [] if budgets == "none" else _budgets(budgets)
    listen = _budgets(listen)[0] if listen else None
    form = _form(output)
    with open_desk(quiet=quiet, offline=offline) as desk:
        from fls_models.bench.heard import Hearing
        from fls_models.bench.items import load_items
        from fls_models.bench.kept import Kept
        from fls_models.bench.qa import QaBench
        from fls_models.bench.qa_report import run

        found = load_items(items, limit)
        silent = sum(item.audio is None for item in found)
        if wanted and silent:
            raise UsageError(
                f"{silent} of {len(found)} items of {items} have no audio; "
                f"`python benchmarks/speak.py {items} --out spoken/` speaks them."
            )
        loaded = desk.model(Engine(model))
        name = loaded.card.name
        if loaded.reads_by != "text":
            raise UsageError(f"{name} reads frames; fls bench qa is for models that read text.")
        hearing = Hearing(lambda: loaded.transcriber, _decode, name, work=work, language=language)
        bench = QaBench(loaded, found, hearing, Kept(work), desk.bars, listen=listen)
        report = run(bench, name, len(found), wanted, free, refusals)
        if as_json:
            desk.show(bench_report.qa_json(report, items.name))
        else:
            tables = bench_report.qa_tables(report, items.name)
            desk.show(clean("\n".join(table.as_text() for table in tables)))
        if output is not None:
            render: Callable[..., str] = (
                bench_report.qa_markdown if form == ".md" else bench_report.qa_json
            )
            write_atomically(output, clean(render(report, items.name)))
        desk.finish()


def _decode(audio: Path) -> Iterator[NDArray[np.float32]]:
    """A media file as the models take it."""
    from fls_cli import media
    from fls_cli.inputs import open_sources

    # Absolute, so that no name is taken for an option, an address or a pipe.
    with open_sources([str(audio.absolute())]) as sources:
        for source in sources:
            yield from media.stream(source)


def _budgets(given: str) -> list[str]:
    """Names of budgets from a list with commas, each once."""
    names = list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    wrong = [name for name in names if name not in options.BUDGETS]
    if wrong or not names:
        raise UsageError(
            f"There is no budget {', '.join(wrong) or given!r}; there are: "
            f"{', '.join(options.BUDGETS)}."
        )
    return names


def _form(output: Path | None) -> str:
    """The ending of a report's name, checked before the work is done."""
    if output is None:
        return ""
    ending = output.suffix.lower()
    if ending not in (".md", ".json"):
        raise UsageError(f"{output}: a report ends in .md or .json.")
    if not output.parent.is_dir():
        raise UsageError(f"{output.parent} is not there to write {output.name} into.")
    return ending
