"""`mini` with a way back through it: gradients reach whatever is trained in front of its layers.

Int8 layers have none. Here transformers' layers hold what they stand for, in bfloat16 or float32:
the same numbers that it runs with, but for the rounding of what comes in. Which parts are trained
is others' affair.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Qwen2Config, Qwen2Model

from fls_models.lslm.mini.int8 import Int8Linear
from fls_models.lslm.mini.int8_lora import BranchedLinear
from fls_models.lslm.mini.network import Qwen2
from fls_models.lslm.mini.speech_model import MiniSpeechLM
from fls_models.lslm.transformers_body import TransformersBody
from fls_models.training.core.precision import BF16, FLOAT32


class TrainableHearing(MiniSpeechLM):
    """`MiniSpeechLM` on a device, without the LoRA of its connector's folder.

    Its connector's and its language model's parameters need no gradients until somebody wants them.

    Raises what `MiniSpeechLM` does.
    """

    def __init__(
        self,
        speech: Path,
        llm: Path,
        connector: Path,
        *,
        device: str = "cpu",
        precision: str = FLOAT32,
    ) -> None:
        super().__init__(speech, llm, connector)
        self.precision = precision
        dtype = torch.bfloat16 if precision == BF16 else torch.float32
        network, head = self._parts.body, self._parts.head
        assert isinstance(network, Qwen2), "mini has no others"
        assert isinstance(head, Int8Linear), "mini has no other"
        body: Any = stock_layers(network, lambda layer: dequantised(layer, dtype))
        body.to(device)
        head = dequantised(head, dtype).to(device)
        self._parts = replace(self._parts, body=TransformersBody(body), head=head)
        self.connector.to(device)
        self._table = self._table.to(device)

    def heard(self, frames: Tensor) -> Tensor:
        """The adapter's hidden states of a clip: (T, 2 W) -> (T, D) float32, with gradients."""
        batch = frames.float().reshape(1, -1, self.config.shape.encoder_width)
        hidden: Tensor = self.connector.adapter(batch)[0]
        return hidden.float()

    def embedded(self, hidden: Tensor) -> Tensor:
        """As `project`, with gradients: (L, D) -> (L, H)."""
        return self.connector.embeddings(hidden, self._table)


def stock_layers(network: Qwen2, linear: Callable[[Int8Linear], nn.Module]) -> Qwen2Model:
    """The layers of transformers with a network's weights, a LoRA beside them aside.

    `linear` makes of an int8 layer what takes its place.
    """
    sizes = asdict(network.config)
    config = Qwen2Config(**sizes, tie_word_embeddings=False)
    with torch.device("meta"):
        model = Qwen2Model(config)
    # Embeddings are looked up elsewhere.
    del model.embed_tokens
    for name, layer in network.named_modules():
        # A layer with a branch holds one without.
        plain = layer.base if isinstance(layer, BranchedLinear) else layer
        if isinstance(plain, Int8Linear) and not name.endswith(".base"):
            model.set_submodule(name, linear(plain))
    norms = {name: value for name, value in network.named_buffers() if "norm" in name}
    model.load_state_dict(norms, assign=True, strict=False)
    # The rotary frequencies are no weights: they are computed, here on the real device.
    model.rotary_emb = type(model.rotary_emb)(config)
    model.train(False).requires_grad_(False)
    return model


def dequantised(layer: Int8Linear, dtype: torch.dtype = torch.float32) -> nn.Linear:
    """The layer that 8 bits stand for: weight = scale * levels."""
    rows, columns = layer.weight.shape
    plain = nn.Linear(columns, rows, bias=layer.bias is not None, device="meta")
    weight = (layer.weight.float() * layer.scale[:, None]).to(dtype)
    plain.weight = nn.Parameter(weight, requires_grad=False)
    if layer.bias is not None:
        plain.bias = nn.Parameter(layer.bias.to(dtype), requires_grad=False)
    return plain
