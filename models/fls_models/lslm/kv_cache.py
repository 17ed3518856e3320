"""What a decoder has read, with room for what is asked about it: nothing is copied for a request.

Keys and values lie in buffers that are longer than the context. Requests and replies are written
behind it and forgotten again; the context itself never changes.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from safetensors.torch import load, save
from torch import Tensor

from fls_models.lslm.prompts import Prompt

Packed: TypeAlias = bytes

# Positions behind a context: requests and replies are rarely longer. More make the buffers grow,
# which is soon done for a context that is short itself.
_ROOM = 512
_MIN_ROOM = 64


class KVLayer:
    """Keys and values of one layer, (1, heads, n, width) each, at the front of larger buffers.

    `expected_length` positions are to come: the first buffers have room for them.
    """

    def __init__(
        self, keys: Tensor | None = None, values: Tensor | None = None, *, expected_length: int = 0
    ) -> None:
        self._expected_length = expected_length
        self._buffers: tuple[Tensor, Tensor] | None = None
        self._states = None if keys is None or values is None else (keys, values)

    @property
    def states(self) -> tuple[Tensor, Tensor]:
        """Keys and values of all positions; there are some."""
        assert self._states is not None, "nothing was read"
        return self._states

    @property
    def length(self) -> int:
        """n."""
        return 0 if self._states is None else self._states[0].shape[-2]

    def lend(self) -> KVLayer:
        """A layer that goes on behind this one, in the same buffers."""
        layer = KVLayer()
        layer._states, layer._buffers = self._states, self._buffers
        return layer

    def update(self, new_keys: Tensor, new_values: Tensor) -> tuple[Tensor, Tensor]:
        """Appends positions; returns all of them."""
        before = self.length
        after = before + new_keys.shape[-2]
        if self._buffers is None or self._buffers[0].shape[-2] < after:
            size = max(after, self._expected_length)
            size += min(_ROOM, max(_MIN_ROOM, size))
            previous = self._states or (new_keys, new_values)
            self._buffers = (
                _longer(previous[0], before, size),
                _longer(previous[1], before, size),
            )
        keys, values = self._buffers
        keys[:, :, before:after] = new_keys
        values[:, :, before:after] = new_values
        self._states = keys[:, :, :after], values[:, :, :after]
        return self._states

    def truncate(self, length: int) -> None:
        """Forgets all positions but so many."""
        keys, values = self.states
        self._states = keys[:, :, :length], values[:, :, :length]


def _longer(previous: Tensor, before: int, size: int) -> Tensor:
    batch, heads, _, width = previous.shape
    buffer = previous.new_empty(batch, heads, size, width)
    buffer[:, :, :before] = previous[:, :, :before]
    return buffer


class KVCache:
    """Keys and values while they are read or written, layer by layer."""

    def __init__(self, layers: tuple[KVLayer, ...]) -> None:
        self.layers = layers

    @classmethod
    def empty(cls, layers: int, expected_length: int = 0) -> KVCache:
        """Of so many layers, for a context of so many positions."""
        return cls(tuple(KVLayer(expected_length=expected_length) for _ in range(layers)))

    @property
    def length(self) -> int:
        """Positions."""
        return self.layers[0].length

    def truncate(self, length: int) -> None:
        """Forgets all positions but so many."""
        for layer in self.layers:
            layer.truncate(length)


@dataclass(frozen=True, eq=False)
class KVContext:
    """Keys and values of everything up to the end of the recording, layer by layer.

    `rope_scale` is the factor by which the positions' window was stretched to hold them (NTK-RoPE),
    `text` what the recording's embeddings stand for, where that is known.
    """

    layers: tuple[KVLayer, ...]
    prompt: Prompt
    rope_scale: float = 1.0
    text: str = ""
    # The cache that writes behind the context now, if one does.
    _borrowers: list[weakref.ref[KVCache]] = field(default_factory=list)

    @classmethod
    def of(
        cls, cache: KVCache, prompt: Prompt, rope_scale: float = 1.0, text: str = ""
    ) -> KVContext:
        """The context that a cache holds after reading; the cache is not to be used any more."""
        return cls(tuple(layer.lend() for layer in cache.layers), prompt, rope_scale, text)

    @property
    def keys_values(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Per layer, (1, heads, tokens, width) each."""
        return tuple(layer.states for layer in self.layers)

    @property
    def tokens(self) -> int:
        return self.layers[0].length

    @property
    def bytes(self) -> int:
        """Memory it takes, the room behind it aside."""
        return sum(part.nbytes for layer in self.keys_values for part in layer)

    def cache(self) -> KVCache:
        """A cache to continue from; the context stays as it is."""
        if self._borrowers and self._borrowers[-1]() is not None:
            # Another reply is being written behind it: this one gets buffers of its own.
            return KVCache(tuple(KVLayer(*pair) for pair in self.keys_values))
        cache = KVCache(tuple(layer.lend() for layer in self.layers))
        self._borrowers[:] = [weakref.ref(cache)]
        return cache

    def pack(self) -> Packed:
        """All of it as safetensors: what `unpack` makes of it is the same to the last bit."""
        keys, values = zip(*self.keys_values, strict=True)
        rope_scale = torch.tensor(self.rope_scale, dtype=torch.float64)
        return save({"keys": torch.cat(keys), "values": torch.cat(values), "stretch": rope_scale})

    @classmethod
    def unpack(
        cls, packed: Packed, prompt: Prompt, device: torch.device, text: str = ""
    ) -> KVContext:
        """The context that was packed; prompt and text are those that it was read with."""
        tensors = load(packed)
        keys, values = tensors["keys"].to(device), tensors["values"].to(device)
        layers = (KVLayer(keys[i : i + 1], values[i : i + 1]) for i in range(len(keys)))
        return cls(tuple(layers), prompt, float(tensors["stretch"]), text)
