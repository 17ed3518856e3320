"""What is done to an encoder's frames so that a connector does not learn them by heart.

The encoder is frozen and its frames are kept, so that noise comes behind it and not before: on the
frames, over stretches of time (as in arXiv 1904.08779) and over parts of their width.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Noise of up to this share of the frames' own spread.
_NOISE = 0.15
_TIME_MASKS = 7
_SHORTEST, _LONGEST = 2, 24
_WIDTH_SHARES = 64, 8


def disturbed(frames: Tensor, dice: torch.Generator) -> Tensor:
    """Frames (T, W) float on the CPU, at 50 Hz, with noise and with stretches of them at 0.

    A copy: up to 7 masks of 2 to 23 frames, and every other time one of a 64th to an 8th of the
    width. All chance comes from `dice`.
    """
    count, width = frames.shape
    loud = float(frames.std()) * _NOISE * float(torch.rand((), generator=dice))
    found = frames + loud * torch.randn(frames.shape, generator=dice)
    for _ in range(_drawn(0, _TIME_MASKS, dice)):
        found[_stretch(count, _SHORTEST, _LONGEST - 1, dice)] = 0
    if _drawn(0, 1, dice):
        least, most = (max(1, width // share) for share in _WIDTH_SHARES)
        found[:, _stretch(width, least, most, dice)] = 0
    return found


def _stretch(whole: int, least: int, most: int, dice: torch.Generator) -> slice:
    length = _drawn(least, most, dice)
    first = _drawn(0, max(0, whole - length), dice)
    return slice(first, first + length)


def _drawn(least: int, most: int, dice: torch.Generator) -> int:
    """From `least` to `most`, both among them."""
    return least + int(torch.randint(most - least + 1, (), generator=dice))
