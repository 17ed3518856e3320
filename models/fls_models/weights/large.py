"""Weights of large models: downloaded, converted once, and found again in the cache.

A card becomes a folder for each dtype, `CACHE/weights/NAME-DTYPE-FORM`. A folder with that name is
whole, and `source.json` in it says where it came from. Which files are a checkpoint is `released`'s
affair, how they are converted `installing`'s, how they are brought here `hub`'s, and what becomes
of folders of the user's `local`'s.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fls_models.core.files import replacing
from fls_models.core.progress import Progress
from fls_models.errors import DamagedWeights, DiskFull, UsageError, WeightsMissing
from fls_models.weights import hub
from fls_models.weights.base import Store
from fls_models.weights.card import Card, FrameCard, load
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
    """The folder of a large model's converted weights. It needs no connector."""

    connector: ClassVar[None] = None

    card: FrameCard
    folder: Path
    dtype: str

    def folders(self, reads_by: str = "frames") -> list[Path]:
        """What is used."""
        return [self.folder]


def folder(card: FrameCard, cache: Path, dtype: str) -> Path:
    """Where a card's weights lie once they are converted."""
    return cache / "weights" / f"{card.name}-{dtype}-{FORM}"


class LargeStore(Store[InstalledFrames]):
    """The weights of a large model, a folder for each dtype."""

    dtypes = DTYPES
    card: FrameCard

    def folders(self) -> list[Path]:
        return [folder(self.card, self.cache, dtype) for dtype in DTYPES if self.is_ready(dtype)]

    def is_ready(self, dtype: str | None = None) -> bool:
        wanted = DTYPES if dtype is None else (dtype,)
        return any(folder(self.card, self.cache, one).is_dir() for one in wanted)

    def bytes_to_fetch(self, dtype: str = "nf4") -> int:
        return 0 if self.is_ready(dtype) else round(self.card.download_gb * 1e9)

    def room(self) -> float:
        return 0 if self.is_ready() else self._room("nf4", self.bytes_to_fetch())

    def locate(self, dtype: str = "nf4") -> InstalledFrames:
        card = self.card
        if not self.is_ready(known(dtype)):
            how = f"fls models pull {card.name}" + (f" --dtype {dtype}" if dtype != "nf4" else "")
            raise WeightsMissing(
                f"The weights of {card.name!r} in {dtype} are not here yet; `{how}` downloads them "
                f"(about {card.download_gb:g} GB) and converts them."
            )
        return InstalledFrames(card, folder(card, self.cache, dtype), dtype)

    def _fetch(self, dtype: str, progress: Progress, source: Path | None) -> None:
        # What would stop the conversion is said before hours of downloading.
        check_converter(known(dtype))
        found = _checked(self.card, source) if source is not None else None
        self.make(dtype, progress, found, source)

    def make(
        self, dtype: str, progress: Progress, found: Released | None, source: Path | None
    ) -> None:
        """Converts a checkpoint in the folder `source`, or what the hub has, unless it is done."""
        with writing(self.cache):
            (self.cache / "weights").mkdir(parents=True, exist_ok=True)
            with locked(self.cache, self.card.name):
                if self.is_ready(dtype):
                    return
                _discard_old(self.cache, self.card.name)
                if found is None or source is None:
                    self._from_hub(dtype, progress)
                else:
                    self._convert(found, dtype, progress, source)

    def remove(self, keep: Sequence[Card] = ()) -> int:
        name, place = self.card.name, self.cache / "weights"
        if not place.is_dir():
            return 0
        with locked(self.cache, name):
            freed = _discard_old(self.cache, name) + _discard(self._incoming())
            return freed + sum(
                _discard(one) for dtype in DTYPES for one in place.glob(f"{name}-{dtype}-*")
            )

    def _room(self, dtype: str, download: int) -> int:
        """Bytes that must be free to download so many and convert them; less what is here."""
        sizes = self.card.weights_gb
        result = sizes.get(dtype, 2 * sizes["bf16"])
        return round(download + result * 1e9) - size_of(self._incoming())

    def _incoming(self) -> Path:
        # Without the dtype: what one was interrupted in, another one goes on with.
        return self.cache / "weights" / f".incoming-{self.card.name}"

    def _from_hub(self, dtype: str, progress: Progress) -> None:
        from fls_models.weights.conversion.layout import find

        card, cache, incoming = self.card, self.cache, self._incoming()
        ways_out = (
            f"Or use a copy that you have: `fls models pull {card.name} --from FOLDER` keeps it "
            "for good, `--model FOLDER` takes it this once."
        )
        listing = hub.ask(card.repo, adapter=card.adapter, ways_out=ways_out)
        incoming.mkdir(exist_ok=True)
        hub.prune(listing, incoming)
        needed, free = self._room(dtype, listing.bytes), shutil.disk_usage(cache).free
        if free < needed:
            raise DiskFull(
                f"{cache} has {free / 1e9:.1f} GB free, but downloading and converting {card.name} "
                f"takes {needed / 1e9:.1f} GB. Free some, or set FLS_CACHE to another disk."
            )
        hub.download(listing, incoming, f"download {card.name}", progress, ways_out=ways_out)
        found = _fitting(card, find(incoming, adapter=card.adapter), incoming)
        self._convert(found, dtype, progress, listing)
        _discard(incoming)

    def _convert(
        self, found: Released, dtype: str, progress: Progress, source: hub.Listing | Path
    ) -> None:
        """Makes a folder from a checkpoint, all or nothing; the caller holds the card's lock."""
        from fls_models.weights.conversion.install import install

        # Named for good only when it says where it came from, too.
        ready = self.cache / "weights" / f".ready-{self.card.name}-{dtype}"
        with replacing(folder(self.card, self.cache, dtype), ready):
            install(found, ready, dtype=dtype, progress=progress)
            told = json.dumps(_told(source), ensure_ascii=False, indent=1)
            (ready / SOURCE).write_text(told, "utf-8")


def stated(place: Path) -> Mapping[str, Any]:
    """What a converted folder says of where it came from; nothing for one that does not say."""
    try:
        found = json.loads((place / SOURCE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


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


def _discard_old(cache: Path, name: str) -> int:
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
