"""The start of `fls`, also as `python -m fls_cli` and where a launcher starts it several times."""

from __future__ import annotations

import io
import os
import sys
import time
from contextlib import redirect_stderr, redirect_stdout, suppress

# Seconds in which a launcher ends all processes, once the first has failed.
_PATIENCE = 10.0


def run() -> None:
    """Runs `fls` and leaves with its exit code."""
    try:
        from fls_cli import library_warnings

        # Before anything is imported that could warn.
        library_warnings.hide()
        from fls_cli.app import main
    except KeyboardInterrupt:
        sys.exit(130)
    if not int(os.environ.get("RANK") or 0):
        main()
        return
    # The first process speaks for all. Only what this one alone fails with is said, in the end.
    said = io.StringIO()
    try:
        with open(os.devnull, "w") as nobody, redirect_stdout(nobody), redirect_stderr(said):
            main()
    except SystemExit as left:
        if left.code and (text := said.getvalue().strip()):
            with suppress(KeyboardInterrupt, SystemExit):
                time.sleep(_PATIENCE)
                print(text, file=sys.stderr, flush=True)
        raise


if __name__ == "__main__":
    run()
