"""Whisper's encoder and decoder in torch, from CTranslate2's variables.

As plain functions of tensors: transformers' classes would be a second of imports. What a window
gives does not depend on the others of its batch: windows are encoded one by one, and products of
bfloat16 matrices of up to 16 rows are row by row the same.

Letters: B windows, D width, H heads, T = 1500 frames of the encoder, or half as many where every
two of them are merged, n tokens, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from fls_models.audio.whisper.checkpoint import read_variables
from fls_models.audio.whisper.linear import Linear
from fls_models.core.machine.processor import multiplies_tiles

# How many rows products are of at least, or at most where texts of one window share it, so that one
# does not depend on how many others there are.
_ROWS = 16


@dataclass(frozen=True)
class Frames:
    """A window's (T, D) less their mean, as the decoder reads them: to be multiplied with queries,
    (n, D) -> (n, T), and with what these attend to, (n, T) -> (n, D).

    The mean adds the same to all scores of a query, which changes nothing, but is larger than what
    differs: without it less of that is rounded away. `offsets` (layers, D) are what it adds behind.
    """

    scores: Linear
    mean: Linear
    offsets: Tensor


@dataclass(frozen=True)
class CrossAttention:
    """How a layer of the decoder attends to frames.

    Frames are the same to all layers and heads, their keys and values are not and take twelve times
    the memory, all of which is read for each token. So q (x K)^T is computed as (q K) x^T, and
    p (x V) as (p x) V: `queries` (H, D / H, D), `values` (H, D, D / H), `bias` (D,).
    """

    queries: Tensor
    values: Tensor
    bias: Tensor


@dataclass
class DecoderState:
    """What the decoder knows of B windows: their frames, keys and values of their tokens.

    `tokens` holds a pair of buffers (B, H, n, D / H) by layer, of which the first `length` tokens
    are there.
    """

    frames: list[Frames]
    tokens: list[tuple[Tensor, Tensor]]
    length: int = 0

    def select(self, rows: Sequence[int]) -> None:
        """Keeps these windows only."""
        self.frames = [self.frames[row] for row in rows]
        self.tokens = [(keys[rows], values[rows]) for keys, values in self.tokens]


class WhisperNetwork:
    """The weights of a CTranslate2 file, and what they compute, in one precision."""

    def __init__(self, file: Path, dtype: torch.dtype) -> None:
        self._weights = read_variables(file, dtype)
        self._heads = int(self._weights["decoder/num_heads"])
        self._cross_attention = self._take_cross_attention()
        self._linears = {
            name.removesuffix("/weight"): Linear(
                self._weights.pop(name), self._weights.pop(name.replace("/weight", "/bias"))
            )
            for name in list(self._weights)
            if "/linear_" in name and name.endswith("/weight")
        }
        self._projection = Linear(self._weights["decoder/projection/weight"])
        self._dtype = dtype
        self._attend = (
            _attend_by_head if dtype == torch.bfloat16 and not multiplies_tiles() else _attend
        )
        self._encoder = _layers(self._linears, "encoder")
        self._decoder = _layers(self._linears, "decoder")

    def encode(self, features: Tensor, merging: int | None = None) -> Tensor:
        """(80, 3000) log-mel features of a window -> (T, D).

        After `merging` of the layers every two frames are their mean. (As Token Merging, arXiv
        2210.09461, but of neighbours and of all of them: what is alike was not the better choice.)
        """
        hidden = self._convolve(features)
        for depth, layer in enumerate(self._encoder):
            if depth == merging:
                pairs = hidden.float().view(1, -1, 2, hidden.shape[-1])
                hidden = pairs.mean(dim=2).to(self._dtype)
            hidden = self._encode(hidden, layer)
        return self._norm(hidden, "encoder")[0]

    def begin(self, encoded: Sequence[Tensor], length: int, texts: int = 1) -> DecoderState:
        """A state for these windows, each (T, D), with room for so many texts of each one after the
        other, of so many tokens."""
        frames = [same for window in encoded for same in [self._frames(window)] * texts]
        shape = (len(frames), self._heads, length, encoded[0].shape[-1] // self._heads)
        tokens = [
            (torch.empty(shape, dtype=self._dtype), torch.empty(shape, dtype=self._dtype))
            for _ in self._decoder
        ]
        return DecoderState(frames, tokens)

    def decode(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """(B, n) further tokens -> (B, n, D) normed hidden states; the state knows them then."""
        return self._decode(tokens, state, {})

    def attend(
        self, tokens: Tensor, state: DecoderState, heads: Sequence[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Of one window and its (1, n) tokens (n, D) hidden states as by `decode`, and how much
        these heads (layer, head) attend to what: (heads, n, 1500) scores."""
        queries: dict[int, Tensor] = {layer: torch.empty(0) for layer, _ in heads}
        hidden = self._decode(tokens, state, queries)
        scores = [state.frames[0].scores(queries[layer][0, :, head]) for layer, head in heads]
        positions = len(self._weights["encoder/position_encodings/encodings"])
        merged = positions // scores[0].shape[-1]
        return hidden[0], torch.stack(scores).float().repeat_interleave(merged, dim=-1)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V) float32."""
        return self._projection(hidden).float()

    def _convolve(self, features: Tensor) -> Tensor:
        """(80, 3000) -> (1, 1500, D), with their positions."""
        mel = features[None].to(self._dtype)
        for name, stride in (("conv1", 1), ("conv2", 2)):
            kernel, bias = (self._weights[f"encoder/{name}/{side}"] for side in ("weight", "bias"))
            mel = F.gelu(F.conv1d(mel, kernel, bias, stride=stride, padding=1))
        positions = self._weights["encoder/position_encodings/encodings"]
        return (mel.transpose(1, 2) + positions).contiguous()

    def _encode(self, hidden: Tensor, layer: str) -> Tensor:
        queries, keys, values = self._self_projections(hidden, layer)
        attended = self._attend(queries, keys, values)
        hidden = hidden + self._linear(_joined(attended), f"{layer}/self_attention/linear_1")
        return self._feed_forward(hidden, layer)

    def _decode(self, tokens: Tensor, state: DecoderState, queries: dict[int, Tensor]) -> Tensor:
        """Fills in the queries of those layers that are asked for."""
        first, end = state.length, state.length + tokens.shape[1]
        positions = self._weights["decoder/position_encodings/encodings"][first:end]
        hidden = self._weights["decoder/embeddings/weight"][tokens] + positions
        for index, layer in enumerate(self._decoder):
            own, keys, values = self._self_projections(hidden, layer)
            known_keys, known_values = state.tokens[index]
            known_keys[:, :, first:end], known_values[:, :, first:end] = keys, values
            # Tokens see those before them; more than one come only at the beginning.
            attended = self._attend_to_tokens(
                own, known_keys[:, :, :end], known_values[:, :, :end], is_causal=first == 0
            )
            hidden = hidden + self._linear(_joined(attended), f"{layer}/self_attention/linear_1")
            normed = self._norm(hidden, f"{layer}/attention")
            asked = self._cross_queries(index, self._linear(normed, f"{layer}/attention/linear_0"))
            if index in queries:
                queries[index] = asked
            attended = self._attend_to_frames(index, asked, state.frames)
            hidden = hidden + self._linear(attended, f"{layer}/attention/linear_2")
            hidden = self._feed_forward(hidden, layer)
        state.length = end
        return self._norm(hidden, "decoder")

    def _take_cross_attention(self) -> list[CrossAttention]:
        """By layer."""
        layers: list[CrossAttention] = []
        while (name := f"decoder/layer_{len(layers)}/attention/linear_1/weight") in self._weights:
            keys, values = self._weights.pop(name).chunk(2)
            # Keys have no bias that matters: it would add the same to all scores of a query.
            _, bias = self._weights.pop(name.replace("/weight", "/bias")).chunk(2)
            width = len(keys) // self._heads
            keys, values = (part.view(self._heads, width, -1) for part in (keys, values))
            values = values.transpose(1, 2).contiguous()
            layers.append(CrossAttention(keys * width**-0.5, values, bias))
        return layers

    def _frames(self, encoded: Tensor) -> Frames:
        mean = encoded.float().mean(dim=0)
        frames = (encoded.float() - mean).to(self._dtype)
        heads = mean.to(self._dtype).expand(self._heads, 1, -1)
        offsets = [
            _by_rows(heads, layer.values).flatten() + layer.bias for layer in self._cross_attention
        ]
        return Frames(Linear(frames), Linear(frames.T.contiguous()), torch.stack(offsets))

    def _cross_queries(self, layer: int, queries: Tensor) -> Tensor:
        """(B, n, D) -> (B, n, H, D), what each head's scores of frames are products with."""
        heads = queries.reshape(-1, self._heads, queries.shape[-1] // self._heads).transpose(0, 1)
        products = _by_rows(heads, self._cross_attention[layer].queries).transpose(0, 1)
        return products.reshape(*queries.shape[:2], self._heads, -1)

    def _attend_to_frames(self, layer: int, queries: Tensor, frames: Sequence[Frames]) -> Tensor:
        """(B, n, H, D) -> (B, n, D)."""
        # Texts of one window read it together, as far as that changes none of them.
        size = _ROWS if queries.shape[1] == 1 else queries.shape[1] * self._heads
        means, first = [], 0
        for _, same in groupby(frames, id):
            window, *others = same
            rows = queries[first : first + 1 + len(others)].flatten(0, 2)
            means += [
                window.mean(window.scores(q).softmax(dim=-1)) for q in torch.split(rows, size)
            ]
            first += 1 + len(others)
        heads = torch.cat(means).view(-1, *queries.shape[2:]).transpose(0, 1)
        attended = _by_rows(heads, self._cross_attention[layer].values).transpose(0, 1).flatten(1)
        offsets = torch.stack([window.offsets[layer] for window in frames])
        return attended.view(*queries.shape[:2], -1) + offsets[:, None]

    def _attend_to_tokens(
        self, queries: Tensor, keys: Tensor, values: Tensor, *, is_causal: bool
    ) -> Tensor:
        """Tokens see those before them; more than one come only at the beginning."""
        attend = F.scaled_dot_product_attention
        if self._dtype == torch.bfloat16:
            return attend(queries, keys, values, is_causal=is_causal)
        # What a float32 product comes to depends on where in memory its thread works, so on how
        # many windows there are.
        rows = [slice(row, row + 1) for row in range(len(queries))]
        return torch.cat(
            [attend(queries[row], keys[row], values[row], is_causal=is_causal) for row in rows]
        )

    def _self_projections(self, hidden: Tensor, layer: str) -> tuple[Tensor, Tensor, Tensor]:
        normed = self._norm(hidden, f"{layer}/self_attention")
        parts = self._linear(normed, f"{layer}/self_attention/linear_0").chunk(3, dim=-1)
        queries, keys, values = map(self._split, parts)
        return queries, keys, values

    def _feed_forward(self, hidden: Tensor, layer: str) -> Tensor:
        normed = self._norm(hidden, f"{layer}/ffn")
        inner = self._linears[f"{layer}/ffn/linear_0"](normed, "gelu")
        return hidden + self._linear(inner, f"{layer}/ffn/linear_1")

    def _linear(self, hidden: Tensor, name: str) -> Tensor:
        return self._linears[name](hidden)

    def _norm(self, hidden: Tensor, name: str) -> Tensor:
        scale = self._weights[f"{name}/layer_norm/gamma"]
        return F.layer_norm(hidden, scale.shape, scale, self._weights[f"{name}/layer_norm/beta"])

    def _split(self, hidden: Tensor) -> Tensor:
        """(B, n, D) -> (B, H, n, D / H)."""
        return hidden.view(*hidden.shape[:-1], self._heads, -1).transpose(1, 2)


def _by_rows(heads: Tensor, matrices: Tensor) -> Tensor:
    """(H, n, a) by (H, a, b) -> (H, n, b); up to 16 rows are each as they are alone."""
    rows = heads.shape[1]
    padding = max(0, _ROWS - rows)
    return torch.bmm(F.pad(heads, (0, 0, 0, padding)), matrices)[:, :rows]


def _attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of one window's frames, (1, H, T, D / H)."""
    return F.scaled_dot_product_attention(queries, keys, values)


def _attend_by_head(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """As `_attend`, in two thirds of its time.

    That multiplies bfloat16 matrices in float32 where the processor has no tiles for them.
    """
    scaled = queries * queries.shape[-1] ** -0.5
    attended = torch.empty_like(queries)
    for head in range(queries.shape[1]):
        weights = (scaled[0, head] @ keys[0, head].T).softmax(dim=-1)
        torch.mm(weights, values[0, head], out=attended[0, head])
    return attended


def _joined(attended: Tensor) -> Tensor:
    return attended.transpose(1, 2).flatten(2)


def _layers(linears: Mapping[str, Linear], side: str) -> tuple[str, ...]:
    count = sum(
        name.startswith(f"{side}/layer_") and name.endswith("/ffn/linear_0") for name in linears
    )
    return tuple(f"{side}/layer_{index}" for index in range(count))
