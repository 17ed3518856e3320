"""What to read and in which order: files, folders, `-` and http(s) addresses become `Source`s.

Files are looked at when they are read, not here, so that one bad file of many fails alone.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.parse import urlsplit

from fls_cli.spool import spooled
from fls_models.errors import EmptyInput, InputError, MissingInput, UsageError

_SUFFIXES = (
    ".3g2 .3gp .aac .ac3 .aif .aifc .aiff .amr .ape .asf .au .avi .caf .dts .eac3 .flac .flv .m2ts "
    ".m4a .m4b .m4v .mka .mkv .mov .mp2 .mp3 .mp4 .mpeg .mpg .mts .mxf .oga .ogg .ogv .opus .spx "
    ".ts .tta .vob .w64 .wav .weba .webm .wma .wmv .wv"
)
MEDIA_SUFFIXES = frozenset(_SUFFIXES.split())
_URL = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """One recording to read.

    `location` is what the user typed (for a folder: joined with the file's path in it) and may
    hold a password, so it is not shown. `name` is what is shown: control characters replaced, an
    address without its password and query. `path` is the local file, for a pipe its temporary
    copy, for an address None.
    """

    location: str = field(repr=False)
    kind: Literal["file", "stdin", "url"]
    path: Path | None
    name: str


@contextmanager
def open_sources(
    arguments: Sequence[str], *, stdin: BinaryIO | None = None
) -> Iterator[list[Source]]:
    """The sources behind `arguments`, in that order; pipes are copied for as long as this is open.

    A folder stands for the media files in it and below, by suffix, sorted; hidden ones are left
    out and links to folders not followed. `stdin` stands in for the process's own.

    Raises UsageError (nothing is piped in, `-` twice, a malformed address), EmptyInput (a folder
    without media), InputError (a folder that may not be read), DiskFull (no room for a pipe).
    """
    if sum(argument == "-" for argument in arguments) > 1:
        raise UsageError("- stands for what is piped in and can be given only once.")
    with ExitStack() as stack:
        yield [source for argument in arguments for source in _sources_of(argument, stdin, stack)]


def check_readable(source: Source) -> None:
    """Raise the InputError that fits when `source` is no local file with something in it.

    MissingInput, EmptyInput, or InputError itself for folders, devices and permissions.
    """
    if source.path is None:
        return
    try:
        mode = os.stat(source.path).st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{source.name}: this is a folder; name a file in it.")
        if not stat.S_ISREG(mode):
            raise InputError(f"{source.name}: this is no file but a device; name a file.")
        with open(source.path, "rb") as file:
            empty = not file.read(1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingInput(_missing(source)) from error
    except PermissionError as error:
        raise InputError(
            f"{source.name}: no permission to read this file; allow it with chmod or ask its owner."
        ) from error
    except OSError as error:
        raise InputError(f"{source.name}: could not be read: {error.strerror}.") from error
    if empty and source.kind == "stdin":
        raise EmptyInput(
            f"{source.name}: nothing came through the pipe; check the command before it."
        )
    if empty:
        raise EmptyInput(f"{source.name}: this file is empty; record or download it again.")


def printable(text: str) -> str:
    """`text` on one line and harmless on a terminal: `?` for what does not print."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _sources_of(argument: str, stdin: BinaryIO | None, stack: ExitStack) -> Iterable[Source]:
    if not argument:
        raise UsageError("An empty name was given; name a file, a folder, an address or -.")
    if argument == "-":
        return [_piped(argument, stdin or _stdin(), "stdin", stack)]
    if _URL.match(argument):
        return [_address(argument)]
    if os.path.isdir(argument):
        return _files_below(argument)
    if _is_pipe(argument):
        with open(argument, "rb") as pipe:
            return [_piped(argument, pipe, printable(argument), stack)]
    path = Path(argument)
    if argument.startswith(("/dev/", "/proc/")):
        # /dev/stdin is another file to a child process.
        path = path.resolve()
    return [_file(argument, path)]


def _file(location: str, path: Path) -> Source:
    return Source(location, "file", path, printable(location))


def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "- reads what is piped in, and nothing is; write `command | fls ... -` or name a file."
        )
    return sys.stdin.buffer


def _is_pipe(argument: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(argument).st_mode)
    except OSError:
        return False


def _piped(location: str, pipe: BinaryIO, name: str, stack: ExitStack) -> Source:
    return Source(location, "stdin", stack.enter_context(spooled(pipe, name)), name)


def _address(location: str) -> Source:
    try:
        parts = urlsplit(location)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # Not shown: what cannot be parsed cannot be freed of its password either.
        raise UsageError("That http address is malformed; write https://host/path.")
    host = parts.netloc.rpartition("@")[2]
    return Source(location, "url", None, printable(f"{parts.scheme}://{host}{parts.path}"))


def _files_below(folder: str) -> list[Source]:
    def refuse(error: OSError) -> None:
        shown = printable(os.fsdecode(error.filename or folder))
        raise InputError(f"{shown}: this folder could not be read: {error.strerror}.") from error

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            path
            for path in (Path(parent, name) for name in files if not name.startswith("."))
            if path.suffix.lower() in MEDIA_SUFFIXES and path.is_file()
        ]
    if not found:
        raise EmptyInput(
            f"{printable(folder)}: a folder of nothing: no audio or video file lies in it or below."
        )
    return [_file(str(path), path) for path in sorted(found, key=lambda path: path.parts)]


def _missing(source: Source) -> str:
    if "://" in source.location:
        return f"{source.name}: only http and https addresses are read; download it first."
    return f"{source.name}: there is no such file; check the spelling."
