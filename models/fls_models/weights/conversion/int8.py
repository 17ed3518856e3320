"""Matrices of 8-bit numbers, each row with a scale of its own."""

import torch
from torch import Tensor


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric int8 by row: weight (N, K) float -> int8 (N, K), float32 scales (N,)."""
    weight = weight.float()
    scale = (weight.abs().amax(dim=1) / 127).clamp_min(torch.finfo(torch.float32).tiny)
    return torch.round(weight / scale[:, None]).to(torch.int8), scale
