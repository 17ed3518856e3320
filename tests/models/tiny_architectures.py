"""GGUF files of a few hundred kilobytes of every architecture that can be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import tiny_gguf
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from transformers import AutoConfig, AutoModelForCausalLM

HIDDEN, LAYERS, FEED_FORWARD, HEADS, KV_HEADS = 64, 2, 128, 4, 2
MODEL_TYPES = {
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "llama": "llama",
    "gemma3": "gemma3_text",
    "phi3": "phi3",
}


def layers(architecture: str) -> int:
    # The sixth of Gemma's is the first that looks at everything.
    return 6 if architecture == "gemma3" else LAYERS


def head_width(architecture: str) -> int:
    # Files of Qwen3 have 128, and transformers takes that for granted.
    return 128 if architecture == "qwen3" else HIDDEN // HEADS


def write_architecture(
    path: Path,
    architecture: str,
    *,
    seed: int = 1,
    tied: bool = True,
    template: str | None = tiny_gguf.TEMPLATE,
    fields: Mapping[str, Any] | None = None,
    more: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes the file; `fields` are further entries of the header, `more` further tensors."""
    writer = GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(2048)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(layers(architecture))
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    width = head_width(architecture)
    if architecture in ("qwen3", "gemma3"):
        writer.add_key_length(width)
        writer.add_value_length(width)
    if architecture == "gemma3":
        writer.add_sliding_window(8)
    for key, value in (fields or {}).items():
        add = writer.add_string if isinstance(value, str) else writer.add_uint32
        (writer.add_float32 if isinstance(value, float) else add)(key, value)
    vocabulary = tiny_gguf.add_tokenizer(writer, template)
    _add_tensors(writer, architecture, vocabulary, np.random.default_rng(seed), tied)
    for name, values in (more or {}).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tensors(
    writer: GGUFWriter, architecture: str, vocabulary: int, dice: np.random.Generator, tied: bool
) -> None:
    config = AutoConfig.for_model(
        MODEL_TYPES[architecture],
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        intermediate_size=FEED_FORWARD,
        num_hidden_layers=layers(architecture),
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        pad_token_id=0,
        **({"head_dim": head_width(architecture)} if architecture in ("qwen3", "gemma3") else {}),
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    [number] = (key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(number, layers(architecture))
    for name, empty in model.state_dict().items():
        if name == "lm_head.weight" and tied:
            continue
        stored_name = names.get_name(name, (".weight", ".bias"))
        shape = tuple(empty.shape)
        if len(shape) == 2:
            values = dice.normal(0, shape[1] ** -0.5, shape).astype(np.float32)
            stored = quantize(values, GGMLQuantizationType.Q8_0)
            writer.add_tensor(stored_name, stored, raw_dtype=GGMLQuantizationType.Q8_0)
        else:
            around = 1.0 if name.endswith("weight") else 0.0
            writer.add_tensor(stored_name, dice.normal(around, 0.1, shape).astype(np.float32))
