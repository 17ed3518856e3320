"""GGUF to the form that loads fastest: int8 rows in safetensors, and a tokenizer of its own.

Runs once, when a model is pulled. The output embedding (8-bit in the GGUF file) also serves as the
input embedding, which Qwen2.5 ties to it and the file keeps at 5 bits.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from fls_models.core.progress import Progress
from fls_models.errors import DamagedWeights
from fls_models.weights.conversion.int8 import quantise

_TOP = {"output": "lm_head", "output_norm": "model.norm", "token_embd": "model.embed_tokens"}
_LAYER = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def convert(gguf_file: Path, into: Path, progress: Progress) -> None:
    """Writes `model.safetensors`, `config.json` and the tokenizer's files into a folder.

    Raises DamagedWeights when the file is not a Qwen2 model in GGUF.
    """
    import numpy as np
    from gguf import GGUFReader
    from gguf.quants import dequantize

    try:
        reader = GGUFReader(str(gguf_file))
    except (ValueError, IndexError, OSError) as error:
        raise DamagedWeights(f"{gguf_file} is no GGUF file ({error}); pull it again.") from error
    config = _config(reader, gguf_file)
    tied = "output.weight" not in {tensor.name for tensor in reader.tensors}
    tensors: dict[str, torch.Tensor] = {}
    stage = f"convert {gguf_file.parent.name.removeprefix('.incoming-')}"
    for index, tensor in enumerate(reader.tensors):
        progress(stage, index, len(reader.tensors))
        if tensor.name == "token_embd.weight" and not tied:
            continue
        name = "lm_head.weight" if tensor.name == "token_embd.weight" else _name(tensor.name)
        values = np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type), np.float32)
        weight = torch.from_numpy(values.copy() if not values.flags.writeable else values)
        if weight.ndim == 2:
            tensors[name], tensors[name.removesuffix("weight") + "scale"] = quantise(weight)
        else:
            tensors[name] = weight
    progress(stage, len(reader.tensors), len(reader.tensors))
    save_file(tensors, into / "model.safetensors")
    (into / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    _save_tokenizer(gguf_file, into)


def _config(reader: Any, gguf_file: Path) -> dict[str, Any]:
    def field(key: str) -> Any:
        return reader.fields[key].contents()

    if "general.architecture" not in reader.fields or field("general.architecture") != "qwen2":
        raise DamagedWeights(f"{gguf_file} holds no Qwen2 model; pull the card's own file.")
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": len(field("tokenizer.ggml.tokens")),
        "hidden_size": field("qwen2.embedding_length"),
        "intermediate_size": field("qwen2.feed_forward_length"),
        "num_hidden_layers": field("qwen2.block_count"),
        "num_attention_heads": field("qwen2.attention.head_count"),
        "num_key_value_heads": field("qwen2.attention.head_count_kv"),
        "max_position_embeddings": field("qwen2.context_length"),
        "rms_norm_eps": field("qwen2.attention.layer_norm_rms_epsilon"),
        "rope_parameters": {"rope_type": "default", "rope_theta": field("qwen2.rope.freq_base")},
        "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "tie_word_embeddings": False,
    }


def _name(gguf_name: str) -> str:
    """`blk.3.attn_q.weight` -> `model.layers.3.self_attn.q_proj.weight`."""
    stem, kind = gguf_name.rsplit(".", 1)
    if not stem.startswith("blk."):
        return f"{_TOP[stem]}.{kind}"
    _, layer, module = stem.split(".")
    return f"model.layers.{layer}.{_LAYER[module]}.{kind}"


def _save_tokenizer(gguf_file: Path, into: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(gguf_file.parent), gguf_file=gguf_file.name)
    tokenizer.save_pretrained(into)
