"""Frames merged between two layers of the encoder: what is alike is computed once from there on.

As Token Merging (arXiv 2210.09461), but of neighbours only, as `extractor.fusion` joins frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fls_models.audio.whisper.effort import Merging


@dataclass(frozen=True, eq=False)
class Spans:
    """Neighbouring frames that are one: `sizes` (S,) int64 says of how many each span is."""

    sizes: Tensor

    def means(self, hidden: Tensor) -> Tensor:
        """(T, D) -> (S, D): the mean of each span's frames, summed in float32."""
        span = torch.arange(len(self.sizes)).repeat_interleave(self.sizes)
        sums = torch.zeros(len(self.sizes), hidden.shape[1]).index_add_(0, span, hidden.float())
        return (sums / self.sizes[:, None]).to(hidden.dtype)

    def frames(self, means: Tensor) -> Tensor:
        """(S, D) -> (T, D): each span in all the places of its frames."""
        return means.repeat_interleave(self.sizes, dim=0)

    def bias(self, dtype: torch.dtype) -> Tensor:
        """(1, S), added to scores: a span is attended to as to as many frames as it is of."""
        return self.sizes.log().to(dtype)[None]


def spans_of(hidden: Tensor, merging: Merging) -> Spans:
    """The spans of (T, D) frames: the most alike neighbours are one."""
    count = len(hidden)
    likeness = F.cosine_similarity(hidden[:-1].float(), hidden[1:].float(), dim=-1)
    ranked = likeness.sort(descending=True, stable=True).indices
    opens = torch.ones(count, dtype=torch.bool)
    opens[1 + ranked[: round(count * merging.share)]] = False
    starts = opens.nonzero().squeeze(-1)
    return Spans(torch.diff(starts, append=torch.tensor([count])))
