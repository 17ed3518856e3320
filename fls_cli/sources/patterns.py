"""Names with `*`, `?` and `[` in them, for those whom no shell spares the work.

A list of names is read by no shell, and `**` is nothing special to most of them.
"""

import errno
import fnmatch
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from fls_models.core.progress import ignore

_WILD = frozenset("*?[")


def is_pattern(text: str) -> bool:
    """Whether `text` holds wildcards; a file may still be called that."""
    return not _WILD.isdisjoint(text)


def fixed_part(pattern: str) -> Path:
    """The folder that `pattern` starts from: its parts before the first with a wildcard.

    Wildcards in the names of folders that are there count as letters: `[2024] talks/*.mp3`.
    """
    return _split(pattern)[0]


def matches(pattern: str, unreadable: Callable[[OSError], None] = ignore) -> list[Path]:
    """The files and folders that `pattern` describes, as paths below `fixed_part`, sorted.

    `*`, `?` and `[...]` stand for letters of one name and, as in shells, not for the dot of a
    hidden one; `**` stands for folders, any number of them, without following links. Folders that
    may not be read hold nothing; `unreadable` is told of them.
    """
    exists = os.path.isdir if pattern.endswith("/") else os.path.lexists
    paths = {path for path in _matches(*_split(pattern), unreadable) if exists(path)}
    return sorted(paths, key=lambda path: path.parts)


def _split(pattern: str) -> tuple[Path, tuple[str, ...]]:
    parts = PurePosixPath(pattern).parts
    fixed = 0
    while fixed < len(parts) and (
        not is_pattern(parts[fixed]) or os.path.lexists(Path(*parts[: fixed + 1]))
    ):
        fixed += 1
    return Path(*parts[:fixed]), parts[fixed:]


def _matches(
    folder: Path, parts: tuple[str, ...], unreadable: Callable[[OSError], None]
) -> Iterator[Path]:
    if not parts:
        yield folder
        return
    first, rest = parts[0], parts[1:]
    if not is_pattern(first):
        path = folder / first
        if os.path.lexists(path):
            yield from _matches(path, rest, unreadable)
        return
    if first == "**":
        # Twice in a row says no more than once but would be searched for in every way.
        while rest[:1] == ("**",):
            rest = rest[1:]
        yield from _matches(folder, rest, unreadable)
        # Nothing after it: a folder is read with all that is below it anyway.
        for entry in _entries(folder, unreadable) if rest else []:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from _matches(folder / entry.name, parts, unreadable)
        return
    for entry in _entries(folder, unreadable):
        if entry.name.startswith(".") and not first.startswith("."):
            continue
        if fnmatch.fnmatchcase(entry.name, first) and (not rest or entry.is_dir()):
            yield from _matches(folder / entry.name, rest, unreadable)


def _entries(folder: Path, unreadable: Callable[[OSError], None]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            listing = list(entries)
        if os.access(folder, os.X_OK, effective_ids=True):
            return listing
        # Its names may be read, and nothing behind them.
        unreadable(PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder)))
    except PermissionError as error:
        unreadable(error)
    except OSError:
        pass
    return []
