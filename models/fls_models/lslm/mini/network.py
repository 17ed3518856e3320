"""The layers of Qwen2.5 in plain torch, for the CPU: transformers' numbers, with fewer operations.

Positions are of one sequence, or one of each of several, so tensors have no batch. Letters:
H width, A heads, G heads that keys and values have, d width of a head, n positions that come, N
positions with those before.
Architecture: "Qwen2 Technical Report" (arXiv 2407.10671).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fls_models.lslm.base import scaled_frequencies
from fls_models.lslm.kv_cache import KVCache, KVLayer
from fls_models.lslm.mini.int8 import Activations, Int8Linear, few_rows

Observer = Callable[[Tensor], None]


@dataclass(frozen=True)
class Qwen2Sizes:
    """As `config.json` of transformers has them, and by its names."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Qwen2Sizes":
        """Raises KeyError for what is missing."""
        names = (name for name in cls.__dataclass_fields__ if name != "rope_theta")
        sizes = {name: config[name] for name in names}
        return cls(**sizes, rope_theta=float(config["rope_parameters"]["rope_theta"]))


@dataclass(frozen=True)
class _Positions:
    """Of the n positions: cosines and sines, (n, 1, d), and who may see whom: (n, N) or all."""

    cosines: Tensor
    sines: Tensor
    mask: Tensor | None

    def rotate(self, heads: Tensor) -> Tensor:
        """Rotary embedding (arXiv 2104.09864) of (n, heads, d), by halves."""
        first, second = heads.chunk(2, dim=-1)
        return heads * self.cosines + torch.cat((-second, first), dim=-1) * self.sines


class _Norm(nn.Module):
    """RMSNorm (arXiv 1910.07467): x / sqrt(mean(x^2) + eps) * weight."""

    weight: Tensor

    def __init__(self, weight: Tensor, eps: float) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self._eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self._eps)


class _Attention(nn.Module):
    def __init__(self, name: str, sizes: Qwen2Sizes, linear: Callable[[str], Int8Linear]) -> None:
        super().__init__()
        self.q_proj = linear(f"{name}.q_proj")
        self.k_proj = linear(f"{name}.k_proj")
        self.v_proj = linear(f"{name}.v_proj")
        self.o_proj = linear(f"{name}.o_proj")
        self._groups = sizes.num_key_value_heads
        self._width = sizes.hidden_size // sizes.num_attention_heads
        self._few = few_rows()

    def forward(
        self,
        x: Tensor,
        layers: Sequence[KVLayer],
        positions: _Positions,
        observe: Observer | None,
    ) -> Tensor:
        activations, n = Activations(x), len(x)
        queries = self.q_proj.project(activations).view(n, -1, self._width)
        keys = self.k_proj.project(activations).view(n, -1, self._width)
        values = self.v_proj.project(activations).view(1, n, -1, self._width)
        rotated = positions.rotate(torch.cat((queries, keys), dim=1)).unsqueeze(0)
        heads = rotated.shape[2] - self._groups
        queries, keys = rotated[:, :, :heads].transpose(1, 2), rotated[:, :, heads:]
        keys, values = keys.transpose(1, 2), values.transpose(1, 2)
        if len(layers) > 1:
            sequences = (
                layer.update(keys[:, :, row : row + 1], values[:, :, row : row + 1])
                for row, layer in enumerate(layers)
            )
            rows = [self._row(rotated[0, row, :heads], *s) for row, s in enumerate(sequences)]
            return self.o_proj.project(Activations(torch.cat(rows)))
        keys, values = layers[0].update(keys, values)
        if observe is not None:
            read = self._observed(queries, keys, values, observe)
        elif n < keys.shape[-2] and n <= self._few:
            return self.o_proj.project(Activations(self._each(rotated[0, :, :heads], keys, values)))
        else:
            mask, first = positions.mask, n == keys.shape[-2]
            read = F.scaled_dot_product_attention(
                queries, keys, values, mask, is_causal=first, enable_gqa=True
            )
        return self.o_proj.project(Activations(read.transpose(1, 2).reshape(n, -1)))

    def _each(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Row by row, so that each is what it is alone: (n, A, d) -> (n, H)."""
        first = keys.shape[-2] - len(queries) + 1
        rows = [
            self._row(query, keys[:, :, :last], values[:, :, :last])
            for last, query in enumerate(queries, first)
        ]
        return torch.cat(rows)

    def _row(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """One position, (A, d) -> (1, H), that sees all of its sequence."""
        # Heads that share keys read them together.
        grouped = query.view(1, self._groups, -1, self._width)
        return F.scaled_dot_product_attention(grouped, keys, values).reshape(1, -1)

    def _observed(self, queries: Tensor, keys: Tensor, values: Tensor, observe: Observer) -> Tensor:
        """The same with the weights as such, (A, n, N), which `observe` sees."""
        sharing = queries.shape[1] // self._groups
        keys, values = (states.repeat_interleave(sharing, 1) for states in (keys, values))
        scores = queries @ keys.transpose(2, 3) / math.sqrt(self._width)
        n, length = scores.shape[-2:]
        hidden = torch.ones(n, length, dtype=torch.bool).triu_(length - n + 1)
        weights = scores.masked_fill_(hidden, -math.inf).softmax(-1)
        observe(weights[0])
        return weights @ values


class _FeedForward(nn.Module):
    """SwiGLU (arXiv 2002.05202)."""

    def __init__(self, name: str, linear: Callable[[str], Int8Linear]) -> None:
        super().__init__()
        self.gate_proj = linear(f"{name}.gate_proj")
        self.up_proj = linear(f"{name}.up_proj")
        self.down_proj = linear(f"{name}.down_proj")

    def forward(self, x: Tensor) -> Tensor:
        activations = Activations(x)
        gate = F.silu(self.gate_proj.project(activations), inplace=True)
        gate.mul_(self.up_proj.project(activations))
        return self.down_proj.project(Activations(gate))


class _Layer(nn.Module):
    def __init__(
        self,
        name: str,
        sizes: Qwen2Sizes,
        linear: Callable[[str], Int8Linear],
        tensor: Callable[[str], Tensor],
    ) -> None:
        super().__init__()
        eps = sizes.rms_norm_eps
        self.input_layernorm = _Norm(tensor(f"{name}.input_layernorm.weight"), eps)
        self.self_attn = _Attention(f"{name}.self_attn", sizes, linear)
        after = tensor(f"{name}.post_attention_layernorm.weight")
        self.post_attention_layernorm = _Norm(after, eps)
        self.mlp = _FeedForward(f"{name}.mlp", linear)

    def forward(
        self,
        x: Tensor,
        layers: Sequence[KVLayer],
        positions: _Positions,
        observe: Observer | None,
    ) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), layers, positions, observe)
        return x.add_(self.mlp(self.post_attention_layernorm(x)))


class Qwen2(nn.Module):
    """A `Body` of int8 layers, whose modules have transformers' names.

    `linear` and `tensor` give the weights of a name.
    """

    def __init__(
        self,
        sizes: Qwen2Sizes,
        linear: Callable[[str], Int8Linear],
        tensor: Callable[[str], Tensor],
    ) -> None:
        super().__init__()
        self.config = sizes
        self._few = few_rows()
        self.layers = nn.ModuleList(
            _Layer(f"layers.{number}", sizes, linear, tensor)
            for number in range(sizes.num_hidden_layers)
        )
        self.norm = _Norm(tensor("norm.weight"), sizes.rms_norm_eps)

    @property
    def module(self) -> nn.Module:
        return self

    @property
    def device(self) -> torch.device:
        return self.norm.weight.device

    def read(self, embeddings: Tensor, cache: KVCache, rope_scale: float) -> Tensor:
        hidden: Tensor = self(embeddings, [cache], rope_scale, None)
        return hidden

    def read_each(self, embeddings: Tensor, caches: Sequence[KVCache], rope_scale: float) -> Tensor:
        hidden: Tensor = self(embeddings, caches, rope_scale, None)
        return hidden

    def attention(self, embeddings: Tensor, cache: KVCache, rope_scale: float) -> list[Tensor]:
        seen: list[Tensor] = []
        self(embeddings, [cache], rope_scale, lambda weights: seen.append(weights.mean(1)))
        return seen

    def through(self, embeddings: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        raise NotImplementedError("int8 layers have no gradients; training takes others")

    def forward(
        self,
        x: Tensor,
        caches: Sequence[KVCache],
        rope_scale: float,
        observe: Observer | None,
    ) -> Tensor:
        """Positions of one sequence, or one of each of several."""
        before, n = [cache.length for cache in caches], len(x)
        if len(caches) > 1:
            positions = self._positions(torch.tensor(before), max(before) + 1, rope_scale)
        else:
            total = before[0] + n
            mask = None
            if before[0] and n > self._few:
                mask = torch.ones(n, total, dtype=torch.bool).tril_(before[0])
            positions = self._positions(slice(before[0], total), total, rope_scale, mask)
        for layer, *states in zip(self.layers, *(each.layers for each in caches), strict=True):
            x = layer(x, states, positions, observe)
        hidden: Tensor = self.norm(x)
        return hidden

    def _positions(
        self, places: Tensor | slice, total: int, rope_scale: float, mask: Tensor | None = None
    ) -> _Positions:
        # The table grows by powers of two.
        width = self.config.hidden_size // self.config.num_attention_heads
        length = 1 << max(9, (total - 1).bit_length())
        cosines, sines = _rotary(width, self.config.rope_theta, rope_scale, length)
        return _Positions(cosines[places, None], sines[places, None], mask)


# Two models have four lengths each.
@lru_cache(maxsize=8)
def _rotary(width: int, theta: float, rope_scale: float, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of so many positions, (length, width) float32."""
    exponents = torch.arange(0, width, 2, dtype=torch.int64).float() / width
    frequencies = scaled_frequencies(1.0 / theta**exponents, rope_scale)
    angles = torch.arange(length).float()[:, None] * frequencies
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()
