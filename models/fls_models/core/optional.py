"""Packages that an answer does without: what needs one says how to get it."""

import shlex
import sys
from importlib import import_module
from typing import Any

from fls_models.errors import EnvironmentLacks

# The extras of pyproject.toml that a package belongs to; the last has most of what goes with it.
_EXTRAS = {
    "accelerate": ("train",),
    "jiwer": ("bench", "train"),
    "matplotlib": ("pictures", "bench"),
    "peft": ("train",),
    "sentencepiece": ("train",),
    "soxr": ("train",),
}


def installing(*words: str) -> str:
    """The command that installs so into the environment that runs: any other pip might not."""
    return shlex.join([sys.executable, "-m", "pip", "install", *words])


def optional(package: str, purpose: str, module: str = "", *, otherwise: str = "") -> Any:
    """A module of `package`, which need not be installed.

    Args:
        package: its name in the package index.
        purpose: what needs it, as the beginning of a sentence.
        module: if it is not called like the package.
        otherwise: what can be done without it, as the end of that sentence.

    Raises:
        EnvironmentLacks: it cannot be loaded.
    """
    try:
        return import_module(module or package)
    # A library that does not fit the machine raises OSError, and a broken one anything.
    except Exception as error:
        raise EnvironmentLacks(
            f"{purpose} needs {package}, which cannot be loaded ({error}); "
            f"`{installing(package)}` brings it{_with_others(package)}{otherwise}."
        ) from error


def _with_others(package: str) -> str:
    """Which extras bring a package with all that is needed beside it, as the end of a sentence."""
    if not (extras := _EXTRAS.get(package)):
        return ""
    named = " and ".join(f"`{extra}`" for extra in extras)
    verb, plural = ("do", "s") if len(extras) > 1 else ("does", "")
    how = installing(f".[{extras[-1]}]")
    return f", and so {verb} the extra{plural} {named} with more of that (`{how}` in the clone)"
