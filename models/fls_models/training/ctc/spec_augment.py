"""What is done to an encoder's frames so that a connector does not learn them by heart.

The encoder is frozen and its frames are kept, so that noise comes behind it and not before: on the
frames, over stretches of time (as in arXiv 1904.08779) and over parts of their width.
"""

import torch
from torch import Tensor

# Noise of up to this share of the frames' own spread.
_NOISE = 0.15
_TIME_MASKS = 7
_SHORTEST, _LONGEST = 2, 24
_WIDTH_SHARES = 64, 8


def disturbed(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Frames (T, W) float on the CPU, at 50 Hz, with noise and with stretches of them at 0.

    A copy: up to 7 masks of 2 to 23 frames, and every other time one of a 64th to an 8th of the
    width. All chance comes from `generator`.
    """
    count, width = frames.shape
    noise_level = float(frames.std()) * _NOISE * float(torch.rand((), generator=generator))
    result = frames + noise_level * torch.randn(frames.shape, generator=generator)
    for _ in range(_draw(0, _TIME_MASKS, generator)):
        result[_span(count, _SHORTEST, _LONGEST - 1, generator)] = 0
    if _draw(0, 1, generator):
        min_width, max_width = (max(1, width // share) for share in _WIDTH_SHARES)
        result[:, _span(width, min_width, max_width, generator)] = 0
    return result


def _span(size: int, min_length: int, max_length: int, generator: torch.Generator) -> slice:
    length = _draw(min_length, max_length, generator)
    first = _draw(0, max(0, size - length), generator)
    return slice(first, first + length)


def _draw(low: int, high: int, generator: torch.Generator) -> int:
    """From `low` to `high`, both among them."""
    return low + int(torch.randint(high - low + 1, (), generator=generator))
