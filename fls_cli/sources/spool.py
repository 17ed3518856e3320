"""A pipe copied to a temporary file, because only a file can be sought in.

An MP4 with its index at the end decodes nothing from a pipe, and a pipe can be read only once,
so every piped input is copied whole, formats that could stream included: one road, always right.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from fls_models.errors import DiskFull, InputError

CHUNK = 1 << 20
# Left free for everything else that writes to the same disk.
RESERVE = 64 << 20


@contextmanager
def spooled(pipe: BinaryIO, name: str) -> Iterator[Path]:
    """The temporary file (readable by this user alone) that holds all of `pipe`.

    It is removed when the context ends, however it ends. It lies in TMPDIR, /tmp if that is
    unset. Raises DiskFull before the disk is full, and InputError when the pipe cannot be read.
    """
    try:
        folder = tempfile.gettempdir()
        # No suffix: ffmpeg shall judge by the content alone.
        opened = tempfile.NamedTemporaryFile(prefix="fls-", dir=folder)  # noqa: SIM115
    except OSError as error:
        raise DiskFull(
            f"{name}: nowhere can a copy of what is piped in be written; set TMPDIR to a folder "
            "with more room, or give the file by its name."
        ) from error
    with opened as file:
        while chunk := _read(pipe, name):
            append(file, chunk, folder, _full(folder, name))
        yield Path(file.name)


def append(file: IO[bytes], chunk: bytes, folder: str, full: DiskFull) -> None:
    """Writes to a temporary file in `folder`. Raises `full` before the disk is full."""
    if shutil.disk_usage(folder).free < RESERVE + len(chunk):
        raise full
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise full from error
        raise


def _read(pipe: BinaryIO, name: str) -> bytes:
    try:
        return pipe.read(CHUNK)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(f"{name}: the pipe could not be read: {reason}.") from error


def _full(folder: str, name: str) -> DiskFull:
    return DiskFull(
        f"{name}: {folder} has too little free space for a copy of what is piped in; "
        "set TMPDIR to a folder with more, or give the file by its name."
    )
