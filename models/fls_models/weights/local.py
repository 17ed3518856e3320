"""A large model in a folder of the user's: recognised, and converted once into the cache.

A folder in a release's layout becomes `CACHE/weights/local-FINGERPRINT-DTYPE-FORM`; the folder
itself is never written to. One that is converted is used where it lies. What is left of folders
that have changed since stays in the cache until somebody deletes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fls_models.core.budget import PAPER
from fls_models.core.progress import Progress, silent
from fls_models.errors import UsageError
from fls_models.weights.conversion.formats import FORM, known
from fls_models.weights.large import (
    InstalledFrames,
    LargeStore,
    card_of,
    check_converter,
    converted,
)

if TYPE_CHECKING:
    from fls_models.weights.card import Card
    from fls_models.weights.conversion.layout import Released


def from_folder(
    place: Path,
    cache: Path,
    dtype: str,
    progress: Progress = silent,
    check: Callable[[Card], object] = lambda card: None,
) -> InstalledFrames:
    """The model in a folder, by the card that fits it best and the folder's name.

    What was measured of the card's own weights says nothing of these: budgets are the paper's.

    `check` may raise before a card's model is converted. Raises what `released.find` and
    `installing.install` do.
    """
    name = place.resolve().name
    if (settings := converted(place)) is not None:
        if settings["form"] != FORM:
            raise UsageError(
                f"{place} was converted by another version of fls; give the folder of the "
                "released checkpoint instead."
            )
        # Whether an adapter was merged is not written down, and both cards have the same numbers.
        card = card_of(str(settings["architecture"]), settings, adapter=True)
        return InstalledFrames(
            replace(card, name=name, budgets=PAPER), place, str(settings["dtype"])
        )
    from fls_models.weights.conversion.layout import find

    found = find(place)
    card = card_of(found.architecture, found.config, adapter=found.adapter is not None)
    own = replace(card, name=f"local-{_fingerprint(place, found)}")
    store = LargeStore(own, cache)
    if not store.is_ready(known(dtype)):
        check(replace(card, name=name))
        check_converter(dtype)
        store.make(dtype, progress, found, place)
    card = replace(card, name=name, budgets=PAPER)
    return replace(store.locate(dtype), card=card)


def _fingerprint(place: Path, found: Released) -> str:
    """Tells a checkpoint from others by its files' names, sizes and times: no bytes are read."""
    parts = {part for part in (found.base, found.adapter, found.processor) if part}
    files = sorted(
        (str(file.relative_to(place)), file.stat().st_size, file.stat().st_mtime_ns)
        for part in parts
        for file in part.iterdir()
        if file.is_file()
    )
    return hashlib.sha256(repr(files).encode()).hexdigest()[:16]
