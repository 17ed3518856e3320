"""`fls library`: the folders that `fls search` looks in where none is named."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from fls_cli.console.help_pages import CommandLine
from fls_cli.console.text import printable
from fls_cli.library.folders import library_folders, save_library_folders
from fls_cli.library.index import Index, user_index
from fls_cli.library.search import shelve
from fls_cli.media.source import Source
from fls_cli.sources.resolve import open_sources
from fls_models.core.progress import ignore
from fls_models.errors import FlsError, InputError, UsageError

app = CommandLine(
    help="Keep a list of folders of recordings, in which `fls search` looks.\n\n"
    "Example: fls library add ~/podcasts",
)

Folders = Annotated[
    list[str],
    typer.Argument(metavar="FOLDER...", help="Folders of recordings.", show_default=False),
]


@dataclass(frozen=True)
class _Status:
    """How many recordings there are in a folder and below, and what is known of them."""

    folder: str
    recordings: int
    heard: int
    failed: int


@app.command()
def add(folders: Folders) -> None:
    """Add folders to the library, with all below them.

    Nothing is heard by that; `fls search --hear` does it.

    Example: fls library add ~/podcasts
    """
    there = library_folders()
    for folder in folders:
        if not os.path.isdir(folder):
            raise UsageError(f"{printable(folder)} is no folder; name one that holds recordings.")
        path = _full(folder)
        if path in there:
            _say(f"{path} was in the library before")
        else:
            there.append(path)
    save_library_folders(there)


@app.command("list")
def list_() -> None:
    """Print the library's folders.

    Example: fls library list
    """
    for folder in library_folders():
        typer.echo(printable(folder))


@app.command()
def status(
    failed: Annotated[
        bool,
        typer.Option(
            "--failed", help="Print only what could not be heard, a name a line for --from-file."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a folder.")] = False,
) -> None:
    """Show how much of each folder was heard.

    Example: fls library status
    """
    folders = library_folders()
    if not folders:
        _say("the library is empty; `fls library add FOLDER` adds to it")
    with user_index(_say) as index:
        for folder in folders:
            with _files_below(folder) as files:
                names = index.failed(files.values())
                if failed:
                    for path in names:
                        typer.echo(str(path))
                else:
                    _show(_status(index, folder, files, len(names)), as_json)


@app.command()
def remove(folders: Folders) -> None:
    """Take folders out of the library. The recordings stay, and what was heard of them.

    Example: fls library remove ~/podcasts
    """
    there = library_folders()
    for folder in folders:
        names = {folder, _full(folder)}
        if not names.intersection(there):
            raise UsageError(
                f"{printable(folder)} is not in the library; `fls library list` shows what is."
            )
        there = [each for each in there if each not in names]
    save_library_folders(there)


@contextmanager
def _files_below(folder: str) -> Iterator[dict[Source, Path]]:
    """Recordings of a folder, each with its file; what cannot be read is said."""

    def fail(name: str, error: FlsError) -> None:
        _say(str(error))

    with open_sources([folder], failed=fail, progress=ignore) as sources:
        yield {source: source.local for source in sources if source.local is not None}


def _status(index: Index, folder: str, files: dict[Source, Path], failed: int) -> _Status:
    shelf = shelve(index, files)
    return _Status(folder, len(files), len(files) - len(shelf.unheard), failed)


def _show(status: _Status, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(status)))
        return
    failed = f", {status.failed} failed" if status.failed else ""
    heard = f"{status.heard} of {status.recordings} recordings heard{failed}"
    typer.echo(f"{printable(status.folder)}: {heard}")


def _full(folder: str) -> str:
    path = os.path.abspath(os.path.expanduser(folder))
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{printable(path)}: a folder whose name is no text cannot be kept; rename it."
        ) from None
    return path


def _say(text: str) -> None:
    typer.echo(f"fls: {printable(text)}", err=True)
