"""What a decoder has read, with room for what is asked about it: nothing is copied for a request.

Keys and values lie in buffers that are longer than the context. Requests and replies are written
behind it and forgotten again; the context itself never changes.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicLayer

from fls_models.lslm.prompts import Prompt

Packed: TypeAlias = bytes

# Positions behind a context: requests and replies are rarely longer. More make the buffers grow,
# which is soon done for a context that is short itself.
_ROOM = 512
_MIN_ROOM = 64


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one layer, (1, heads, n, width) each, at the front of larger buffers.

    `expected_length` positions are to come: the first buffers have room for them.
    """

    def __init__(
        self, keys: Tensor | None = None, values: Tensor | None = None, *, expected_length: int = 0
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._expected_length = expected_length
        self._buffers: tuple[Tensor, Tensor] | None = None
        if keys is not None and values is not None:
            self.lazy_initialization(keys, values)
            self.keys, self.values = keys, values

    def lend(self) -> RoomyLayer:
        """A layer that goes on behind this one, in the same buffers."""
        layer = RoomyLayer(self.keys, self.values)
        layer._buffers = self._buffers
        return layer

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Appends n positions; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        before = self.get_seq_length()
        after = before + key_states.shape[-2]
        if self._buffers is None or self._buffers[0].shape[-2] < after:
            size = max(after, self._expected_length)
            size += min(_ROOM, max(_MIN_ROOM, size))
            self._buffers = (
                _longer(self.keys, key_states, before, size),
                _longer(self.values, value_states, before, size),
            )
        keys, values = self._buffers
        keys[:, :, before:after] = key_states
        values[:, :, before:after] = value_states
        self.keys, self.values = keys[:, :, :after], values[:, :, :after]
        return self.keys, self.values


def _longer(previous: Tensor | None, new: Tensor, before: int, size: int) -> Tensor:
    batch, heads, _, width = new.shape
    buffer = new.new_empty(batch, heads, size, width)
    if before and previous is not None:
        buffer[:, :, :before] = previous
    return buffer


def new_cache(layers: int, expected_length: int = 0) -> Cache:
    """An empty cache of so many layers, for a context of so many positions."""
    return Cache(layers=[RoomyLayer(expected_length=expected_length) for _ in range(layers)])


def cache_argument(body: nn.Module) -> str:
    """What the `forward` of a model of transformers calls its cache.

    `past_key_values` up to transformers 5.23; `cache` from 5.24 on, which warns of the old name
    and means to drop it in 5.40.
    """
    parameters = inspect.signature(body.forward).parameters
    return "cache" if "cache" in parameters else "past_key_values"


@dataclass(frozen=True, eq=False)
class KVContext:
    """Keys and values of everything up to the end of the recording, layer by layer.

    `rope_scale` is the factor by which the positions' window was stretched to hold them (NTK-RoPE).
    """

    layers: tuple[RoomyLayer, ...]
    prompt: Prompt
    rope_scale: float = 1.0
    # The cache that writes behind the context now, if one does.
    _borrowers: list[weakref.ref[Cache]] = field(default_factory=list)

    @classmethod
    def of(cls, cache: Cache, prompt: Prompt, rope_scale: float = 1.0) -> KVContext:
        """The context that a cache holds after reading; the cache is not to be used any more."""
        layers: Sequence[Any] = cache.layers
        return cls(tuple(layer.lend() for layer in layers), prompt, rope_scale)

    @property
    def keys_values(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Per layer, (1, heads, tokens, width) each."""
        return tuple((_tensor(layer.keys), _tensor(layer.values)) for layer in self.layers)

    @property
    def tokens(self) -> int:
        return self.layers[0].get_seq_length()

    @property
    def bytes(self) -> int:
        """Memory it takes, the room behind it aside."""
        return sum(part.nbytes for layer in self.keys_values for part in layer)

    def cache(self) -> Cache:
        """A cache to continue from; the context stays as it is."""
        if self._borrowers and self._borrowers[-1]() is not None:
            # Another reply is being written behind it: this one gets buffers of its own.
            return Cache(layers=[RoomyLayer(*pair) for pair in self.keys_values])
        cache = Cache(layers=[layer.lend() for layer in self.layers])
        self._borrowers[:] = [weakref.ref(cache)]
        return cache

    def pack(self) -> Packed:
        """All of it as safetensors: what `unpack` makes of it is the same to the last bit."""
        keys, values = zip(*self.keys_values, strict=True)
        rope_scale = torch.tensor(self.rope_scale, dtype=torch.float64)
        return save({"keys": torch.cat(keys), "values": torch.cat(values), "stretch": rope_scale})

    @classmethod
    def unpack(cls, packed: Packed, prompt: Prompt, device: torch.device) -> KVContext:
        """The context that was packed; `prompt` is the one that it was read with."""
        tensors = load(packed)
        keys, values = tensors["keys"].to(device), tensors["values"].to(device)
        layers = (RoomyLayer(keys[i : i + 1], values[i : i + 1]) for i in range(len(keys)))
        return cls(tuple(layers), prompt, float(tensors["stretch"]))


def _tensor(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "a context was read"
    return tensor
