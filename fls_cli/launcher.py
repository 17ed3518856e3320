"""One process of `fls` or, where a launcher starts it several times, one of them."""

import ctypes
import io
import os
import signal
import sys
import time
from contextlib import redirect_stderr, redirect_stdout, suppress

from fls_cli import app

# Seconds in which a launcher ends all processes, once the first has failed.
_PATIENCE = 10.0
# Of glibc's mallopt.
_M_ARENA_MAX = -8
_ARENAS = 2


def main() -> None:
    """Runs `fls` and leaves with its exit code."""
    _share_arenas()
    try:
        _run()
    finally:
        # All is tidied up: what comes now need not be heard while Python takes itself down.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)


def _share_arenas() -> None:
    """Has threads share memory, unless the user has settled it.

    glibc gives each its own, of which little comes back: with two for all, a quarter less is taken
    and nothing is slower (benchmarks/README.md, Speed). Other C libraries have no such setting.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def _run() -> None:
    if not int(os.environ.get("RANK") or 0):
        app.main()
        return
    # The first process speaks for all. Only what this one alone fails with is said, in the end.
    said = io.StringIO()
    try:
        with open(os.devnull, "w") as nobody, redirect_stdout(nobody), redirect_stderr(said):
            app.main()
    except SystemExit as left:
        if left.code and (text := said.getvalue().strip()):
            with suppress(KeyboardInterrupt, SystemExit):
                time.sleep(_PATIENCE)
                print(text, file=sys.stderr, flush=True)
        raise
