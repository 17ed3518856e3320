"""Where on this machine things are kept."""

import os
from pathlib import Path

from fls_models.errors import EnvironmentLacks


def cache_folder() -> Path:
    """`FLS_CACHE`, else `fls` in `XDG_CACHE_HOME`, else `~/.cache/fls`; not created here.

    Raises EnvironmentLacks when there is no home folder and neither variable is set.
    """
    folder = _place("FLS_CACHE", "XDG_CACHE_HOME", ".cache")
    if folder is None:
        raise EnvironmentLacks(
            "There is no home folder to keep weights in; set FLS_CACHE to a folder."
        )
    return folder


def state_folder() -> Path | None:
    """`fls` in `XDG_STATE_HOME`, else `~/.local/state/fls`; not created here.

    None when there is no home folder either.
    """
    return _place("", "XDG_STATE_HOME", ".local/state")


def config_file() -> Path | None:
    """`FLS_CONFIG`, else `fls/config.toml` in `XDG_CONFIG_HOME`, else in `~/.config`.

    It need not be there. None when there is no home folder and neither variable is set.
    """
    return _place("FLS_CONFIG", "XDG_CONFIG_HOME", ".config", "fls/config.toml")


def _place(own: str, shared: str, below_home: str, name: str = "fls") -> Path | None:
    """What the variable `own` names, else `name` in a folder of the XDG specification.

    None where that is to be in a home folder and there is none.
    """
    try:
        if path := os.environ.get(own):
            return Path(path).expanduser().absolute()
        folder = os.environ.get(shared, "")
        # The specification asks to ignore a path that is not absolute.
        return (Path(folder) if os.path.isabs(folder) else Path.home() / below_home) / name
    except RuntimeError:
        return None
