"""Names of sources from a list, for those who have more of them than a command line holds."""

import codecs
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from fls_cli.console.text import printable
from fls_cli.sources.resolve import piped_in
from fls_models.errors import EmptyInput, InputError, UsageError

_LARGEST = 10_000_000
# In bytes; no path and hardly an address is as long as that.
_LONGEST_NAME = 8192


def all_names(arguments: Sequence[str], listed: Path | None) -> list[str]:
    """Sources that are given, then those that a list names, if there is one (`names_listed`)."""
    return [*arguments, *(names_listed(listed, beside=arguments) if listed else ())]


def names_listed(
    place: str | Path, *, beside: Sequence[str] = (), stdin: BinaryIO | None = None
) -> list[str]:
    """What the list at `place`, `-` for a pipe, names: one a line, or NUL-separated.

    Names are taken as they are, `#`, blanks and bytes that are not UTF-8 included; blank lines and
    the line ends of Windows are not part of any. With NULs in the list (`find -print0`), names may
    hold newlines, too. `beside` are the sources that are given apart from the list; `stdin` stands
    in for the process's own.

    Raises UsageError (a list that cannot be read, that is no list, or that is piped in while `-`
    is a source, too), EmptyInput (nothing is named), InputError (the pipe broke).
    """
    piped = str(place) == "-"
    label = "stdin" if piped else printable(str(place))
    if piped and "-" in beside:
        raise _read_twice()
    content = _from_pipe(stdin or piped_in()) if piped else _from_file(Path(place), label)
    if len(content) > _LARGEST:
        raise UsageError(
            f"{label}: over {_LARGEST // 1_000_000} MB is no list of names; is it a recording?"
        )
    names = _split(content.removeprefix(codecs.BOM_UTF8))
    if names is None or any(len(name) > _LONGEST_NAME for name in names):
        raise UsageError(
            f"{label}: this is no list of names, one a line or with NULs between them; "
            "is it a recording?"
        )
    if not names:
        raise EmptyInput(f"{label}: this list names nothing; check what made it.")
    if piped and b"-" in names:
        raise _read_twice()
    return [os.fsdecode(name) for name in names]


def _split(content: bytes) -> list[bytes] | None:
    """The names in `content`; None when it cannot be a list of them."""
    if b"\0" not in content:
        lines = (line.removesuffix(b"\r") for line in content.split(b"\n"))
        return [line for line in lines if line.strip()]
    names = content.removesuffix(b"\0").split(b"\0")
    # find names nothing by nothing, and a file of another kind has more than one NUL in a row.
    return names if all(names) else None


def _from_pipe(pipe: BinaryIO) -> bytes:
    try:
        return pipe.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"stdin: the list could not be read: {error.strerror}.") from error


def _from_file(path: Path, label: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise UsageError(f"{label}: there is no such list; check the spelling.") from error
    except OSError as error:
        raise UsageError(f"{label}: this list could not be read: {error.strerror}.") from error


def _read_twice() -> UsageError:
    return UsageError(
        "- is where the list is piped in, so it cannot be a source, too; put the list into a file."
    )
