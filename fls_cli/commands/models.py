"""`fls models`: which models there are, what they are made of, fetching and removing them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.console.help_pages import CommandLine
from fls_cli.console.progress import Bars
from fls_cli.console.sizes import size_text
from fls_cli.storage.paths import cache_folder
from fls_models.core.files import digest
from fls_models.errors import UsageError
from fls_models.weights import card
from fls_models.weights.card import Card, FrameCard, FrameReading, Part

if TYPE_CHECKING:
    from fls_models.core.budget import FrameRates
    from fls_models.weights.base import Store

# A column of text in less is no text.
_NARROWEST = 20
_DTYPES = ("nf4", "int8", "bf16")

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
        autocompletion=lambda incomplete: [one for one in _DTYPES if one.startswith(incomplete)],
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
    found_cards = [card.load(name) for name in card.names()]
    rows, states = [], []
    for found in found_cards:
        store = store_of(found, cache)
        ready = store.is_ready()
        missing = 0 if ready else store.bytes_to_fetch()
        states.append("installed" if ready else f"{_size(store, missing)} to download")
        rows.append(
            {
                "name": found.name,
                "installed": ready,
                "bytes_to_download": missing,
                "summary": found.summary,
                "runs_on": found.runs_on,
                "memory_gb": found.memory_gb,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    width = max(len(one.name) for one in found_cards)
    # As wide for small models alone as it was always.
    room = max(19, *map(len, states))
    indent = " " * (width + room + 4)
    columns = max(get_terminal_size().columns, len(indent) + _NARROWEST)
    for found, state in zip(found_cards, states, strict=True):
        start = f"{found.name:<{width}}  {state:<{room}}  "
        typer.echo(fill(found.summary, columns, initial_indent=start, subsequent_indent=indent))


@app.command()
def show(name: Name) -> None:
    """Show all that is known of a model.

    Its parts, their licences, origins, sizes and hashes, and where it lies.

    Example: fls models show mini
    """
    found, cache = card.load(name), cache_folder()
    typer.echo(f"{found.name}: {found.summary}")
    typer.echo(f"runs on:   {found.runs_on}")
    whose = "" if found.reads_text else " of the device"
    typer.echo(f"takes:     {found.memory_gb:g} GB of memory{whose}")
    typer.echo(f"limits:    {found.limits}")
    typer.echo(f"one pass:  at most {found.max_frames} frames or tokens of a recording")
    typer.echo(f"says no:   {_refuses(found)}")
    if isinstance(found, FrameCard):
        _show_large(found, cache)
    for role, part in zip(("speech", "language"), found.parts, strict=False):
        typer.echo("")
        _show_part(role, part, cache)
    if found.frames is not None and found.frames.connector:
        typer.echo("")
        _show_connector(found, found.frames)


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
    wanted = dtype or _DTYPES[0]
    if wanted not in _DTYPES:
        raise UsageError(f"--dtype takes {', '.join(_DTYPES)}, not {wanted!r}.")
    with Bars(quiet=quiet) as bars:
        if missing := store.bytes_to_fetch(wanted):
            said = f"Downloading {name}: {_size(store, missing)}, once."
            bars.note(f"Converting {source}, once." if source else said)
        installed = store.pull(bars, wanted, source)
    for place in dict.fromkeys(installed.folders()):
        typer.echo(place)


@app.command()
def remove(name: Name) -> None:
    """Delete a model's weights.

    In all dtypes; parts that other installed models need stay.

    Example: fls models remove small
    """
    from fls_models.weights.store import store_of

    found, cache = card.load(name), cache_folder()
    others = [card.load(other) for other in card.names() if other != name]
    keep = [other for other in others if store_of(other, cache).is_ready()]
    freed = store_of(found, cache).remove(keep)
    said = (
        f"Removed {name}: {size_text(freed)} freed." if freed else f"Nothing of {name} to remove."
    )
    for other in keep:
        if shared := ", ".join(part.name for part in found.parts if part in other.parts):
            said += f" Kept for {other.name}: {shared}."
    typer.echo(said, err=True)


def _refuses(found: Card) -> str:
    if found.thresholds is None:
        return "never: not calibrated"
    lines = (f"{name} {value:g}" for name, value in asdict(found.thresholds).items())
    return f"below {', '.join(lines)} nats a token"


def _show_large(found: FrameCard, cache: Path) -> None:
    typer.echo(f"window:    {found.window} positions of {found.token_bytes} bytes each")
    typer.echo(f"budgets:   {_budgets(found.budgets)}")
    sizes = ", ".join(f"{dtype} {size:g} GB" for dtype, size in found.weights_gb.items())
    typer.echo(f"weights:   {sizes}; --low-memory keeps {found.low_memory_gb:g} GB off the device")
    typer.echo("")
    lora = ", with its LoRA" if found.adapter else ""
    typer.echo(f"model:  {found.architecture}{lora}")
    typer.echo(f"  licence  {found.licence}")
    typer.echo(f"  origin   {found.origin}")
    typer.echo(f"  hub      {found.repo}")
    for line in _lies(found, cache):
        typer.echo(f"  {line}")


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


def _lies(found: FrameCard, cache: Path) -> Iterator[str]:
    """Where a large model lies in each dtype, and what it was made of."""
    from fls_models.weights.large import stated
    from fls_models.weights.store import store_of

    store = store_of(found, cache)
    places = store.folders()
    if not places:
        size = _size(store, store.bytes_to_fetch())
        yield f"lies in  not here; {size} to download"
    for place in places:
        yield f"lies in  {place}"
        told = stated(place)
        if "commit" in told:
            yield f"  commit {told['commit']}, SHA-256 as the hub stated it"
        if "folder" in told:
            yield f"  from   {told['folder']}"
        for file in told.get("files", ()):
            yield f"  {file['path']}  {file['bytes']} bytes"
            if file["sha256"]:
                yield f"    sha256  {file['sha256']}"


def _show_part(role: str, part: Part, cache: Path) -> None:
    from fls_models.weights import store as weights

    there = weights.is_installed(part, cache)
    place = (
        weights.folder(part, cache) if there else f"not here; {size_text(part.bytes)} to download"
    )
    typer.echo(f"{role}:  {part.name}: {part.what}")
    typer.echo(f"  licence  {part.licence}")
    typer.echo(f"  origin   {part.origin}")
    typer.echo(f"  lies in  {place}")
    for file in part.files:
        typer.echo(f"  {file.path}  {file.bytes} bytes")
        typer.echo(f"    sha256  {file.sha256}")
        typer.echo(f"    hub     {file.hub.repo}/{file.hub.file}")
        packages = dict.fromkeys(f"{piece.package}=={piece.version}" for piece in file.pieces)
        typer.echo(f"    or      {' '.join(packages)}")


def _show_connector(found: Card, frames: FrameReading) -> None:
    """What a model that reads text reads frames with, and what that was measured to be worth."""
    from fls_models.weights import store as weights

    place = weights.connector(found)
    typer.echo(f"connector:  {frames.connector}: for --read frames")
    typer.echo(f"  one pass at most {frames.max_frames} frames in {frames.window} positions")
    typer.echo(f"  budgets  {_budgets(frames.budgets)}")
    for budget, (by_frames, by_text) in frames.accuracy.items():
        told = f"{by_frames:.1%} right by frames, {by_text:.1%} by text"
        typer.echo(f"  {budget:<8} {told}")
    if not frames.accuracy:
        typer.echo("  measured no; --read auto reads text")
    typer.echo(f"  lies in  {place or 'not here; --read frames needs a release of fls with it'}")
    for file in sorted(place.iterdir()) if place else ():
        if file.suffix in (".json", ".safetensors"):
            typer.echo(f"  {file.name}  {file.stat().st_size} bytes")
            typer.echo(f"    sha256  {digest(file)}")


def _size(store: Store[object], count: int) -> str:
    return size_text(count, about=bool(store.dtypes))
