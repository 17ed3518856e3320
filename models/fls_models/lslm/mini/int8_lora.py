"""A LoRA beside int8 layers that can be switched: it is never merged into them.

`y = W x + scale * B (A x)` where it is on, `y = W x` where it is off: one language model reads
frames with it and text without. Rounding the sum to int8 would lose most of what was learned.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from fls_models.errors import DamagedWeights
from fls_models.lslm.mini.int8 import Activations, Int8Linear
from fls_models.weights.conversion.lora import Pair


@dataclass
class Switch:
    """Whether the branches that share it are on."""

    on: bool = False


class BranchedLinear(nn.Module):
    """An int8 layer with a LoRA beside it: (..., K) float32 -> (..., N) float32."""

    down: Tensor
    up: Tensor

    def __init__(self, base: Int8Linear, pair: Pair, switch: Switch) -> None:
        super().__init__()
        self.base = base
        self.register_buffer("down", pair.down.float())
        # The scale is a number that the smaller matrix may as well hold.
        self.register_buffer("up", pair.up.float() * pair.scale)
        self._switch = switch

    def project(self, activations: Activations) -> Tensor:
        """(n, N) of n rows that other layers may read, too."""
        output = self.base.project(activations)
        if not self._switch.on:
            return output
        return output.add_(F.linear(F.linear(activations.rows, self.down), self.up))

    def forward(self, x: Tensor) -> Tensor:
        return self.project(Activations(x.reshape(-1, x.shape[-1]))).view(*x.shape[:-1], -1)


def attach_lora(body: nn.Module, pairs: Mapping[str, Pair]) -> Switch:
    """Puts a LoRA beside layers of a decoder, by their names in it; it is off.

    Raises DamagedWeights when the decoder has no such layer, or one of another size.
    """
    switch = Switch()
    layers = dict(body.named_modules())
    for name, pair in pairs.items():
        base = layers.get(name)
        shape = (len(pair.up), pair.down.shape[1])
        if not isinstance(base, Int8Linear) or tuple(base.weight.shape) != shape:
            raise DamagedWeights(
                f"The connector's LoRA changes {name} as {shape}, which the language model has "
                "not: it belongs to another one. Install fls anew, or use --read text."
            )
        body.set_submodule(name, BranchedLinear(base, pair, switch))
    return switch
