"""Any decoder that transformers builds, in 8 bits on the CPU: what a GGUF of the user's becomes.

Its layers are transformers' own, with linear layers that read int8 weights straight from the mapped
file. Qwen2 has layers of ours (`network`), which take fewer operations.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fls_models.errors import DamagedWeights
from fls_models.lslm.decoder import DecoderLanguageModel
from fls_models.lslm.decoder_inputs import DecoderComponents
from fls_models.lslm.mini.int8 import Int8Embedding, Int8Linear
from fls_models.lslm.mini.language_model import MiniLanguageModel, reply_ends
from fls_models.lslm.mini.tokenizer import ChatTokenizer
from fls_models.lslm.transformers_body import TransformersBody
from fls_models.weights.conversion.quantization import compute_buffers, fetch

_HEAD, _TABLE = "lm_head", "model.embed_tokens"


def language_model(folder: Path) -> DecoderLanguageModel:
    """That in a folder which `fls_models.weights.conversion.gguf` wrote; DamagedWeights for one
    that is not whole."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error
    if config.get("model_type") == "qwen2":
        return MiniLanguageModel(folder)
    return AnyLanguageModel(folder, config)


class AnyLanguageModel(DecoderLanguageModel):
    """A `LanguageModel` of transformers' layers."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        from transformers import AutoConfig, AutoModel

        make: Any = AutoModel.from_config
        try:
            tensors = load_file(folder / "model.safetensors")
            tokenizer = ChatTokenizer(folder)
            ends = reply_ends(config, tokenizer)
            settings = AutoConfig.for_model(**config)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise _damaged(folder, error) from error
        with torch.device("meta"):
            body = make(settings, dtype=torch.float32)
        embedding_scale = float(getattr(body.embed_tokens, "scalar_embed_scale", 1.0))
        # Only what it is asked for: tokens are embedded outside.
        body.embed_tokens = None
        _fill(body, tensors)
        head = _linear(_HEAD, tensors)
        table = tensors.get(f"{_TABLE}.weight", head.weight)
        scale = tensors.get(f"{_TABLE}.scale", head.scale)
        super().__init__(
            DecoderComponents(
                body=TransformersBody(body),
                head=head,
                table=Int8Embedding(table, scale * embedding_scale),
                tokenizer=tokenizer,
                template=tokenizer,
                ends=ends,
                audio="",
                form="transformers-int8-1",
            )
        )


def _fill(body: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Gives a module on the meta device its weights: int8 linear layers, all else as it is."""
    for name, part in list(body.named_modules()):
        if isinstance(part, nn.Linear):
            layer = _linear(f"model.{name}", tensors)
            if layer.weight.shape != part.weight.shape:
                raise DamagedWeights(
                    f"{name} is {tuple(layer.weight.shape)} and has to be "
                    f"{tuple(part.weight.shape)}; remove the model and add it again."
                )
            body.set_submodule(name, layer)
    for name, part in list(body.named_modules()):
        compute_buffers(body, name, part, "cpu")
    for name, part in body.named_modules():
        for key, value in list(part.named_parameters(recurse=False)):
            if value.is_meta:
                weight = fetch(f"model.{name}.{key}" if name else f"model.{key}", tensors)
                setattr(part, key, nn.Parameter(weight, requires_grad=False))
    body.train(False)


def _linear(name: str, tensors: dict[str, Tensor]) -> Int8Linear:
    weight, scale = (fetch(f"{name}.{part}", tensors) for part in ("weight", "scale"))
    return Int8Linear(weight, scale, tensors.get(f"{name}.bias"))


def _damaged(folder: Path, error: Exception) -> DamagedWeights:
    return DamagedWeights(f"{folder} holds no whole model ({error}); remove it and pull it again.")
