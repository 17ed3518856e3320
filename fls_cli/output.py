"""What leaves the program: text that a terminal survives, and files that are whole or absent."""

from __future__ import annotations

import errno
import os
import re
import secrets
from pathlib import Path

from fls_models.errors import DiskFull, UsageError

# C0 without tab and newline, DEL, C1 (which holds one-byte escape sequences), the characters that
# reorder what follows them, and halves of surrogate pairs, which no encoder takes.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """Text without control characters (newline and tab stay) and bidirectional overrides.

    Works character by character, so that a stream may be cleaned piece by piece.
    """
    return _UNSAFE.sub("", text)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file under a temporary name beside it, then renames it: all of it or nothing.

    A link is followed; a pipe or a device is written to directly. Text becomes UTF-8. Raises
    UsageError when the place cannot be written to, DiskFull when the content does not fit.
    """
    if path.is_dir():
        raise UsageError(f"{_shown(path)} is a folder; name a file in it.")
    raw = content.encode() if isinstance(content, str) else content
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(raw)
        else:
            _replace(Path(os.path.realpath(path)), raw)
    except FileNotFoundError:
        raise UsageError(
            f"{_shown(path.parent)} is not there to write {_shown(path)} into; create it with "
            "mkdir -p first."
        ) from None
    except OSError as failure:
        if failure.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"No room to write {_shown(path)}; free some space first.") from None
        raise UsageError(f"{_shown(path)} cannot be written: {failure.strerror}.") from None


def check_place(path: Path) -> None:
    """Raises UsageError where `write_atomically` would, as far as that can be known before."""
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        write_atomically(path, "")


def _replace(path: Path, content: bytes) -> None:
    # Not made from the file's own name, which may already be as long as names can be.
    temporary = path.with_name(f".fls-{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _shown(path: Path) -> str:
    return clean(str(path)).replace("\n", " ")
