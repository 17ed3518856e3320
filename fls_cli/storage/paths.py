"""Where on this machine things are kept."""

from __future__ import annotations

import os
from pathlib import Path

from fls_models.errors import EnvironmentLacks


def cache_folder() -> Path:
    """`FLS_CACHE`, else `fls` in `XDG_CACHE_HOME`, else `~/.cache/fls`; not created here.

    Raises EnvironmentLacks when there is no home folder and neither variable is set.
    """
    try:
        if own := os.environ.get("FLS_CACHE"):
            return Path(own).expanduser().absolute()
        shared = os.environ.get("XDG_CACHE_HOME", "")
        # The XDG specification asks to ignore a path that is not absolute.
        if os.path.isabs(shared):
            return Path(shared) / "fls"
        return Path.home() / ".cache" / "fls"
    except RuntimeError:
        raise EnvironmentLacks(
            "There is no home folder to keep weights in; set FLS_CACHE to a folder."
        ) from None


def state_folder() -> Path | None:
    """`fls` in `XDG_STATE_HOME`, else `~/.local/state/fls`; not created here.

    None when there is no home folder either.
    """
    shared = os.environ.get("XDG_STATE_HOME", "")
    try:
        place = Path(shared) if os.path.isabs(shared) else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return place / "fls"
