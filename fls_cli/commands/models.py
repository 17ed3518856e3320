"""`fls models`: which models there are, what they are made of, fetching and removing them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.places import cache_folder
from fls_cli.progress import Bars

if TYPE_CHECKING:
    from pathlib import Path

    from fls_models.card import Card, Part

app = typer.Typer(
    no_args_is_help=True,
    help="List, inspect, fetch and remove models.\n\nExample: fls models list",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name that `fls models list` shows.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON array with an object a model.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Every model: its name, whether it is installed, what it is.

    Example: fls models list
    """
    from fls_models import card, weights

    cache = cache_folder()
    rows = []
    for found in map(card.load, card.names()):
        missing = weights.bytes_to_fetch(found, cache)
        rows.append(
            {
                "name": found.name,
                "installed": missing == 0,
                "bytes_to_download": missing,
                "summary": found.summary,
                "runs_on": found.runs_on,
                "memory_gb": found.memory_gb,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    width = max(len(str(row["name"])) for row in rows)
    for row in rows:
        state = "installed" if row["installed"] else f"{_mb(row['bytes_to_download'])} to download"
        typer.echo(f"{row['name']:<{width}}  {state:<19}  {row['summary']}")


@app.command()
def show(name: Name) -> None:
    """All that is known of a model: parts, licences, origins, sizes, hashes, where it lies.

    Example: fls models show mini
    """
    from fls_models import card

    found, cache = card.load(name), cache_folder()
    typer.echo(f"{found.name}: {found.summary}")
    typer.echo(f"runs on:   {found.runs_on}")
    typer.echo(f"takes:     {found.memory_gb:g} GB of memory")
    typer.echo(f"limits:    {found.limits}")
    typer.echo(f"one pass:  at most {found.max_frames} frames or tokens of a recording")
    lines = (f"{name} {value:g}" for name, value in asdict(found.thresholds).items())
    typer.echo(f"says no:   below {', '.join(lines)} nats a token")
    for role, part in (("speech", found.speech), ("language", found.llm)):
        typer.echo("")
        _show_part(role, part, cache)


@app.command()
def pull(name: Name, quiet: Quiet = False) -> None:
    """Download a model; prints the folders it lies in.

    Does nothing when it is there; goes on where an interrupted download stopped.

    Example: fls models pull mini
    """
    from fls_models import card, weights

    found, cache = card.load(name), cache_folder()
    with Bars(quiet=quiet) as bars:
        if missing := weights.bytes_to_fetch(found, cache):
            bars.note(f"Downloading {name}: {_mb(missing)}, once.")
        installed = weights.pull(found, cache, bars)
    for place in dict.fromkeys((installed.speech, installed.llm)):
        typer.echo(place)


@app.command()
def remove(name: Name) -> None:
    """Delete a model's weights; parts that other installed models need stay.

    Example: fls models remove small
    """
    from fls_models import card, weights

    found, cache = card.load(name), cache_folder()
    others = [card.load(other) for other in card.names() if other != name]
    keep = [other for other in others if _is_installed(other, cache)]
    freed = weights.remove(found, cache, keep)
    said = f"Removed {name}: {_mb(freed)} freed." if freed else f"Nothing of {name} to remove."
    for other in keep:
        if shared := ", ".join(part.name for part in found.parts if part in other.parts):
            said += f" Kept for {other.name}: {shared}."
    typer.echo(said, err=True)


def _is_installed(card: Card, cache: Path) -> bool:
    from fls_models import weights

    return all(weights.is_installed(part, cache) for part in card.parts)


def _show_part(role: str, part: Part, cache: Path) -> None:
    from fls_models import weights

    there = weights.is_installed(part, cache)
    place = weights.folder(part, cache) if there else f"not here; {_mb(part.bytes)} to download"
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


def _mb(count: object) -> str:
    assert isinstance(count, int)
    return f"{count / 1e6:.0f} MB"
