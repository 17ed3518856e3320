"""Pieces of a file for a child to read, as if there were no others."""

import io
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def feed(
    path: Path, pieces: Sequence[tuple[int, int]], pipe: io.BufferedWriter
) -> threading.Thread:
    """Writes bytes of a file from where pieces begin to where they end, in a thread.

    It ends, and closes the pipe, with the last of them or when nobody reads any more.
    """
    thread = threading.Thread(target=_write, args=(path, pieces, pipe), daemon=True)
    thread.start()
    return thread


def _write(path: Path, pieces: Sequence[tuple[int, int]], pipe: io.BufferedWriter) -> None:
    # What cannot be read is missing at the end, which is told.
    with suppress(OSError), pipe, open(path, "rb") as file:
        out = pipe.fileno()
        for begin, end in pieces:
            while begin < end and (count := os.sendfile(out, file.fileno(), begin, end - begin)):
                begin += count
