"""stdin, stdout and stderr of the process, any of which may be closed, full, or read by nobody."""

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from fls_cli.console.text import clean
from fls_models.errors import DiskFull, EnvironmentLacks, UsageError

# No room on the disk, none for this user, and none below the limit that `ulimit -f` sets.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

READER_GONE = 141
"""The exit code where nobody reads on: that of a program which SIGPIPE ends."""


class _Closed(io.StringIO):
    """Stands for a stdout that is closed; nothing is lost there without a word."""

    def write(self, text: str) -> int:
        raise UsageError("stdout is closed, where the result would go; redirect it to a file.")


def open_closed() -> None:
    """Puts /dev/null where a standard stream is closed, so that no file takes its number.

    What goes to a closed stderr is lost; writing to a closed stdout raises UsageError.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Takes the lowest number that is free.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def check_stdout() -> None:
    """Raises UsageError when stdout is closed: better now than after the work."""
    if isinstance(sys.stdout, _Closed):
        sys.stdout.write("")


def discard(stream: TextIO) -> None:
    """From now on, what is written to a stream goes nowhere, its last flush included."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def complain(text: str) -> None:
    """Prints a line to stderr, if it takes one."""
    try:
        print(f"fls: {clean(text)}", file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def leave(failure: OSError) -> int:
    """Says in a sentence what the system refused, and returns the exit code for that."""
    discard(sys.stdout)
    if failure.errno == errno.EPIPE:
        return READER_GONE
    if failure.errno == errno.EFBIG:
        complain("The result is larger than a file may be here; raise `ulimit -f` first.")
        return DiskFull.exit_code
    if failure.errno in NO_ROOM:
        complain("No room to write the result; free some space first.")
        return DiskFull.exit_code
    where = "" if failure.filename is None else f"{os.fsdecode(failure.filename)}: "
    complain(f"{where}{failure.strerror or failure}; mend that and run the command again.")
    return EnvironmentLacks.exit_code
