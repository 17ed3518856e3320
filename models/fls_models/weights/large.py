"""Weights of large models: downloaded, converted once, and found again in the cache.

A card becomes a folder for each dtype, `CACHE/weights/NAME-DTYPE-FORM`. A folder with that name is
whole, and `source.json` in it says where it came from. Which files are a checkpoint is `released`'s
affair, how they are converted `installing`'s, how they are brought here `hub`'s, and what becomes
of folders of the user's `given_folders`'.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fls_models.core.files import replacing
from fls_models.core.progress import Progress, silent
from fls_models.errors import DamagedWeights, DiskFull, UsageError, WeightsMissing
from fls_models.weights import hub
from fls_models.weights.card import FrameCard, load
from fls_models.weights.conversion.formats import DTYPES as DTYPES
from fls_models.weights.conversion.formats import FORM as FORM
from fls_models.weights.conversion.formats import known
from fls_models.weights.downloads import size_of
from fls_models.weights.folders import delete, locked, writing

if TYPE_CHECKING:
    from fls_models.weights.conversion.layout import Released

SOURCE = "source.json"
# Wider language models of that architecture are the larger one.
_OMNI_3B = 2048


@dataclass(frozen=True)
class InstalledFrames:
    """The folder of a large model's converted weights."""

    card: FrameCard
    folder: Path
    dtype: str


def folder(card: FrameCard, cache: Path, dtype: str) -> Path:
    """Where a card's weights lie once they are converted."""
    return cache / "weights" / f"{card.name}-{dtype}-{FORM}"


def is_installed(card: FrameCard, cache: Path, dtype: str) -> bool:
    return folder(card, cache, dtype).is_dir()


def dtypes_there(card: FrameCard, cache: Path) -> list[str]:
    """The dtypes in which a card is installed."""
    return [dtype for dtype in DTYPES if is_installed(card, cache, dtype)]


def locate(card: FrameCard, cache: Path, dtype: str) -> InstalledFrames:
    """An installed card; WeightsMissing names the command that installs it."""
    if not is_installed(card, cache, known(dtype)):
        how = f"fls models pull {card.name}" + (f" --dtype {dtype}" if dtype != "nf4" else "")
        raise WeightsMissing(
            f"The weights of {card.name!r} in {dtype} are not here yet; `{how}` downloads them "
            f"(about {card.download_gb:g} GB) and converts them."
        )
    return InstalledFrames(card, folder(card, cache, dtype), dtype)


def pull(
    card: FrameCard,
    cache: Path,
    dtype: str,
    progress: Progress = silent,
    source: Path | None = None,
) -> InstalledFrames:
    """Downloads and converts a card's weights, or converts those in the folder `source`.

    Does nothing when they are there. Safe to run twice at once, and after an interruption: what
    was downloaded is kept until it is converted. Raises DiskFull before anything is downloaded,
    WeightsMissing when the hub gives nothing, DamagedWeights for files that are not what they are
    said to be, UsageError when the folder holds another model.
    """
    if is_installed(card, cache, known(dtype)):
        return locate(card, cache, dtype)
    # What would stop the conversion is said before hours of downloading.
    check_converter(dtype)
    found = _checked(card, source) if source is not None else None
    with writing(cache):
        (cache / "weights").mkdir(parents=True, exist_ok=True)
        with locked(cache, card.name):
            if not is_installed(card, cache, dtype):
                discard_old(cache, card.name)
                if found is None or source is None:
                    _from_hub(card, cache, dtype, progress)
                else:
                    convert(found, card, cache, dtype, progress, source)
    return locate(card, cache, dtype)


def remove(card: FrameCard, cache: Path) -> int:
    """Deletes a card's weights in all dtypes, and what interrupted pulls left; the bytes freed."""
    if not (cache / "weights").is_dir():
        return 0
    with locked(cache, card.name):
        freed = discard_old(cache, card.name) + _discard(_incoming(card, cache))
        for dtype in DTYPES:
            for place in (cache / "weights").glob(f"{card.name}-{dtype}-*"):
                freed += _discard(place)
    return freed


def stated(place: Path) -> Mapping[str, Any]:
    """What a converted folder says of where it came from; nothing for one that does not say."""
    try:
        found = json.loads((place / SOURCE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def room(card: FrameCard, cache: Path, dtype: str, download: int) -> int:
    """Bytes that must be free to download so many and convert them; less what is here already."""
    result = card.weights_gb.get(dtype, 2 * card.weights_gb["bf16"])
    return round(download + result * 1e9) - size_of(_incoming(card, cache))


def _from_hub(card: FrameCard, cache: Path, dtype: str, progress: Progress) -> None:
    from fls_models.weights.conversion.layout import find

    ways_out = (
        f"Or use a copy that you have: `fls models pull {card.name} --from FOLDER` keeps it for "
        "good, `--model FOLDER` takes it this once."
    )
    listing = hub.ask(card.repo, adapter=card.adapter, ways_out=ways_out)
    incoming = _incoming(card, cache)
    incoming.mkdir(exist_ok=True)
    hub.prune(listing, incoming)
    needed, free = room(card, cache, dtype, listing.bytes), shutil.disk_usage(cache).free
    if free < needed:
        raise DiskFull(
            f"{cache} has {free / 1e9:.1f} GB free, but downloading and converting {card.name} "
            f"takes {needed / 1e9:.1f} GB. Free some, or set FLS_CACHE to another disk."
        )
    hub.download(listing, incoming, f"download {card.name}", progress, ways_out=ways_out)
    found = _fitting(card, find(incoming, adapter=card.adapter), incoming)
    convert(found, card, cache, dtype, progress, listing)
    _discard(incoming)


def convert(
    found: Released,
    card: FrameCard,
    cache: Path,
    dtype: str,
    progress: Progress,
    source: hub.Listing | Path,
) -> None:
    """Makes a card's folder from a checkpoint, all or nothing; the caller holds its lock."""
    from fls_models.weights.conversion.install import install

    # Named for good only when it says where it came from, too.
    ready = cache / "weights" / f".ready-{card.name}-{dtype}"
    with replacing(folder(card, cache, dtype), ready):
        install(found, ready, dtype=dtype, progress=progress)
        told = json.dumps(_told(source), ensure_ascii=False, indent=1)
        (ready / SOURCE).write_text(told, "utf-8")


def _told(source: hub.Listing | Path) -> dict[str, Any]:
    if isinstance(source, Path):
        return {"folder": str(source.resolve())}
    files = [
        {"path": file.path, "bytes": file.bytes, "sha256": file.sha256, "blob": file.blob}
        for file in source.files
    ]
    return {"repository": source.repo, "commit": source.commit, "files": files}


def _checked(card: FrameCard, source: Path) -> Released:
    from fls_models.weights.conversion.layout import find

    if converted(source) is not None:
        raise UsageError(f"{source} is converted already; use it with `--model {source}`.")
    return _fitting(card, find(source, adapter=card.adapter), source)


def _fitting(card: FrameCard, found: Released, place: Path) -> Released:
    """What was found, if it is the card's model. Raises UsageError if not."""
    # Without its adapter, fastlongspeech is another model.
    is_ = card_of(found.architecture, found.config, adapter=found.adapter is not None)
    if is_.name != card.name:
        raise UsageError(f"{place} holds {is_.name} and not {card.name}: pull it by that name.")
    return found


def card_of(architecture: str, config: Mapping[str, Any], *, adapter: bool) -> FrameCard:
    """The card of a model that is known by its config."""
    if architecture == "qwen2_audio":
        name = "fastlongspeech" if adapter else "qwen2-audio"
    else:
        width = config["text_config"].get("hidden_size", 0)
        name = "qwen2.5-omni-3b" if width <= _OMNI_3B else "qwen2.5-omni-7b"
    card = load(name)
    assert isinstance(card, FrameCard)
    return card


def converted(place: Path) -> Mapping[str, Any] | None:
    """The settings in a folder that `install` wrote; None for any other."""
    try:
        found = json.loads((place / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or not {"form", "architecture", "dtype"} <= set(found):
        return None
    if not isinstance(found.get("text_config"), dict):
        raise DamagedWeights(f"{place / 'config.json'} describes no model; convert it again.")
    return found


def check_converter(dtype: str) -> None:
    """Raises EnvironmentLacks when the library that quantises is missing and needed."""
    if dtype in ("nf4", "int8"):
        from fls_models.weights.conversion.quantization import bitsandbytes

        bitsandbytes()


def _incoming(card: FrameCard, cache: Path) -> Path:
    # Without the dtype: what one was interrupted in, another one goes on with.
    return cache / "weights" / f".incoming-{card.name}"


def discard_old(cache: Path, name: str) -> int:
    """Deletes what killed processes left of conversions and deletions."""
    kinds = (f".ready-{name}-*", f".installing-.ready-{name}-*", f".removing-*{name}*")
    return sum(delete(place) for kind in kinds for place in (cache / "weights").glob(kind))


def _discard(place: Path) -> int:
    """Deletes a folder under another name: half deleted, it must not look whole."""
    if not place.is_dir():
        return 0
    removing = place.with_name(f".removing-{place.name.lstrip('.')}")
    delete(removing)
    return delete(place.rename(removing))
