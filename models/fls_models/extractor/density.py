"""Content density: how much a frame says, as far as a CTC head can tell.

`d_t = 1 - p(blank | h_t)` (arXiv 2507.14815). Where the CTC head sees a new token,
density is near 1; in silence and within a long vowel it is near 0. Nothing here knows what is
done with the number.

Shapes: T frames, D encoder width, H the head's inner width, V tokens plus one blank, the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Density = Callable[[Tensor], Tensor]
"""Content density of hidden states: (T, D) -> (T,) float32 in [0, 1]."""

_PIECE_ELEMENTS = 2**22
"""Numbers worked on at once, 16 MB of float32. Smaller pieces cost more: each is a handful of
parallel steps, and on a busy machine every step waits for the slowest core."""

_CUDA_PIECE_ELEMENTS = 2**24
"""The same on a GPU, 64 MB: there, small pieces are so many launches that it waits for."""


def content_density(blank_probability: Tensor) -> Tensor:
    """`1 - p(blank)`, (T,) -> (T,) float32; rounding never takes it out of [0, 1]."""
    return (1.0 - blank_probability.float()).clamp(0.0, 1.0)


def density_from(blank_probability: Callable[[Tensor], Tensor]) -> Density:
    """The density that goes with a head, e.g. `density_from(encoder.blank_probability)`."""
    return lambda hidden: content_density(blank_probability(hidden))


class CtcHead(nn.Module):
    """The head as it is trained and released: `linear(projector(layer_norm(h)))`.

    Its parameters bear the released checkpoint's names below `ctc_decoder.` (`projector.weight`,
    `projector.bias`, `linear.weight`); `layer_norm` is the encoder's own final norm.

    Args:
        width: D.
        inner_width: H, the width of the language model in the released checkpoint.
        tokens: V, without the blank.
    """

    def __init__(self, width: int, inner_width: int, tokens: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(width, eps=eps)
        self.projector = nn.Linear(width, inner_width)
        self.linear = nn.Linear(inner_width, tokens + 1, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits in the parameters' dtype: (..., D) -> (..., V + 1)."""
        normed = self.layer_norm(hidden.to(self.linear.weight.dtype))
        logits: Tensor = self.linear(self.projector(normed))
        return logits

    @torch.no_grad()
    def blank_probability(self, hidden: Tensor) -> Tensor:
        """(T, D) -> (T,) float32, softmax in float32, in pieces."""
        return _blank_in_pieces(self, hidden, self.linear.out_features)

    @torch.no_grad()
    def fold(self) -> FoldedCtcHead:
        """The same head with its two linear maps multiplied out, in float32."""
        out = self.linear.weight.float()
        return FoldedCtcHead(
            norm_weight=self.layer_norm.weight.float(),
            norm_bias=self.layer_norm.bias.float(),
            weight=out @ self.projector.weight.float(),
            bias=out @ self.projector.bias.float(),
            eps=self.layer_norm.eps,
        )


@dataclass(frozen=True, eq=False)
class FoldedCtcHead:
    """The head as it is run: a norm and one linear map, all float32.

    `linear(projector(x)) = (out @ proj) x + out @ bias`. For the released sizes (D 1280, H 4096,
    V 10 000) that is 3.6 times fewer multiplications and 51 MB in place of 185 MB of float32.

    Attributes:
        norm_weight, norm_bias: (D,).
        weight: (V + 1, D).
        bias: (V + 1,).
        eps: the norm's.
    """

    norm_weight: Tensor
    norm_bias: Tensor
    weight: Tensor
    bias: Tensor
    eps: float = 1e-5

    def __post_init__(self) -> None:
        classes, width = self.weight.shape
        if self.norm_weight.shape != (width,) or self.norm_bias.shape != (width,):
            raise ValueError(f"the norm of a head for width {width} has ({width},) parameters")
        if self.bias.shape != (classes,):
            raise ValueError(f"a head of {classes} classes has ({classes},) biases")

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V + 1) float32."""
        width = self.weight.shape[1]
        normed = F.layer_norm(hidden.float(), (width,), self.norm_weight, self.norm_bias, self.eps)
        # The product is most of what the extractor computes.
        with _tensor_cores(normed.device):
            return F.linear(normed, self.weight, self.bias)

    @torch.no_grad()
    def blank_probability(self, hidden: Tensor) -> Tensor:
        """(T, D) -> (T,) float32, in pieces; (T, V + 1) never exists as a whole."""
        return _blank_in_pieces(self.logits, hidden, len(self.weight))

    @torch.no_grad()
    def log_probabilities(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Log-softmax values of the asked tokens and, last, of the blank, in pieces.

        Args:
            hidden: (T, D).
            tokens: (S,) int64, ids from 0 to V - 1, in any order and any number of times.

        Returns:
            (T, S + 1) float32; (T, V + 1) never exists as a whole.

        Raises:
            ValueError: `tokens` are of another shape or dtype, or are no tokens of this head.
        """
        blank = len(self.weight) - 1
        if tokens.ndim != 1 or tokens.dtype != torch.int64:
            raise ValueError(f"tokens are (S,) int64, not {tuple(tokens.shape)} {tokens.dtype}")
        if not ((tokens >= 0) & (tokens < blank)).all():
            raise ValueError(f"the head knows the tokens 0 to {blank - 1}")
        classes = torch.cat([tokens, tokens.new_tensor([blank])]).to(hidden.device)
        values = hidden.new_empty(len(hidden), len(classes), dtype=torch.float32)
        rows = piece_rows(hidden, len(self.weight))
        for first in range(0, len(hidden), rows):
            piece = self.logits(hidden[first : first + rows])
            total = piece.logsumexp(-1, keepdim=True)
            values[first : first + rows] = piece[:, classes] - total
        return values


def _blank_in_pieces(logits: Callable[[Tensor], Tensor], hidden: Tensor, classes: int) -> Tensor:
    rows = piece_rows(hidden, classes)
    blank = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
    for first in range(0, len(hidden), rows):
        piece = logits(hidden[first : first + rows])
        blank[first : first + rows] = piece.softmax(-1, dtype=torch.float32)[:, -1]
    return blank


def piece_rows(hidden: Tensor, classes: int = 0) -> int:
    """How many rows of (T, D), or of their logits (T, V + 1), are worked on at once."""
    elements = _CUDA_PIECE_ELEMENTS if hidden.device.type == "cuda" else _PIECE_ELEMENTS
    return max(1, elements // max(classes, hidden.shape[1]))


@contextmanager
def _tensor_cores(device: torch.device) -> Iterator[None]:
    """Within it, matrix products of float32 run in TF32 on a GPU: those of all threads.

    Not by `allow_tf32`: torch refuses to read either setting's state where they differ, and with
    this one it is set back exactly.
    """
    if device.type != "cuda":
        yield
        return
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "tf32"
    try:
        yield
    finally:
        matmul.fp32_precision = before
