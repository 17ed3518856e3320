"""Files that appear whole or not at all, what tells them apart, and disks without room for them."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path, part: Path | None = None) -> Iterator[Path]:
    """Where to write what takes the place of `path`, a file or a folder, at the block's end.

    That is `part`, on the same disk; by default `path` with `.part` after its name. After an error
    `path` is what it was and `part` is gone. A killed process leaves `part` to whoever writes
    `path` next, so that only a `part` of its own makes it safe for two processes to do so at once.
    The folder around `path` is made if need be. Raises OSError.
    """
    part = part or path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        part.replace(path)
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file, text as UTF-8; any number of processes may at once. Raises OSError."""
    with replacing(path, path.with_name(f"{path.name}.{os.getpid()}.part")) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def json_object(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None where there is no such file, or anything else in it."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex; read in blocks. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lacks_room(error: Exception) -> bool:
    """Whether it is that the disk, or this user's share of it, is full."""
    # safetensors tells of a full disk in words only.
    code = getattr(error, "errno", None)
    return code in (errno.ENOSPC, errno.EDQUOT) or f"os error {errno.ENOSPC}" in str(error)
