"""The language model of `mini` and `small`: Qwen2.5 in 8 bits on any CPU.

Stock transformers with its linear layers replaced by `int8.Int8Linear`. Loading maps the file and
copies nothing. It always reads embeddings, whoever made them: a transcript's or fused frames'.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from fls_models.errors import DamagedWeights
from fls_models.lslm.decoder import DecoderLanguageModel
from fls_models.lslm.decoder_inputs import DecoderComponents
from fls_models.lslm.mini.int8 import Int8Embedding, Int8Linear


class MiniLanguageModel(DecoderLanguageModel):
    """A `LanguageModel` over a folder that `fls_models.weights.conversion.gguf` wrote."""

    def __init__(self, folder: Path) -> None:
        try:
            raw: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
            tensors = load_file(folder / "model.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise DamagedWeights(
                f"{folder} holds no whole model ({error}); remove it and pull it again."
            ) from error
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = _assemble(Qwen2Config.from_dict(raw), tensors)
        super().__init__(
            DecoderComponents(
                body=model.model,
                head=model.get_submodule("lm_head"),
                table=model.get_input_embeddings(),
                tokenizer=tokenizer,
                template=tokenizer,
                ends={int(raw["eos_token_id"])},
                audio="",
                form="float32-2",
            )
        )


def _assemble(config: Qwen2Config, tensors: dict[str, Tensor]) -> Qwen2ForCausalLM:
    with torch.device("meta"):
        model = Qwen2ForCausalLM(config)
    try:
        for name, module in list(model.named_modules()):
            if isinstance(module, nn.Linear):
                weight, scale = tensors.pop(f"{name}.weight"), tensors.pop(f"{name}.scale")
                if weight.shape != (module.out_features, module.in_features):
                    raise DamagedWeights(f"{name} has shape {tuple(weight.shape)}; pull it again.")
                linear = Int8Linear(weight, scale, tensors.pop(f"{name}.bias", None))
                model.set_submodule(name, linear)
    except KeyError as missing:
        raise DamagedWeights(
            f"The weights lack {missing}; remove the model, pull it again."
        ) from None
    head = model.get_submodule("lm_head")
    assert isinstance(head, Int8Linear)
    model.set_input_embeddings(Int8Embedding(head.weight, head.scale))
    model.load_state_dict(tensors, assign=True, strict=False)
    # The rotary frequencies are no weights: they are computed, here on the real device.
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    left = [name for name, value in model.named_parameters() if value.is_meta]
    if left:
        raise DamagedWeights(_lacking(left[0]))
    model.train(False)
    return model


def _lacking(name: str) -> str:
    return f"The weights lack {name}; remove the model with `fls models remove`, pull it again."
