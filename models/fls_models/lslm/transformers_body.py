"""A decoder of transformers as a `Body`."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicLayer

from fls_models.lslm.base import scaled_frequencies
from fls_models.lslm.kv_cache import KVCache, KVLayer


class TransformersBody:
    """Any model of transformers that takes `inputs_embeds` and has a `rotary_emb`, with one
    `inv_freq` or one for each kind of its layers."""

    def __init__(self, module: Any) -> None:
        self.module: nn.Module = module
        self.config = module.config
        self._rotary = module.rotary_emb
        self._cache_argument = cache_argument(module)
        self._frequencies: dict[str, Tensor] = {
            name: buffer.clone()
            for name, buffer in self._rotary.named_buffers()
            if name.endswith("inv_freq") and "original" not in name
        }
        self._rope_scale = 1.0

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self._rotary.buffers()).device
        return device

    def read(self, embeddings: Tensor, cache: KVCache, rope_scale: float) -> Tensor:
        return self._run(embeddings, cache, rope_scale)

    def read_each(self, embeddings: Tensor, caches: Sequence[KVCache], rope_scale: float) -> Tensor:
        rows = [
            self._run(embeddings[row : row + 1], cache, rope_scale)
            for row, cache in enumerate(caches)
        ]
        return torch.cat(rows)

    def attention(self, embeddings: Tensor, cache: KVCache, rope_scale: float) -> list[Tensor]:
        attentions: list[Tensor] = []

        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            attentions.append(output[1][0].float().mean(1).cpu())

        module: Any = self.module
        hooks = [layer.self_attn.register_forward_hook(look) for layer in module.layers]
        implementation = module.config._attn_implementation
        # Others never have the weights as such.
        module.set_attn_implementation("eager")
        try:
            self._run(embeddings, cache, rope_scale)
        finally:
            module.set_attn_implementation(implementation)
            for hook in hooks:
                hook.remove()
        return attentions

    def through(self, embeddings: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        self._scale_rope(1.0)
        hidden: Tensor = self.module(
            inputs_embeds=embeddings,
            attention_mask=mask.long(),
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state
        return hidden

    def _run(self, embeddings: Tensor, cache: KVCache, rope_scale: float) -> Tensor:
        self._scale_rope(rope_scale)
        theirs = {self._cache_argument: as_transformers(cache)}
        output = self.module(inputs_embeds=embeddings.unsqueeze(0), use_cache=True, **theirs)
        hidden: Tensor = output.last_hidden_state[0]
        return hidden

    def _scale_rope(self, factor: float) -> None:
        if factor == self._rope_scale:
            return
        self._rope_scale = factor
        for name, frequencies in self._frequencies.items():
            setattr(self._rotary, name, scaled_frequencies(frequencies, factor).to(self.device))


class _Layer(DynamicLayer):  # type: ignore[no-untyped-call]
    """A layer of a `KVCache`, as transformers takes it."""

    def __init__(self, layer: KVLayer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._layer = layer
        if layer.length:
            self._take(*layer.states)

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Appends n positions; returns all of them."""
        states = self._layer.update(key_states, value_states)
        self._take(*states)
        return states

    def _take(self, keys: Tensor, values: Tensor) -> None:
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values


def as_transformers(cache: KVCache) -> Cache:
    """What a model of transformers writes into the cache with."""
    return Cache(layers=[_Layer(layer) for layer in cache.layers])


def cache_argument(module: nn.Module) -> str:
    """What the `forward` of a model of transformers calls its cache.

    `past_key_values` up to transformers 5.23; `cache` from 5.24 on, which warns of the old name
    and means to drop it in 5.40.
    """
    parameters = inspect.signature(module.forward).parameters
    return "cache" if "cache" in parameters else "past_key_values"
