"""A linear layer of bfloat16 or float32 matrices on the CPU."""

from typing import Any

import torch
from torch import Tensor

# What torch.compile makes of a linear layer: weights in the order that oneDNN multiplies them in,
# which it would bring them into each time, and the activation along with it. A tenth less time of
# an encoded window, a quarter less of a decoded token.
_mkldnn: Any = torch.ops.mkldnn


class Linear:
    """(n, ..., in) -> (n, ..., out) = activation(x W^T + b); (out, in) weights, (out,) bias.

    Up to 16 rows are each as they are alone.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self._weight: Tensor = _mkldnn._reorder_linear_weight(weight)
        self._bias = bias

    def __call__(self, hidden: Tensor, activation: str = "none") -> Tensor:
        """`activation` is `none` or `gelu`, the exact one."""
        algorithm = "none" if activation == "gelu" else ""
        # A single row is multiplied in another order, in float32: it would not be as among others.
        is_single = hidden.numel() == hidden.shape[-1]
        rows = torch.cat([hidden, hidden]) if is_single else hidden
        result: Tensor = _mkldnn._linear_pointwise(
            rows, self._weight, self._bias, activation, [], algorithm
        )
        return result[: len(hidden)]
