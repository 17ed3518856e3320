"""In which precision training computes: bfloat16, where that is quick, or float32.

Parameters are float32 either way, and so are what losses sum up and what the optimiser keeps.
"""

from contextlib import AbstractContextManager, nullcontext

import torch

BF16, FLOAT32 = "bf16", "float32"


def computing(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Within it, layers compute in `bf16` or `float32` on that device."""
    return torch.autocast(device.type, torch.bfloat16) if precision == BF16 else nullcontext()
