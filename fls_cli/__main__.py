"""The start of `fls`, also as `python -m fls_cli` and where a launcher starts it several times.

All else is imported where Ctrl-C ends the process without a word: while Python imports, it would be
a traceback, or be lost in the midst of an import.
"""

# Of C, and there at once; the module `signal` over it takes milliseconds to import.
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIGINT,
    default_int_handler,
    getsignal,
    signal,
)


def run() -> None:
    """Runs `fls` and leaves with its exit code."""
    heard = getsignal(SIGINT) is default_int_handler
    if heard:
        signal(SIGINT, SIG_DFL)
    from fls_cli.console import library_warnings

    # Before anything is imported that could warn.
    library_warnings.hide()
    from fls_cli.launcher import main

    if heard:
        signal(SIGINT, default_int_handler)
    main()


if __name__ == "__main__":
    run()
