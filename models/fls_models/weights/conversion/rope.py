"""Rotary positions that a GGUF file states and transformers (5.24) leaves out when it reads one:
Llama 3's and Phi's factors by frequency, Gemma 3's scaling, and heads that are rotated in part.

Without them a model is another one, the more so the longer it reads.
"""

from typing import Any

import numpy as np

from fls_models.weights.conversion.gguf_header import GgufHeader


def rope_parameters(header: GgufHeader, config: Any) -> dict[str, Any]:
    """Entries of transformers' config, those that differ from what it read."""
    stated: dict[str, Any] = {**(config.rope_parameters or {})}
    by_kind = "full_attention" in stated
    # Gemma's short layers are never scaled.
    entry: dict[str, Any] = dict(stated["full_attention"] if by_kind else stated)
    changed = _scaled(header, entry) | _factors(header) | _partial(header, config)
    if not changed:
        return {}
    entry |= changed
    extra = {}
    if entry["rope_type"] == "longrope":
        original = int(header.value("{}.rope.scaling.original_context_length", 0))
        original = original or header.context_length
        entry["original_max_position_embeddings"] = original
        entry["factor"] = max(1.0, header.context_length / original)
        extra = {"original_max_position_embeddings": original}
    return {"rope_parameters": stated | {"full_attention": entry} if by_kind else entry, **extra}


def _scaled(header: GgufHeader, entry: dict[str, Any]) -> dict[str, Any]:
    kind = header.value("{}.rope.scaling.type")
    factor = float(header.value("{}.rope.scaling.factor", 0) or 0)
    if kind not in ("linear", "yarn") or factor in (0.0, 1.0):
        return {}
    original = header.value("{}.rope.scaling.original_context_length")
    more = {} if original is None else {"original_max_position_embeddings": int(original)}
    return {"rope_type": kind, "factor": factor, **more}


def _factors(header: GgufHeader) -> dict[str, Any]:
    """By what each frequency is divided, as transformers' `longrope` takes it."""
    there = {tensor.name: tensor for tensor in header.reader.tensors}
    names = [("rope_freqs.weight",) * 2, ("rope_factors_short.weight", "rope_factors_long.weight")]
    for short, long in names:
        if short in there and long in there:
            factors = [np.asarray(there[name].data, np.float32).tolist() for name in (short, long)]
            attention = float(header.value("{}.rope.scaling.attn_factor", 1.0))
            return {
                "rope_type": "longrope",
                "short_factor": factors[0],
                "long_factor": factors[1],
                "attention_factor": attention,
            }
    return {}


def _partial(header: GgufHeader, config: Any) -> dict[str, Any]:
    heads = int(config.num_attention_heads)
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    rotated = int(header.value("{}.rope.dimension_count", width))
    return {} if rotated == width else {"partial_rotary_factor": rotated / width}
