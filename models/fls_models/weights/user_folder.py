"""A model in a folder of the user's: recognised, and a large one converted once into the cache.

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
from fls_models.core.progress import Progress, ignore
from fls_models.errors import UsageError
from fls_models.weights.card import Card, TextCard, load
from fls_models.weights.conversion.formats import FORM, checked_dtype
from fls_models.weights.large import (
    InstalledFrames,
    LargeStore,
    card_of,
    check_converter,
    converted_config,
)
from fls_models.weights.store import Installed

if TYPE_CHECKING:
    from fls_models.weights.conversion.layout import Released

_FILES = ("speech/model.bin", "speech/tokenizer.json", "llm/model.safetensors", "llm/config.json")


def from_folder(
    place: Path,
    cache: Path,
    progress: Progress = ignore,
    dtype: str = "nf4",
    check: Callable[[Card], object] = ignore,
) -> Installed | InstalledFrames:
    """The model in a folder, by the card that fits it best and the folder's name.

    What was measured of the card's own weights says nothing of these: budgets are the paper's.

    A large one in its release's layout is converted once, into the cache; `check` may raise before
    that. Raises UsageError when the folder holds no model, and what `layout.find` and
    `install.install` do.
    """
    if has_parts(place):
        return from_parts(place)
    name = place.resolve().name
    if (settings := converted_config(place)) is not None:
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

    release = find(place)
    card = card_of(release.architecture, release.config, adapter=release.adapter is not None)
    local_card = replace(card, name=f"local-{_fingerprint(place, release)}")
    store = LargeStore(local_card, cache)
    if not store.is_ready(checked_dtype(dtype)):
        check(replace(card, name=name))
        check_converter(dtype)
        store.make(dtype, progress, release, place)
    card = replace(card, name=name, budgets=PAPER)
    return replace(store.locate(dtype), card=card)


def has_parts(place: Path) -> bool:
    """Whether a folder is meant as a model that reads text, whole or not."""
    return (place / "speech").is_dir() or (place / "llm").is_dir()


def from_parts(place: Path) -> Installed:
    """A model in a folder of the user's: `speech/` and `llm/` as they lie in the cache.

    `connector/` may lie beside them. It is judged by the card of `mini`, whose budgets and
    accuracy of frames belong to another connector: here the budgets are the paper's. Raises
    UsageError when a file is missing.
    """
    for required_file in _FILES:
        if not (place / required_file).is_file():
            raise UsageError(
                f"{place} is no model: {required_file} is missing. "
                f"A model's folder holds {', '.join(_FILES)}."
            )
    mini = load("mini")
    assert isinstance(mini, TextCard)
    card = replace(mini, name=place.resolve().name)
    if card.frames is not None:
        # Of another connector nothing was measured.
        card = replace(card, frames=replace(card.frames, budgets=PAPER, accuracy={}))
    connector_folder = place / "connector"
    connector = connector_folder if (connector_folder / "config.json").is_file() else None
    return Installed(card, place / "speech", place / "llm", connector)


def _fingerprint(place: Path, checkpoint: Released) -> str:
    """Tells a checkpoint from others by its files' names, sizes and times: no bytes are read."""
    parts = {part for part in (checkpoint.base, checkpoint.adapter, checkpoint.processor) if part}
    files = sorted(
        (str(file.relative_to(place)), file.stat().st_size, file.stat().st_mtime_ns)
        for part in parts
        for file in part.iterdir()
        if file.is_file()
    )
    return hashlib.sha256(repr(files).encode()).hexdigest()[:16]
