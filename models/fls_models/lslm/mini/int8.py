"""8-bit linear layers for the CPU: int8 weights read straight from the mapped file.

Weights carry one scale per output row, activations get one per token when they arrive, so a single
token with huge activations (the first one of a prompt, in Qwen2.5) does not cost the others their
precision. Nothing is packed or copied at load: the weight's memory is the file's.
"""

import torch
from torch import Tensor, nn


class Int8Linear(nn.Module):
    """`x @ weight.T + bias` for x (..., K) float32, weight int8 (N, K) -> (..., N) float32."""

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)
        self._unit_scale = torch.ones(len(weight), dtype=torch.bfloat16)
        # The weight-only kernel reads outside of matrices of other sizes.
        self._packs = weight.shape[0] % 4 == 0 and weight.shape[1] % 16 == 0

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) == 1 and self._packs:
            # One token is bound by reading the weights: the weight-only kernel reads them once,
            # in bfloat16. Its scale is 1 because ours would lose precision in bfloat16.
            product = torch._weight_int8pack_mm(rows.bfloat16(), self.weight, self._unit_scale)
            return self._scaled(product, self.scale).view(*x.shape[:-1], -1)
        # Half of the time goes by here, bound by memory: hence in place, and no tensor of absolute
        # values.
        largest = torch.maximum(rows.amax(dim=1, keepdim=True), -rows.amin(dim=1, keepdim=True))
        step = largest.div_(127).clamp_min_(1e-12)
        levels = torch.div(rows, step).round_().to(torch.int8)
        # int8 x int8 -> int32 is exact, so the result does not depend on threads or blocking.
        product = torch._int_mm(levels, self.weight.t())
        return self._scaled(product, step * self.scale).view(*x.shape[:-1], -1)

    def _scaled(self, product: Tensor, scale: Tensor) -> Tensor:
        result = product.to(torch.float32).mul_(scale)
        return result if self.bias is None else result.add_(self.bias)


class Int8Embedding(nn.Module):
    """Rows of an int8 table (V, H), dequantised as they are looked up: ids (...) -> (..., H)."""

    weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)

    def forward(self, ids: Tensor) -> Tensor:
        return self.weight[ids].to(torch.float32) * self.scale[ids].unsqueeze(-1)
