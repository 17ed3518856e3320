"""`fls cache`: what is kept of recordings, and getting rid of it."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from fls_cli.console.help_pages import CommandLine
from fls_cli.console.text import clean
from fls_cli.library.database import index_size, remove_index
from fls_cli.storage.cache import open_cache

app = CommandLine(
    help="Look at what is kept of recordings, and empty it.\n\nExample: fls cache info",
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object; sizes in bytes.")]


@app.command()
def info(as_json: AsJson = False) -> None:
    """Show what is kept, and where.

    How many entries there are of each kind, their size, and the limit.

    Example: fls cache info
    """
    content = open_cache().info()
    if as_json:
        row = {
            "folder": str(content.folder),
            "limit": content.limit,
            "entries": content.entries,
            "bytes": content.bytes,
            "kinds": [asdict(kind) for kind in content.kinds],
            "index": index_size(),
        }
        typer.echo(json.dumps(row, indent=2))
        return
    rows = [("kind", "entries", "size")]
    rows += [(kind.name, str(kind.entries), _mb(kind.bytes)) for kind in content.kinds]
    rows += [("total", str(content.entries), _mb(content.bytes))]
    width = max(len(name) for name, _, _ in rows)
    for name, entries, size in rows:
        typer.echo(f"{name:<{width}}  {entries:>7}  {size:>10}")
    typer.echo("")
    typer.echo(f"folder:  {clean(str(content.folder))}")
    typer.echo(f"limit:   {_mb(content.limit)}; FLS_CACHE_SIZE sets another")
    if index := index_size():
        typer.echo(f"index:   {_mb(index)} for `fls search`, beside it")


@app.command()
def clear() -> None:
    """Remove what is kept of recordings, the index of `fls search` too; models stay.

    Example: fls cache clear
    """
    _say(open_cache().clear() + remove_index())


@app.command()
def prune() -> None:
    """Remove what is over the limit.

    The least recently used go first, and what interruptions left.

    Example: fls cache prune
    """
    _say(open_cache().prune())


def _say(freed: int) -> None:
    typer.echo(f"{_mb(freed)} freed." if freed else "Nothing to remove.", err=True)


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
