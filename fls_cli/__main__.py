"""`python -m fls_cli` is `fls`, also where a launcher starts it several times to train."""

from __future__ import annotations

import io
import os
import sys
import time
from contextlib import redirect_stderr, redirect_stdout, suppress

from fls_cli.app import main

# Seconds in which a launcher ends all processes, once the first has failed.
_PATIENCE = 10.0


def _quietly() -> None:
    """The first process speaks for all. Only what this one alone fails with is said, in the end."""
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


if int(os.environ.get("RANK") or 0):
    _quietly()
else:
    main()
