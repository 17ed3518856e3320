"""Transcripts with regular times, and a model of random weights to read them."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tiny_gguf import write_tiny_gguf
from torch import Tensor

from fls_models.answering.answerability import Answerability
from fls_models.answering.readers.text import TextReader
from fls_models.core.progress import ignore
from fls_models.core.results import Sentence, Transcript, Word
from fls_models.lslm.context_cache import ContextCache
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.weights.conversion.gguf import convert
from fls_models.weights.thresholds import Thresholds


def sentence(text: str, start: float = 0.0, each: float = 0.25) -> Sentence:
    """Words of `each` seconds one after the other; a word keeps the space before it."""
    words = text.split(" ")
    times = [start + each * i for i in range(len(words) + 1)]
    return Sentence(
        tuple(Word(times[i], times[i + 1], f" {word}", 0.9) for i, word in enumerate(words))
    )


def transcript(texts: Sequence[str], every: float = 10.0) -> Transcript:
    """A sentence every so many seconds."""
    spoken = tuple(sentence(text, every * i) for i, text in enumerate(texts))
    return Transcript("en" if spoken else None, spoken, every * len(spoken))


class Letters:
    """A `LanguageModel` as far as a reader needs one: a token a letter, embedded as its code."""

    width = 3

    def tokenize(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def embed(self, tokens: Sequence[int]) -> Tensor:
        return torch.tensor([[float(token)] * self.width for token in tokens])


def written(embeddings: Tensor) -> str:
    """What `Letters` embedded."""
    return "".join(chr(int(row[0])) for row in embeddings)


def tiny_language_model(folder: Path, seed: int = 8) -> MiniLanguageModel:
    """Random weights; with this seed it answers in plain letters."""
    write_tiny_gguf(folder / "model.gguf", seed=seed)
    (folder / "converted").mkdir()
    convert(folder / "model.gguf", folder / "converted", ignore)
    return MiniLanguageModel(folder / "converted")


class Verdicts(Answerability):
    """Says how far over the threshold each pass is, in order, whatever it holds."""

    general = -inf

    def __init__(self, llm: MiniLanguageModel, *strengths: float) -> None:
        super().__init__(ContextCache(llm))
        self.strengths = strengths
        self._passes = 0

    def judge(self, question: str, turn: object = None, **how: object) -> Any:
        self._passes = 0
        return self

    def evidence(self, context: object) -> Any:
        strength = self.strengths[self._passes % len(self.strengths)]
        self._passes += 1
        return SimpleNamespace(over=lambda thresholds: strength)


def model(llm: object, answerability: object = None, most: int = 400) -> Any:
    """What `answerer` and `summarize` need of a `Model`; a pass holds `most` tokens."""
    card = SimpleNamespace(
        name="tiny",
        reads_text=True,
        max_frames=most,
        thresholds=Thresholds(0.5, 0.2),
        in_sight=True,
    )
    reads = getattr(answerability, "reads", None)
    return SimpleNamespace(
        card=card,
        language_model=llm,
        answerability=answerability,
        reads=reads,
        reads_by="text",
        reader=lambda heard: TextReader(llm, heard, most),  # type: ignore[arg-type]
    )
