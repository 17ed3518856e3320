"""`fls models`: which models there are, what they are made of, fetching and removing them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fls_cli.console.help_pages import CommandLine
from fls_cli.console.progress import Bars
from fls_cli.console.sizes import size_text
from fls_cli.session.own_models import card_file, check_memory
from fls_cli.storage.paths import cache_folder
from fls_models.core.files import digest
from fls_models.errors import UsageError
from fls_models.weights import card
from fls_models.weights.card import Card, FrameCard, Part, TextCard, WeightFile

if TYPE_CHECKING:
    from fls_models.core.budget import FrameRates
    from fls_models.weights.base import Store

# A column of text in less is no text.
_NARROWEST = 20
# Of calibration, by the kind of question.
_CALIBRATED = {
    "own": "questions that a text answers are answered",
    "general": "questions about any text are answered",
    "foreign": "questions about other texts are refused",
    "everyday": "everyday questions are refused",
}
_DTYPES = ("nf4", "int8", "bf16")
# Of files of a connector.
_WEIGHTS = (".json", ".safetensors")

app = CommandLine(
    help="List, inspect, fetch and remove models.\n\nExample: fls models list",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name that `fls models list` shows.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON array with an object a model.")]
Dtype = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="DTYPE",
        help="nf4 (the default), int8 or bf16: how weights of a large model are kept.",
        autocompletion=lambda incomplete: [d for d in _DTYPES if d.startswith(incomplete)],
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FOLDER",
        help="Convert a large model that lies in this folder as the hub has it; download nothing.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Show every model: its name, whether it is installed, what it is.

    Example: fls models list
    """
    from fls_models.weights.store import store_of

    cache = cache_folder()
    models = list(_readable(card.names()))
    rows, states = [], []
    for model in models:
        store = store_of(model, cache)
        ready = store.is_ready()
        missing = 0 if ready else store.bytes_to_fetch()
        states.append("installed" if ready else f"{_size(store, missing)} to download")
        rows.append(
            {
                "name": model.name,
                "installed": ready,
                "bytes_to_download": missing,
                "summary": model.summary,
                "runs_on": model.runs_on,
                "memory_gb": model.memory_gb,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    width = max(len(model.name) for model in models)
    # As wide for small models alone as it was always.
    room = max(19, *map(len, states))
    indent = " " * (width + room + 4)
    columns = max(get_terminal_size().columns, len(indent) + _NARROWEST)
    for model, state in zip(models, states, strict=True):
        start = f"{model.name:<{width}}  {state:<{room}}  "
        typer.echo(fill(model.summary, columns, initial_indent=start, subsequent_indent=indent))


@app.command()
def show(name: Name) -> None:
    """Show all that is known of a model.

    Its parts, their licences, origins, sizes and hashes, and where it lies.

    Example: fls models show mini
    """
    typer.echo(_page(card.load(name)), nl=False)


@app.command()
def pull(name: Name, dtype: Dtype = None, source: From = None, quiet: Quiet = False) -> None:
    """Download a model; prints the folders it lies in.

    Does nothing when it is there; goes on where an interrupted download stopped. Large models are
    converted once to the dtype that is asked for.

    Example: fls models pull mini
    """
    from fls_models.weights.store import store_of

    store = store_of(card.load(name), cache_folder())
    if not store.dtypes and (dtype or source):
        flag = "--dtype" if dtype else "--from"
        raise UsageError(f"{flag} is for large models; {name} is none. Leave it out.")
    dtype = dtype or _DTYPES[0]
    if dtype not in _DTYPES:
        raise UsageError(f"--dtype takes {', '.join(_DTYPES)}, not {dtype!r}.")
    check_memory(store)
    with Bars(quiet=quiet) as bars:
        if missing := store.bytes_to_fetch(dtype):
            note = f"Downloading {name}: {_size(store, missing)}, once."
            bars.note(f"Converting {source}, once." if source else note)
        installed = store.pull(bars, dtype, source)
    for place in dict.fromkeys(installed.folders()):
        typer.echo(place)


@app.command()
def add(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the model is to be called.")],
    llm: Annotated[
        str | None,
        typer.Option(
            metavar="GGUF", help="A language model: FILE.gguf or hf:OWNER/REPO/FILE.gguf."
        ),
    ] = None,
    ears: Annotated[
        str | None,
        typer.Option(
            metavar="WHISPER",
            help="A Whisper: a folder as CTranslate2 or transformers keeps it, or hf:OWNER/REPO.",
        ),
    ] = None,
) -> None:
    """Give a language model or a Whisper of your own a name, by which --model takes both.

    What is not given is that of mini. Files on the hub are pinned to the hashes that it states, and
    fetched by `fls models pull` or with the first question.

    Example: fls models add phi --llm ~/Phi-4-mini-instruct-Q4_K_M.gguf
    """
    from fls_models.weights import own

    if llm is None and ears is None:
        raise UsageError("What is to be added? Give --llm, --ears, or both.")
    file, base = card_file(name), card.load(card.names()[0])
    if file.exists():
        raise UsageError(f"{name} is there already; `fls models remove {name}` takes it away.")
    assert isinstance(base, TextCard)
    mind, memory_gb = (None, None) if llm is None else own.described(own.llm_part(llm))
    hearing = None if ears is None else own.ears_part(ears)
    model = own.own_card(name, base, mind, hearing, memory_gb)
    own.write(model, file)
    for part in filter(None, (mind, hearing)):
        typer.echo(f"{part.what}: licence {part.licence}; from {part.origin}", err=True)
    next_step = "" if model.thresholds else f" `fls models calibrate {name}` lets it say no."
    typer.echo(f"Added {name}: takes about {model.memory_gb:g} GB of memory.{next_step}", err=True)


@app.command()
def calibrate(name: Name, quiet: Quiet = False) -> None:
    """Find out when an added model is to say that a recording does not say it.

    It reads texts that come with fls, some minutes long: questions that these answer, and such
    that they do not. What is found is kept in the model's card.

    Example: fls models calibrate phi
    """
    file = card.own_files().get(name)
    model = card.load(name)
    if file is None or not isinstance(model, TextCard):
        raise UsageError(f"{name} comes with fls, calibrated or not; this is for added models.")
    from dataclasses import replace

    from fls_models.answering.calibration import calibrate as measured
    from fls_models.pipelines.cascade import CascadeModel
    from fls_models.weights import own
    from fls_models.weights.store import store_of

    store = store_of(model, cache_folder())
    with Bars(quiet=quiet) as bars:
        check_memory(store)
        found = measured(CascadeModel(store.pull(bars)), bars)
    for kind, words in _CALIBRATED.items():
        share = found.right[kind]
        typer.echo(f"{round(share * found.count[kind])} of {found.count[kind]} {words}", err=True)
    own.write(replace(model, thresholds=found.thresholds), file)
    if found.thresholds is None:
        typer.echo(f"{name} cannot tell them apart: it refuses no question.", err=True)
    else:
        typer.echo(f"says no:   {_refusal(replace(model, thresholds=found.thresholds))}", err=True)


@app.command()
def remove(name: Name) -> None:
    """Delete a model's weights, and the name of an added one.

    In all dtypes; parts that other installed models need stay.

    Example: fls models remove small
    """
    from fls_models.weights.store import store_of

    model, cache = card.load(name), cache_folder()
    neighbours = list(_readable(other for other in card.names() if other != name))
    keep = [neighbour for neighbour in neighbours if store_of(neighbour, cache).is_ready()]
    freed = store_of(model, cache).remove(keep)
    if (own_file := card.own_files().get(name)) is not None:
        own_file.unlink(missing_ok=True)
    is_gone = freed or own_file is not None
    message = f"Nothing of {name} to remove."
    if is_gone:
        message = f"Removed {name}: {size_text(freed)} freed."
    for neighbour in keep:
        if shared := ", ".join(part.name for part in model.parts if part in neighbour.parts):
            message += f" Kept for {neighbour.name}: {shared}."
    typer.echo(message, err=True)


def _readable(names: Iterable[str]) -> Iterator[Card]:
    """Cards; of one that the user damaged it is only said so."""
    for name in names:
        try:
            yield card.load(name)
        except UsageError as error:
            typer.echo(f"fls: {error}", err=True)


def _page(model: Card) -> str:
    """All that is known of a model, by the template `model.txt`."""
    from jinja2 import Environment, StrictUndefined

    from fls_models.weights import store as weights

    cache = cache_folder()
    connector = weights.connector(model) if model.frames is not None else None
    files = (file for file in (connector.iterdir() if connector else ()) if file.suffix in _WEIGHTS)
    environment = Environment(lstrip_blocks=True, trim_blocks=True, undefined=StrictUndefined)
    environment.globals |= {"budgets": _budgets, "packages": _packages}
    template = resources.files(__package__).joinpath("model.txt").read_text("utf-8")
    return environment.from_string(template).render(
        card=model,
        refusal=_refusal(model),
        large=list(_large(model, cache)) if isinstance(model, FrameCard) else (),
        parts=[
            (role, part, _folder(part, cache))
            for role, part in zip(("speech", "language"), model.parts, strict=False)
        ],
        frames=model.frames,
        connector=connector,
        connector_files=[(file, digest(file)) for file in sorted(files)],
    )


def _refusal(model: Card) -> str:
    if model.thresholds is None:
        return "never: not calibrated"
    thresholds = (
        f"{name} {value:g}" for name, value in asdict(model.thresholds).items() if value is not None
    )
    return f"below {', '.join(thresholds)} nats a token"


def _budgets(rates: FrameRates) -> str:
    from fls_models.core.budget import NAMES
    from fls_models.core.constants import WINDOW_FRAMES, WINDOW_SECONDS

    ask, transcribe = (
        ", ".join(str(by_name[name]) for name in NAMES) for by_name in (rates.ask, rates.transcribe)
    )
    return (
        f"frames of {WINDOW_FRAMES} in {WINDOW_SECONDS} s; to ask {ask}; to transcribe "
        f"{transcribe}: {rates.source}"
    )


def _large(model: FrameCard, cache: Path) -> Iterator[tuple[Path | str, Mapping[str, Any]]]:
    """Where a large model lies in each dtype, and the record of what it was made of."""
    from fls_models.weights.large import source_of
    from fls_models.weights.store import store_of

    store = store_of(model, cache)
    for folder in store.folders():
        yield folder, {"files": (), **source_of(folder)}
    if not store.folders():
        size = _size(store, store.bytes_to_fetch())
        yield f"not here; {size} to download", {"files": ()}


def _folder(part: Part, cache: Path) -> Path | str:
    from fls_models.weights import store as weights

    if weights.is_installed(part, cache):
        return weights.folder(part, cache)
    return f"not here; {size_text(part.bytes)} to download"


def _packages(file: WeightFile) -> Iterable[str]:
    return dict.fromkeys(f"{piece.package}=={piece.version}" for piece in file.pieces)


def _size(store: Store[object], count: int) -> str:
    return size_text(count, about=bool(store.dtypes))
