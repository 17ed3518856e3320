"""A `mini` of some hundred kilobytes that reads frames: random weights, all parts real."""

from __future__ import annotations

from pathlib import Path

import tiny_whisper
import torch
from tiny_gguf import HEADS, HIDDEN, KV_HEADS, LAYERS, write_tiny_gguf
from torch import Tensor

from fls_models.core.progress import ignore
from fls_models.lslm.mini.connector import Connector, Shape
from fls_models.lslm.mini.connector_weights import Config, LoraShape, write
from fls_models.weights import card
from fls_models.weights.card import TextCard
from fls_models.weights.conversion.gguf import convert
from fls_models.weights.store import Installed
from fls_models.weights.user_folder import from_parts

# Letters and some words, as the tiny language model has them: not in the order of their ids.
TOKENS = (*range(260, 255, -1), *range(64, 91), 220)
SHAPE = Shape(
    encoder_width=tiny_whisper.WIDTH,
    width=32,
    blocks=2,
    heads=4,
    kernel=5,
    inner_width=64,
    tokens=len(TOKENS),
    model_width=HIDDEN,
)
RANK, ALPHA = 4, 6.0


def random_connector(seed: int = 5, shape: Shape = SHAPE) -> Connector:
    """A connector whose every weight says something, the projector's zeros included."""
    dice = torch.Generator().manual_seed(seed)
    connector = Connector(shape)
    with torch.no_grad():
        for name, value in connector.named_parameters():
            around = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            size = 0.1 if value.ndim < 2 else 1.0 / value[0].numel() ** 0.5
            value.copy_(around + size * torch.randn(value.shape, generator=dice))
        # Heads are sure of what they read, which is nothing every other time.
        connector.ctc.weight *= 6
        connector.ctc.bias[-1] += 9
    return connector.train(False)


def random_lora(seed: int = 6, size: float = 0.2) -> dict[str, Tensor]:
    """A LoRA on the attention of the tiny language model, as `connector_weights.write` takes it."""
    dice = torch.Generator().manual_seed(seed)
    narrow = HIDDEN * KV_HEADS // HEADS
    found = {}
    for layer in range(LAYERS):
        for side, rows in (("q", HIDDEN), ("k", narrow), ("v", narrow), ("o", HIDDEN)):
            name = f"layers.{layer}.self_attn.{side}_proj"
            down, up = (RANK, HIDDEN), (rows, RANK)
            found[f"{name}.lora_A.weight"] = size * torch.randn(down, generator=dice)
            found[f"{name}.lora_B.weight"] = size * torch.randn(up, generator=dice)
    return found


def config(shape: Shape = SHAPE, *, lora: bool = True, window: int = 1000) -> Config:
    """What a connector between the parts of `mini` tells."""
    mini = card.load("mini")
    assert isinstance(mini, TextCard)
    return Config(
        shape=shape,
        tokens=TOKENS[: shape.tokens],
        speech=mini.speech.name,
        llm=mini.llm.name,
        window=window,
        lora=LoraShape(RANK, ALPHA) if lora else None,
    )


def write_tiny_mini(folder: Path, *, seed: int = 7, lora: bool = True) -> Installed:
    """Writes `speech/`, `llm/` and `connector/`; the folder can be given as a model.

    The seed is the language model's: one that has something to say, in plain letters.
    """
    llm = folder / "llm"
    llm.mkdir(parents=True)
    write_tiny_gguf(folder / "model.gguf", seed=seed)
    convert(folder / "model.gguf", llm, ignore)
    tiny_whisper.write_tiny_whisper(folder / "speech")
    write(
        random_connector(),
        config(lora=lora),
        folder / "connector",
        lora=random_lora() if lora else None,
    )
    return from_parts(folder)
