"""Frames: what the encoder heard, how much each frame says, and which stretch of audio it covers.

The one type between encoding and reading. It joins and slices in time order and nothing else: it
does not know which encoder made the hidden states, nor that they can be fused.

Shapes: T frames, D encoder width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

HIDDEN_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True, eq=False)
class Frames:
    """T frames in time order, all tensors on one device.

    Attributes:
        hidden: (T, D), float32, bfloat16 or float16. Encoder hidden states before its final norm.
        density: (T,) float32 in [0, 1]. Content density, `1 - p(blank)`.
        spans: (T, 2) float64, seconds. Start and end of the audio that each frame stands for;
            float32 would round the hundredths away after some hours.

    Raises:
        ValueError: shapes, dtypes or devices do not fit together, a density is not in [0, 1], or
            the spans do not run forwards.
    """

    hidden: Tensor
    density: Tensor
    spans: Tensor

    def __post_init__(self) -> None:
        if self.hidden.ndim != 2 or self.hidden.dtype not in HIDDEN_DTYPES:
            raise ValueError(f"hidden states must be (T, D) floats: {_describe(self.hidden)}")
        count = len(self.hidden)
        if self.density.shape != (count,) or self.density.dtype != torch.float32:
            raise ValueError(f"density must be ({count},) float32: {_describe(self.density)}")
        if self.spans.shape != (count, 2) or self.spans.dtype != torch.float64:
            raise ValueError(f"spans must be ({count}, 2) float64: {_describe(self.spans)}")
        if not self.hidden.device == self.density.device == self.spans.device:
            raise ValueError("hidden states, density and spans must be on one device")
        # Written so that NaN, which fails every comparison, is refused too.
        if not ((self.density >= 0) & (self.density <= 1)).all():
            raise ValueError("density must be a probability, from 0 to 1")
        edges = self.spans.flatten()
        if not (edges[1:] >= edges[:-1]).all() or not edges.isfinite().all():
            raise ValueError("spans must run forwards and must not overlap")

    def __len__(self) -> int:
        return len(self.hidden)

    def __getitem__(self, rows: slice) -> Frames:
        """A view of consecutive frames: `frames[10:20]`. A step other than 1 is refused."""
        if rows.step not in (None, 1):
            raise ValueError(f"frames are sliced without a step, not by {rows.step}")
        return Frames(self.hidden[rows], self.density[rows], self.spans[rows])

    @staticmethod
    def concatenate(parts: Sequence[Frames]) -> Frames:
        """Joins Frames that follow one another in time; gaps between them are allowed.

        Args:
            parts: at least one; same width, dtype and device.

        Raises:
            ValueError: there is nothing to join, the parts do not match, or one begins before the
                one ahead of it has ended.
        """
        if not parts:
            raise ValueError("nothing to concatenate: an encoder width is needed even for 0 frames")
        kinds = {(part.hidden.shape[1], part.hidden.dtype, part.hidden.device) for part in parts}
        if len(kinds) > 1:
            raise ValueError(f"frames of different width, dtype or device do not join: {kinds}")
        if len(parts) == 1:
            return parts[0]
        return Frames(
            torch.cat([part.hidden for part in parts]),
            torch.cat([part.density for part in parts]),
            torch.cat([part.spans for part in parts]),
        )


def _describe(tensor: Tensor) -> str:
    return f"got {tuple(tensor.shape)} {tensor.dtype}"
