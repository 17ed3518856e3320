"""The recorded outputs of the released implementation, with the CTC head that belongs to each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from fls_models.extractor.density import CtcHead
from fls_models.extractor.fusion import halving_schedule, training_schedule

GOLDEN = Path(__file__).parents[1] / "golden"


def cases() -> list[tuple[Path, int | None]]:
    """Files, and a row of those that hold a batch."""
    single = [(path, None) for path in sorted(GOLDEN.glob("*.npz")) if "train" not in path.name]
    # Row 2 of a train file rests on a slip of the released code.
    batched = [(path, row) for path in sorted(GOLDEN.glob("train*.npz")) for row in (0, 1)]
    return [*single, *batched]


def read_case(path: Path, row: int | None) -> dict[str, Any]:
    """Its arrays by name, and the `schedule` that it was fused by."""
    with np.load(path) as archive:
        golden: dict[str, Any] = dict(archive)
    if row is not None:
        length = golden["lengths"][row]
        golden["frames"] = golden["frames"][row, :length]
        golden["density"] = golden["density"][row, :length]
        golden["fused"] = golden["fused"][row]
    golden["schedule"] = halving_schedule if path.name.startswith("long") else training_schedule
    return golden


def ctc_head(golden: dict[str, Any]) -> CtcHead:
    inner, width = golden["ctc_proj_weight"].shape
    head = CtcHead(width, inner, len(golden["ctc_out_weight"]) - 1)
    names = {
        "layer_norm.weight": "ln_weight",
        "layer_norm.bias": "ln_bias",
        "projector.weight": "ctc_proj_weight",
        "projector.bias": "ctc_proj_bias",
        "linear.weight": "ctc_out_weight",
    }
    head.load_state_dict({ours: torch.from_numpy(golden[name]) for ours, name in names.items()})
    return head
