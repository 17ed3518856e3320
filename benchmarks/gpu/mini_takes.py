"""Speech as training takes it: takes, each a text that was spoken, as clips one after the other.

A take is a safetensors file with samples in int16, and what is said in its metadata; files appear
whole. Real recordings are takes, too. Who speaks is `mini_speak`'s affair, what is learned others'.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import common
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fls_models.training.data.documents import Document, Line, Question

DOCUMENTS = "documents.json"
# One document in so many is held out, up to so many of them.
_HELD_SHARE, _MOST_HELD = 20, 48


@dataclass(frozen=True)
class Said:
    """A clip of a take: its lines, and how many samples each line and those before it take."""

    lines: tuple[str, ...]
    cuts: tuple[int, ...]
    samples: int
    voices: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(self.lines)


@dataclass(frozen=True, eq=False)
class Take:
    """Clips of one text in order; `whole` if they are all of the document."""

    source: str
    said: tuple[Said, ...]
    whole: bool
    held: bool
    sound: tuple[Tensor, ...] = field(repr=False, default=())

    @property
    def seconds(self) -> float:
        return sum(clip.samples for clip in self.said) / common.RATE

    @property
    def text(self) -> str:
        return " ".join(clip.text for clip in self.said)


def as_int16(samples: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy((samples.clip(-1, 1) * 32767).round().astype(np.int16))


def write_take(file: Path, take: Take) -> None:
    payload = {"source": take.source, "whole": take.whole, "held": take.held}
    text = json.dumps({**payload, "said": [asdict(clip) for clip in take.said]})
    beside = file.with_name(f".{file.name}.part")
    save_file({"sound": torch.cat(list(take.sound))}, beside, metadata={"take": text})
    beside.replace(file)


def read_take(file: Path, device: torch.device) -> Take:
    with safe_open(file, "pt") as opened:
        raw = json.loads(opened.metadata()["take"])
        sound = opened.get_tensor("sound").to(device)
    clips = tuple(Said(**_with_tuples(clip)) for clip in raw["said"])
    parts = torch.split(sound, [clip.samples for clip in clips])
    return Take(raw["source"], clips, raw["whole"], raw["held"], tuple(parts))


class Takes:
    """Those of a folder, on a device; `scan` finds what has come since."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._folder, self._device = folder, device
        self._names: set[str] = set()
        self.train: list[Take] = []
        self.held: list[Take] = []

    def scan(self, max_files: int = 2000) -> int:
        """How many are new, of at most so many."""
        new = sorted(
            file
            for file in self._folder.glob("*.safetensors")
            # Those being written begin with a dot.
            if file.name not in self._names and not file.name.startswith(".")
        )[:max_files]
        for file in new:
            self._names.add(file.name)
            try:
                take = read_take(file, self._device)
            except (SafetensorError, KeyError, ValueError) as error:
                print(f"{file.name} is left out: {error}", flush=True)
                continue
            (self.held if take.held else self.train).append(take)
        return len(new)

    @property
    def hours(self) -> float:
        return sum(take.seconds for take in self.train) / 3600


def write_documents(documents: Sequence[Document], file: Path) -> None:
    file.write_text(json.dumps([asdict(document) for document in documents]), "utf-8")


def read_documents(file: Path) -> list[Document]:
    """Those that `write_documents` wrote: nothing has to be put into words where this runs."""
    documents = []
    for raw in json.loads(file.read_text("utf-8")):
        lines = tuple(Line(**line) for line in raw["lines"])
        questions = tuple(Question(**_with_tuples(question)) for question in raw["questions"])
        documents.append(Document(raw["source"], lines, questions, raw["left_out"]))
    return documents


def _with_tuples(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(part) if isinstance(part, list) else part for name, part in raw.items()}


def divided(documents: Sequence[Document]) -> tuple[list[Document], list[Document]]:
    """Documents to train on, and those held out, by their names: those with questions first."""
    hashed = [text for text in documents if crc32(text.source.encode()) % _HELD_SHARE == 0]
    held = hashed or list(documents[-1:])
    names = {text.source for text in held}
    held.sort(key=lambda text: not any(question.choices for question in text.questions))
    return [text for text in documents if text.source not in names], held[:_MOST_HELD]
