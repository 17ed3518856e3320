"""Weights of large models: downloaded, converted once, and found again in the cache.

A card becomes a folder for each dtype, `CACHE/weights/NAME-DTYPE-FORM`. A folder with that name is
whole, and `source.json` in it says where it came from. Which files are a checkpoint is
`conversion.layout`'s affair, how they are converted `conversion.install`'s, how they are brought
here `hub`'s, and what becomes of folders of the user's `user_folder`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fls_models.core.files import json_object, replacing
from fls_models.core.progress import Progress
from fls_models.errors import DamagedWeights, UsageError, WeightsMissing
from fls_models.weights import hub
from fls_models.weights.base import Store
from fls_models.weights.cache_folder import check_room, delete, discard, locked, writing
from fls_models.weights.card import Card, FrameCard, load
from fls_models.weights.conversion.formats import DTYPES, FORM, checked_dtype
from fls_models.weights.downloads import size_of

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
        dtypes = DTYPES if dtype is None else (dtype,)
        return any(folder(self.card, self.cache, name).is_dir() for name in dtypes)

    def bytes_to_fetch(self, dtype: str = "nf4") -> int:
        return 0 if self.is_ready(dtype) else round(self.card.download_gb * 1e9)

    def room(self) -> float:
        return 0 if self.is_ready() else self._room("nf4", self.bytes_to_fetch())

    def locate(self, dtype: str = "nf4") -> InstalledFrames:
        card = self.card
        if not self.is_ready(checked_dtype(dtype)):
            how = f"fls models pull {card.name}" + (f" --dtype {dtype}" if dtype != "nf4" else "")
            raise WeightsMissing(
                f"The weights of {card.name!r} in {dtype} are not here yet; `{how}` downloads them "
                f"(about {card.download_gb:g} GB) and converts them."
            )
        return InstalledFrames(card, folder(card, self.cache, dtype), dtype)

    def _fetch(self, dtype: str, progress: Progress, source: Path | None) -> None:
        # What would stop the conversion is said before hours of downloading.
        check_converter(checked_dtype(dtype))
        if source is not None and converted_config(source) is not None:
            raise UsageError(f"{source} is converted already; use it with `--model {source}`.")
        checkpoint = None if source is None else _find(self.card, source)
        self.make(dtype, progress, checkpoint, source)

    def make(
        self, dtype: str, progress: Progress, checkpoint: Released | None, source: Path | None
    ) -> None:
        """Converts a checkpoint in the folder `source`, or what the hub has, unless it is done."""
        with writing(self.cache):
            (self.cache / "weights").mkdir(parents=True, exist_ok=True)
            with locked(self.cache, self.card.name):
                if self.is_ready(dtype):
                    return
                _discard_old(self.cache, self.card.name)
                if checkpoint is None or source is None:
                    self._from_hub(dtype, progress)
                else:
                    self._convert(checkpoint, dtype, progress, source)

    def remove(self, keep: Sequence[Card] = ()) -> int:
        name, place = self.card.name, self.cache / "weights"
        if not place.is_dir():
            return 0
        with locked(self.cache, name):
            freed = _discard_old(self.cache, name) + discard(self._incoming())
            return freed + sum(
                discard(path) for dtype in DTYPES for path in place.glob(f"{name}-{dtype}-*")
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
        card, cache, incoming = self.card, self.cache, self._incoming()
        ways_out = (
            f"Or use a copy that you have: `fls models pull {card.name} --from FOLDER` keeps it "
            "for good, `--model FOLDER` takes it this once."
        )
        listing = hub.ask(card.repo, adapter=card.adapter, ways_out=ways_out)
        incoming.mkdir(exist_ok=True)
        hub.prune(listing, incoming)
        purpose = f"downloading and converting {card.name} takes {{:.1f}} GB"
        check_room(cache, self._room(dtype, listing.bytes), purpose)
        hub.download(listing, incoming, f"download {card.name}", progress, ways_out=ways_out)
        self._convert(_find(card, incoming), dtype, progress, listing)
        discard(incoming)

    def _convert(
        self, checkpoint: Released, dtype: str, progress: Progress, source: hub.Listing | Path
    ) -> None:
        """Makes a folder from a checkpoint, all or nothing; the caller holds the card's lock."""
        from fls_models.weights.conversion.install import install

        # Named for good only when it says where it came from, too.
        ready = self.cache / "weights" / f".ready-{self.card.name}-{dtype}"
        with replacing(folder(self.card, self.cache, dtype), ready):
            install(checkpoint, ready, dtype=dtype, progress=progress)
            payload = json.dumps(_source_json(source), ensure_ascii=False, indent=1)
            (ready / SOURCE).write_text(payload, "utf-8")


def source_of(place: Path) -> Mapping[str, Any]:
    """What a converted folder says of where it came from; nothing for one that does not say."""
    return json_object(place / SOURCE) or {}


def _source_json(source: hub.Listing | Path) -> dict[str, Any]:
    if isinstance(source, Path):
        return {"folder": str(source.resolve())}
    files = [
        {"path": file.path, "bytes": file.bytes, "sha256": file.sha256, "blob": file.blob}
        for file in source.files
    ]
    return {"repository": source.repo, "commit": source.commit, "files": files}


def _find(card: FrameCard, place: Path) -> Released:
    """The checkpoint in a folder, if it is the card's model. Raises UsageError if not."""
    from fls_models.weights.conversion.layout import find

    release = find(place, adapter=card.adapter)
    # Without its adapter, fastlongspeech is another model.
    actual = card_of(release.architecture, release.config, adapter=release.adapter is not None)
    if actual.name != card.name:
        raise UsageError(f"{place} holds {actual.name} and not {card.name}: pull it by that name.")
    return release


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


def converted_config(place: Path) -> Mapping[str, Any] | None:
    """The settings in a folder that `install` wrote; None for any other."""
    config = json_object(place / "config.json")
    if config is None or not {"form", "architecture", "dtype"} <= set(config):
        return None
    if not isinstance(config.get("text_config"), dict):
        raise DamagedWeights(f"{place / 'config.json'} describes no model; convert it again.")
    return config


def check_converter(dtype: str) -> None:
    """Raises EnvironmentLacks when the library that quantises is missing and needed."""
    if dtype in ("nf4", "int8"):
        from fls_models.weights.conversion.quantization import bitsandbytes

        bitsandbytes()


def _discard_old(cache: Path, name: str) -> int:
    """Deletes what killed processes left of conversions and deletions."""
    kinds = (f".ready-{name}-*", f".installing-.ready-{name}-*", f".removing-*{name}*")
    return sum(delete(place) for kind in kinds for place in (cache / "weights").glob(kind))
