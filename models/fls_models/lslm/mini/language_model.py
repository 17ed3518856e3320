"""The language model of `mini` and `small`: Qwen2.5 in 8 bits on any CPU.

Loading maps the file and copies nothing. It always reads embeddings, whoever made them: a
transcript's or fused frames'.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fls_models.errors import DamagedWeights
from fls_models.lslm.decoder import DecoderLanguageModel
from fls_models.lslm.decoder_inputs import DecoderComponents, turn_end
from fls_models.lslm.mini.int8 import Int8Embedding, Int8Linear, few_rows
from fls_models.lslm.mini.network import Qwen2, Qwen2Sizes
from fls_models.lslm.mini.tokenizer import ChatTokenizer


class MiniLanguageModel(DecoderLanguageModel):
    """A `LanguageModel` over a folder that `fls_models.weights.conversion.gguf` wrote."""

    def __init__(self, folder: Path) -> None:
        try:
            config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
            tensors = load_file(folder / "model.safetensors")
            tokenizer = ChatTokenizer(folder)
            ends = reply_ends(config, tokenizer)
            sizes = Qwen2Sizes.from_config(config)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise DamagedWeights(
                f"{folder} holds no whole model ({error}); remove it and pull it again."
            ) from error
        weights = _Weights(tensors, sizes)
        head = weights.linear("lm_head")
        super().__init__(
            DecoderComponents(
                body=Qwen2(
                    sizes,
                    lambda name: weights.linear(f"model.{name}"),
                    lambda name: weights.tensor(f"model.{name}"),
                ),
                head=head,
                table=Int8Embedding(head.weight, head.scale),
                tokenizer=tokenizer,
                template=tokenizer,
                ends=ends,
                audio="",
                form="float32-2",
                draft_length=few_rows() - 1,
            )
        )


def reply_ends(config: Mapping[str, Any], tokenizer: ChatTokenizer) -> set[int]:
    """Tokens that end a reply: what the config states, and what the chat template has there."""
    stated = config.get("eos_token_id")
    several = stated if isinstance(stated, list) else [stated]
    return {int(token) for token in (*several, turn_end(tokenizer)) if token is not None}


class _Weights:
    """Tensors by name. Raises DamagedWeights where one is missing or has another shape."""

    def __init__(self, tensors: dict[str, Tensor], sizes: Qwen2Sizes) -> None:
        self._tensors = tensors
        width, inner = sizes.hidden_size, sizes.intermediate_size
        narrow = width // sizes.num_attention_heads * sizes.num_key_value_heads
        self._shapes = {
            "q_proj": (width, width),
            "k_proj": (narrow, width),
            "v_proj": (narrow, width),
            "o_proj": (width, width),
            "gate_proj": (inner, width),
            "up_proj": (inner, width),
            "down_proj": (width, inner),
            "lm_head": (sizes.vocab_size, width),
        }

    def tensor(self, name: str) -> Tensor:
        try:
            return self._tensors[name]
        except KeyError:
            raise DamagedWeights(
                f"The weights lack {name}; remove the model with `fls models remove`, "
                "pull it again."
            ) from None

    def linear(self, name: str) -> Int8Linear:
        weight = self.tensor(f"{name}.weight")
        if weight.shape != self._shapes[name.rpartition(".")[2]]:
            raise DamagedWeights(f"{name} has shape {tuple(weight.shape)}; pull it again.")
        return Int8Linear(weight, self.tensor(f"{name}.scale"), self._tensors.get(f"{name}.bias"))
