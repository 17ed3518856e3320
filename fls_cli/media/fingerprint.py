"""What tells a recording from a later one of the same name: its bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fls_cli.media.source import Source, check_readable
from fls_models.core.files import digest
from fls_models.errors import InputError


@dataclass(frozen=True)
class Contents:
    """The bytes of a file: how many, when they changed last (ns), and their SHA-256."""

    bytes: int
    changed: int
    sha256: str


def contents_of(source: Source) -> Contents | None:
    """Those of an address, once it is fetched; None for a stream, which has no end.

    Raises what `check_readable` does, and what fetching does.
    """
    path = source.path
    if path is None:
        return None
    try:
        status = path.stat()
        sha256 = _digest(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise _unreadable(source, error) from error
    return Contents(status.st_size, status.st_mtime_ns, sha256)


def is_unchanged(source: Source, before: Mapping[str, Any] | None) -> bool:
    """Whether the source still has the contents of which `before` tells (as a mapping).

    A file that was only copied or touched is the same. Raises what `check_readable` does.
    """
    path = source.path
    if path is None or before is None:
        return path is None and before is None
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(source, error) from error
    if status.st_size != before.get("bytes"):
        return False
    if status.st_mtime_ns == before.get("changed"):
        return True
    now = contents_of(source)
    return now is not None and now.sha256 == before.get("sha256")


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, which are read again only where it has changed.

    Raises OSError.
    """
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    # The bytes of one recording are asked for several times while it is worked on.
    return digest(path)


def _unreadable(source: Source, error: OSError) -> InputError:
    try:
        check_readable(source)
    except InputError as reason:
        return reason
    return InputError(f"{source.name}: could not be read: {error.strerror}.")
