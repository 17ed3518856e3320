"""What the scripts beside it share: this clone's packages, installed models, and runs of `fls`.

Importing it makes the packages and the tests' helpers importable, whatever folder one is in.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models"), str(ROOT / "tests" / "models")]

from fls_cli.storage.paths import cache_folder  # noqa: E402
from fls_models.weights.card import load  # noqa: E402
from fls_models.weights.store import store_of  # noqa: E402

FLS = (sys.executable, "-m", "fls_cli")


def located(model: str) -> Any:
    """The files of a model that is installed."""
    return store_of(load(model), cache_folder()).locate()


def environment(cache: Path | None = None) -> dict[str, str]:
    """That of a run of `fls`; with `cache`, what is heard is kept there."""
    own = {} if cache is None else {"FLS_CACHE": str(cache), "FLS_KEEP": "yes"}
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:2]), **own}


def cache_with_weights(place: Path) -> Path:
    """A folder for what is heard, which has the weights of the user's own cache."""
    place.mkdir(exist_ok=True)
    (place / "weights").symlink_to(cache_folder() / "weights")
    return place
