"""Encoders that cost nothing, and audio for them."""

from __future__ import annotations

import weakref

import numpy as np
import torch
from torch import Tensor

RATE = 16_000
WIDTH = 8


class Plain:
    """A frame is a random map of its own 640 samples. Its head reads a blank where it is quiet."""

    hidden_width = WIDTH

    def __init__(self, dtype: torch.dtype = torch.float32, headless: bool = False) -> None:
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(640, WIDTH, generator=generator)
        self.dtype, self.headless = dtype, headless
        self.encoded = 0
        self.alive: list[weakref.ref[Tensor]] = []

    def features(self, samples: Tensor) -> Tensor:
        return torch.nn.functional.pad(samples, (0, 480_000 - len(samples))).view(750, 640)

    def encode(self, features: list[Tensor]) -> Tensor:
        self.encoded += len(features)
        hidden = (torch.stack(features) @ self.weight).to(self.dtype)
        self.alive.append(weakref.ref(hidden.untyped_storage()))
        return hidden

    def blank_probability(self, hidden: Tensor) -> Tensor:
        if self.headless:
            return torch.zeros(len(hidden))
        return torch.exp(-hidden.float().square().mean(-1))

    def token_log_probabilities(self, hidden: Tensor, tokens: Tensor) -> None:
        return None

    def project(self, hidden: Tensor) -> Tensor:
        return hidden


class Cheap(Plain):
    """A frame is its first sample."""

    def encode(self, features: list[Tensor]) -> Tensor:
        self.encoded += len(features)
        return torch.stack([window[:, :1].expand(750, WIDTH) for window in features])


def babble(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that comes and goes twice a second."""
    count = round(seconds * RATE)
    noise = np.random.default_rng(seed).normal(0, 0.2, count)
    return (noise * np.abs(np.sin(np.arange(count) * 2 * np.pi / RATE))).astype(np.float32)


def blocks_of(audio: np.ndarray, size: int = 50_003):
    return (audio[i : i + size] for i in range(0, len(audio), size))


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def edges_of(heard) -> list[float]:
    return [heard.sections[0].spans[0, 0].item()] + [
        section.spans[-1, 1].item() for section in heard.sections
    ]
