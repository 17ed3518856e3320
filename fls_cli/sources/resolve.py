"""What to read and in which order: files, folders, patterns, `-` and addresses become `Source`s.

Files are looked at when they are read, not here, so that one bad file of many fails alone.
"""

import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from fls_cli.console.text import printable
from fls_cli.media.source import Source
from fls_cli.sources.folders import files_below, is_clip, is_recording, unreadable_folder
from fls_cli.sources.patterns import fixed_part, is_pattern, matches
from fls_cli.sources.remote import Remote
from fls_cli.sources.spool import spooled
from fls_cli.storage.file_names import safe_name
from fls_models.core.progress import Progress, ignore
from fls_models.errors import EmptyInput, InputError, MissingInput, UsageError

_URL = re.compile(r"https?://", re.IGNORECASE)


@contextmanager
def open_sources(
    arguments: Sequence[str],
    *,
    stdin: BinaryIO | None = None,
    failed: Callable[[str, InputError], None] | None = None,
    progress: Progress = ignore,
    note: Callable[[str], None] = ignore,
) -> Iterator[list[Source]]:
    """The sources behind `arguments`, in that order.

    Pipes are copied, and addresses when they are read, for as long as this is open.

    A folder stands for the recordings in it and below, sorted (see `fls_cli.sources.folders`). What
    names nothing but holds `*`, `?` or `[` is a pattern (see `fls_cli.sources.patterns`); of what
    matches, folders are read like folders, and files count if they are recordings or the pattern
    ends in their suffix. What is reached twice is read once, in its first place. `stdin` stands in
    for the process's own. `note` is told of clips of ours that are passed over in folders.

    With `failed`, an InputError is not raised: it is told of the argument (as it was typed) and
    the error, and the other arguments are read. So it is of each folder below an argument that may
    not be read. `progress` hears of what is fetched.

    Raises UsageError (nothing is piped in, `-` twice, a malformed address), EmptyInput (a folder
    without recordings), MissingInput (a pattern that nothing matches), InputError (a folder that
    may not be read), DiskFull (no room for a pipe), FfmpegMissing (see `fls_cli.sources.folders`).
    """
    if sum(argument == "-" for argument in arguments) > 1:
        raise UsageError("- stands for what is piped in and can be given only once.")
    sources: dict[str, Source] = {}
    with ExitStack() as stack:
        for argument in arguments:
            aside = _Aside()
            try:
                for source in _sources_of(argument, stdin, stack, progress, aside):
                    sources.setdefault(_identity(source), source)
                for place, problem in sorted(aside.unreadable.items()):
                    if failed is None:
                        raise problem
                    failed(place, problem)
            except InputError as error:
                if failed is None:
                    raise
                failed(argument, error)
            if aside.clips:
                note(f"{printable(argument)}: {_clips(len(aside.clips))}")
        yield list(sources.values())


def piped_in() -> BinaryIO:
    """The process's own stdin. Raises UsageError when it is a terminal or closed."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "- reads what is piped in, and nothing is; write `command | fls ... -` or name a file."
        )
    return sys.stdin.buffer


@dataclass
class _Aside:
    """What lies in folders and is not read: folders, by their paths, and clips of ours."""

    unreadable: dict[str, InputError] = field(default_factory=dict)
    clips: set[Path] = field(default_factory=set)

    def refuse(self, error: OSError) -> None:
        self.unreadable[os.fsdecode(error.filename)] = unreadable_folder(error)

    def files_below(self, folder: str | Path) -> list[Path]:
        return files_below(folder, unreadable=self.refuse, clip=self.clips.add)


def _clips(count: int) -> str:
    which = "a clip that fls cut out is" if count == 1 else f"{count} clips that fls cut out are"
    return f"{which} passed over; name a clip to have it heard"


def _sources_of(
    argument: str, stdin: BinaryIO | None, stack: ExitStack, progress: Progress, aside: _Aside
) -> list[Source]:
    if not argument:
        raise UsageError("An empty name was given; name a file, a folder, an address or -.")
    if argument == "-":
        return [_piped(argument, stdin or piped_in(), "stdin", stack)]
    if _URL.match(argument):
        return [_address(argument, progress, stack)]
    if os.path.isdir(argument):
        return _in_folder(argument, aside)
    if _is_pipe(argument):
        with open(argument, "rb") as pipe:
            return [_piped(argument, pipe, printable(argument), stack)]
    if is_pattern(argument) and "://" not in argument and not os.path.lexists(argument):
        return _matching(argument, aside)
    path = Path(argument)
    if argument.startswith(("/dev/", "/proc/")):
        # /dev/stdin is another file to a child process.
        path = path.resolve()
    return [_file(argument, path, path.name)]


def _identity(source: Source) -> str:
    return source.location if source.local is None else os.path.realpath(source.local)


def _file(location: str, path: Path, below: str | PurePath) -> Source:
    return Source(location, "file", path, printable(location), PurePosixPath(below))


def _is_pipe(argument: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(argument).st_mode)
    except OSError:
        return False


def _piped(location: str, pipe: BinaryIO, name: str, stack: ExitStack) -> Source:
    return Source(location, "stdin", stack.enter_context(spooled(pipe, name)), name)


def _address(location: str, progress: Progress, stack: ExitStack) -> Source:
    try:
        parts = urlsplit(location)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # Not shown: what cannot be parsed cannot be freed of its password either.
        raise UsageError("That http address is malformed; write https://host/path.")
    host = parts.netloc.rpartition("@")[2]
    name = printable(f"{parts.scheme}://{host}{parts.path}")
    names = (safe_name(unquote(part)) for part in reversed(parts.path.split("/")))
    last = next(filter(None, names), safe_name(host))
    remote = Remote(location, name, progress)
    stack.callback(remote.close)
    return Source(location, "url", None, name, PurePosixPath(last), remote)


def _in_folder(folder: str, aside: _Aside) -> list[Source]:
    paths = aside.files_below(folder)
    if not paths and not aside.unreadable:
        raise EmptyInput(
            f"{printable(folder)}: a folder of nothing: no audio or video file lies in it or below."
        )
    return [_file(str(path), path, path.relative_to(folder)) for path in paths]


def _matching(pattern: str, aside: _Aside) -> list[Source]:
    matching = matches(pattern, aside.refuse)
    if not matching and aside.unreadable:
        return []
    if not matching:
        raise MissingInput(
            f"{printable(pattern)}: there is no such file, and nothing matches it as a pattern; "
            "check the spelling."
        )
    # Who writes *.dat means those; who writes * does not mean the notes beside the recordings.
    suffix = PurePath(pattern).suffix
    is_named = bool(suffix) and not is_pattern(suffix)
    paths: set[Path] = set()
    for path in matching:
        if path.is_dir():
            try:
                paths.update(aside.files_below(path))
            except InputError as error:
                aside.unreadable[str(path)] = error
        elif not is_named and is_clip(path):
            aside.clips.add(path)
        elif is_named or is_recording(path):
            paths.add(path)
    if not paths and not aside.unreadable:
        raise EmptyInput(f"{printable(pattern)}: nothing that matches is an audio or video file.")
    start = fixed_part(pattern)
    return [
        _file(str(path), path, path.relative_to(start))
        for path in sorted(paths, key=lambda path: path.parts)
    ]
