"""8-bit linear layers for the CPU: int8 weights read straight from the mapped file.

Weights carry one scale per output row, activations get one per token when they arrive, so a single
token with huge activations (the first one of a prompt, in Qwen2.5) does not cost the others their
precision. Nothing is packed or copied at load: the weight's memory is the file's. Layers that have
multiplied a few rows often enough get a copy in the order that the processor wants.
"""

from functools import cached_property

import torch
from torch import Tensor, nn

from fls_models.core.machine.memory import memory
from fls_models.core.machine.processor import multiplies_int8

# How many rows take little longer than one: 8 int8 products 2 times as long, or 1.1 times with
# packed weights, 4 by the weight-only kernel 1.4 times.
_FEW, _FEW_WEIGHT_ONLY = 8, 4
# Up to so many rows, weights that lie in the file's order cost as long again as one row takes, and
# packing them as long as so many such products. What was lost then pays for it.
_MANY, _PACKING = 64, 60
# Bytes of memory that packing leaves free; weights that are packed are in memory twice.
_FREE = 3 * 10**9


def few_rows() -> int:
    """How many rows are soonest multiplied at once; each is what it is alone, to the last bit."""
    return _FEW if multiplies_int8() else _FEW_WEIGHT_ONLY


class Activations:
    """What layers read, (n, K) float32, in the forms that their kernels take.

    Layers that read the same share it, so that each form is made once.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    @cached_property
    def bfloat16(self) -> Tensor:
        """(n, K) bfloat16."""
        return self.rows.bfloat16()

    @cached_property
    def quantised(self) -> tuple[Tensor, Tensor]:
        """(n, K) int8 levels and (n, 1) float32, how much a level is."""
        # Half of the time goes by here, bound by memory: hence in place, and no tensor of absolute
        # values.
        high, low = self.rows.amax(dim=1, keepdim=True), self.rows.amin(dim=1, keepdim=True)
        step = torch.maximum(high, low.neg_()).div_(127).clamp_min_(1e-12)
        return torch.div(self.rows, step).round_().to(torch.int8), step

    @cached_property
    def unsigned(self) -> Tensor:
        """(n, K) uint8, 128 more than the levels."""
        return self.quantised[0].view(torch.uint8).bitwise_xor(128)


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
        self._packed: PackedWeight | None = None
        self._until_packed = _PACKING
        # Few tokens are bound by reading the weights. Where int8 products take their time, the
        # weight-only kernel reads them once, in bfloat16. It reads outside of matrices of other
        # sizes.
        fits = weight.shape[0] % 4 == 0 and weight.shape[1] % 16 == 0
        self._weight_only_rows = _FEW_WEIGHT_ONLY if fits and not multiplies_int8() else 0

    def forward(self, x: Tensor) -> Tensor:
        return self.project(Activations(x.reshape(-1, x.shape[-1]))).view(*x.shape[:-1], -1)

    def project(self, activations: Activations) -> Tensor:
        """(n, N) of n rows that other layers may read, too."""
        if len(activations.rows) <= self._weight_only_rows:
            # Its scale is 1 because ours would lose precision in bfloat16.
            product = torch._weight_int8pack_mm(activations.bfloat16, self.weight, self._unit_scale)
            return self._scaled(product, self.scale)
        levels, step = activations.quantised
        # int8 x int8 -> int32 is exact, so the result does not depend on threads, blocking or
        # packing.
        if self._packed is None:
            self._count(len(levels))
        if self._packed is not None:
            product = self._packed.multiply(activations.unsigned)
        else:
            product = torch._int_mm(levels, self.weight.t())
        return self._scaled(product, step * self.scale)

    def _count(self, rows: int) -> None:
        """Packs the weights once that is worth it, if there is memory for it."""
        if not 1 < rows <= _MANY or not self._until_packed:
            return
        self._until_packed -= 1
        if not self._until_packed:
            self._packed = packed(self.weight)

    def _scaled(self, product: Tensor, scale: Tensor) -> Tensor:
        result = product.to(torch.float32).mul_(scale)
        return result if self.bias is None else result.add_(self.bias)


class PackedWeight:
    """A weight, int8 (N, K), in the order that the processor multiplies it in."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = torch.ops.onednn.qlinear_prepack(weight, None)
        self._scales = torch.ones(len(weight))
        self._zero_points = torch.zeros(len(weight), dtype=torch.int32)

    def multiply(self, unsigned: Tensor) -> Tensor:
        """Exact products, rounded to float32: (n, K) uint8, 128 too much each -> (n, N)."""
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(unsigned, 1.0, 128, self._weight, self._scales, self._zero_points, None),
            *(1.0, 0, torch.float32, "none", [], ""),
        )
        return product


def packed(weight: Tensor) -> PackedWeight | None:
    """A weight as the processor wants it; None where it has no such order, or memory is short."""
    there = memory()
    if not multiplies_int8() or there is None or there.available < _FREE + weight.nbytes:
        return None
    try:
        return PackedWeight(weight)
    # Without it all goes on as before: under `ulimit -v`, and with a torch that calls it otherwise.
    except (RuntimeError, MemoryError, AttributeError):
        return None


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
