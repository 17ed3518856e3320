"""Tiny large models, converted as real ones are, and sound for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.core.budget import Budget
from fls_models.core.constants import SAMPLE_RATE
from fls_models.extractor.extract import listen_to_frames
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.prompts import Prompt
from fls_models.lslm.registry import load
from fls_models.weights.conversion.install import install
from fls_models.weights.conversion.layout import find

HEARD = Prompt(system="You are a helpful assistant.", opening="", audio=True)
QUESTION = "What is the main argument?"


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    dice = np.random.default_rng(seed)
    return (0.1 * dice.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def babble(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Five tones a second, some louder than others: frames of it differ."""
    dice = np.random.default_rng(seed)
    count, each = round(seconds * SAMPLE_RATE), SAMPLE_RATE // 5
    pitch = np.repeat(dice.uniform(80, 4000, count // each + 1), each)[:count]
    loud = np.repeat(dice.uniform(0, 0.5, count // each + 1) ** 2, each)[:count]
    tones = loud * np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE)
    return (tones + 0.01 * dice.standard_normal(count)).astype(np.float32)


def blocks_of(audio: NDArray[np.float32], size: int = 40_001) -> Iterator[NDArray[np.float32]]:
    return (audio[first : first + size] for first in range(0, len(audio), size))


def converted(released: Path, into: Path, dtype: str = "float32") -> Path:
    """The folder that a release becomes."""
    install(find(released), into, dtype=dtype)
    return into


def loaded(released: Path, into: Path, dtype: str = "float32") -> LargeSpeechLM:
    return load(converted(released, into, dtype))


def whole(model: LargeSpeechLM, audio: NDArray[np.float32]) -> Tensor:
    """Embeddings (T, H) of all frames of a recording, none of them fused."""
    heard = listen_to_frames(
        model, blocks_of(audio), Budget(target_length=10**6), max_frames=10**6, compress=False
    )
    [section] = heard.sections
    return model.project(section.hidden)


@torch.inference_mode()
def first_logits(model: LargeSpeechLM, embeddings: Tensor, stretch: float = 1.0) -> Tensor:
    """Logits (V,) of the first token of the reply to QUESTION."""
    context = model.read(HEARD, embeddings, rope_scale=stretch)
    asked = model.request(context.prompt, QUESTION)
    return model._forward(context, context.cache(), asked, logits=1)[-1]


def assert_close(found: Tensor, expected: Tensor, close: float) -> None:
    """To that part of the largest expected number."""
    torch.testing.assert_close(
        found.float(), expected.float(), rtol=0, atol=close * float(expected.abs().max())
    )
