"""One recording to read: what it is called, where it lies, and whether there is anything in it."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from fls_cli.console.text import printable
from fls_models.errors import EmptyInput, InputError, MissingInput, UsageError


class Remote(Protocol):
    """What is fetched from an address; see `Source` for what each does."""

    @property
    def path(self) -> Path | None: ...
    @property
    def missing(self) -> str | None: ...
    def begin(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Source:
    """One recording to read.

    `location` is what the user typed (for a folder: joined with the file's path in it) and may
    hold a password, so it is not shown. `name` is what is shown: control characters replaced, an
    address without its password and query. `local` is the file, for a pipe its temporary copy; an
    address has none, but what `remote` fetches.

    `below` is where it stands among what it was found with: its path from the folder that was
    named, or from the part of a pattern before the first wildcard; for one file its name, for an
    address the last part of that, fit for a file name; None for what is piped in.
    """

    location: str = field(repr=False)
    kind: Literal["file", "stdin", "url"]
    local: Path | None
    name: str
    below: PurePosixPath | None = None
    remote: Remote | None = field(default=None, repr=False, compare=False)

    @property
    def path(self) -> Path | None:
        """The file to read: of an address, its copy, for which this waits.

        None for a stream without an end, which ffmpeg reads as it comes. Raises what
        `fls_cli.sources.fetching.fetch` does.
        """
        return self.local if self.remote is None else self.remote.path

    def begin(self) -> None:
        """Begins to fetch an address, and waits for its host to answer; raises as `path` does."""
        if self.remote is not None:
            self.remote.begin()

    @property
    def date(self) -> str:
        """When the file was made or changed last, `2026-11-30`; empty where nobody knows."""
        if self.kind != "file" or self.local is None:
            return ""
        try:
            changed = self.local.stat().st_mtime
        except OSError:
            return ""
        return datetime.fromtimestamp(changed, UTC).date().isoformat()

    @property
    def missing(self) -> str | None:
        """What of an address that was read could not be fetched, in words; None if all was."""
        return None if self.remote is None else self.remote.missing

    def discard(self) -> None:
        """Removes the copy of an address, as nobody will read it again."""
        if self.remote is not None:
            self.remote.close()


def check_apart(place: Path, sources: Iterable[Source]) -> None:
    """Raises UsageError for a place to write to at which one of the recordings lies."""
    for source in sources:
        with suppress(OSError):
            if source.local is not None and os.path.samefile(place, source.local):
                raise UsageError(
                    f"{printable(str(place))} is the recording {source.name} itself, which would "
                    "be lost; name another file."
                )


def check_readable(source: Source) -> None:
    """Raise the InputError that fits when `source` is no local file with something in it.

    MissingInput, EmptyInput, or InputError itself for folders, devices and permissions. Addresses
    are left to who reads them.
    """
    if source.local is None:
        return
    try:
        mode = os.stat(source.local).st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{source.name}: this is a folder; name a file in it.")
        if not stat.S_ISREG(mode):
            raise InputError(f"{source.name}: this is no file but a device; name a file.")
        with open(source.local, "rb") as file:
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


def _missing(source: Source) -> str:
    if "://" in source.location:
        return f"{source.name}: only http and https addresses are read; download it first."
    return f"{source.name}: there is no such file; check the spelling."
