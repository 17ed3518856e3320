"""What stands between Whisper's encoder and a language model of `mini`: it is trained here.

An adapter makes hidden states out of the encoder's frames; a CTC head reads tokens of the language
model in them; a projector turns fused hidden states into embeddings, by what the head reads. It
knows tensors only: who encodes, fuses and reads, and how it is trained, is others' work.

Letters: B windows, T frames at 25 Hz, W width of the encoder's frames, D width of the hidden
states, V tokens that the head knows, H width of the language model.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """How large a connector is.

    Attributes:
        encoder_width: W.
        width: D.
        blocks: of the adapter.
        heads: of each block's attention, which divide D; with 0, blocks have none and cost a third
            less: Whisper's own layers have looked at the whole window.
        kernel: frames that a block's convolution sees, an odd number.
        inner_width: of each block's feed-forward layer.
        tokens: V, without the blank.
        model_width: H.
    """

    encoder_width: int
    width: int
    blocks: int
    heads: int
    kernel: int
    inner_width: int
    tokens: int
    model_width: int

    def __post_init__(self) -> None:
        smallest = min(value for name, value in asdict(self).items() if name != "heads")
        if smallest < 1 or self.heads < 0 or self.kernel % 2 == 0:
            raise ValueError("sizes are at least 1, heads at least 0, and the kernel is odd")
        if self.heads and self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width of {self.width}")


class Block(nn.Module):
    """Convolution, self-attention, feed-forward, each on a normed input and added to it.

    The parts of a Conformer block (arXiv 2005.08100, section 2), without its second feed-forward
    layer and relative positions: Whisper's frames tell their place themselves.
    """

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.dropout = dropout
        self.conv_norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(
            width, width, shape.kernel, padding=shape.kernel // 2, groups=width
        )
        self.depthwise_norm = nn.LayerNorm(width)
        self.pointwise = nn.Linear(width, width)
        if shape.heads:
            self.attention_norm = nn.LayerNorm(width)
            self.qkv = nn.Linear(width, 3 * width)
            self.out = nn.Linear(width, width)
        self.forward_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, shape.inner_width)
        self.down = nn.Linear(shape.inner_width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        hidden = hidden + self._dropped(self._convolved(self.conv_norm(hidden)))
        if self.heads:
            hidden = hidden + self._dropped(self._attended(self.attention_norm(hidden)))
        inner = self._dropped(F.silu(self.up(self.forward_norm(hidden))))
        return hidden + self._dropped(self.down(inner))

    def _convolved(self, normed: Tensor) -> Tensor:
        gated = F.glu(self.gate(normed), -1)
        near = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        convolved: Tensor = self.pointwise(F.silu(self.depthwise_norm(near)))
        return convolved

    def _attended(self, normed: Tensor) -> Tensor:
        windows, frames, width = normed.shape
        parts = self.qkv(normed).view(windows, frames, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value)
        joined: Tensor = self.out(attended.transpose(1, 2).reshape(windows, frames, width))
        return joined

    def _dropped(self, values: Tensor) -> Tensor:
        return F.dropout(values, self.dropout, self.training)


class Adapter(nn.Module):
    """Whisper's normed frames, two by two, through blocks: (B, 2 T, W) -> (B, T, D), 25 Hz."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.joined = nn.Linear(2 * shape.encoder_width, shape.width)
        self.blocks = nn.ModuleList(Block(shape, dropout) for _ in range(shape.blocks))

    def forward(self, frames: Tensor) -> Tensor:
        windows, count, width = frames.shape
        hidden: Tensor = self.joined(frames.reshape(windows, count // 2, 2 * width))
        for block in self.blocks:
            hidden = block(hidden)
        return hidden


class Projector(nn.Module):
    """Hidden states to embeddings by what the CTC head reads in them.

    `sum_v p(v) e_v + p(blank) b + r(h)`: the language model's own embeddings e of the head's
    tokens, weighted by their probabilities (as LegoSLM does, arXiv 2505.11352), a vector b for
    what says nothing, and a linear map r of the normed hidden state, which begins as 0, for what
    the tokens leave out. So the head's reading is the language model's from the first step.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.blank = nn.Parameter(torch.zeros(shape.model_width))
        self.rest = nn.Linear(shape.width, shape.model_width)
        nn.init.zeros_(self.rest.weight)
        nn.init.zeros_(self.rest.bias)

    def forward(self, normed: Tensor, logits: Tensor, table: Tensor) -> Tensor:
        """(..., D), (..., V + 1), (V, H) -> (..., H), in the table's dtype.

        Args:
            normed: hidden states behind the adapter's norm.
            logits: what the CTC head makes of them, blank last.
            table: embeddings of the head's tokens.
        """
        shares = logits.float().softmax(-1).to(table.dtype)
        mixture = shares[..., :-1] @ table + shares[..., -1:] * self.blank.to(table.dtype)
        embeddings: Tensor = mixture + self.rest(normed).to(table.dtype)
        return embeddings


class Connector(nn.Module):
    """Adapter, its final norm, CTC head and projector.

    The hidden states that are fused are the adapter's, before the norm.
    """

    def __init__(self, shape: Shape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.adapter = Adapter(shape, dropout)
        self.norm = nn.LayerNorm(shape.width)
        self.ctc = nn.Linear(shape.width, shape.tokens + 1)
        self.projector = Projector(shape)

    def logits(self, hidden: Tensor) -> Tensor:
        """What the CTC head makes of hidden states: (..., D) -> (..., V + 1), blank last."""
        logits: Tensor = self.ctc(self.norm(hidden))
        return logits

    def embeddings(self, hidden: Tensor, table: Tensor) -> Tensor:
        """Hidden states, fused or not, for the language model: (..., D), (V, H) -> (..., H)."""
        normed = self.norm(hidden)
        embeddings: Tensor = self.projector(normed, self.ctc(normed), table)
        return embeddings
