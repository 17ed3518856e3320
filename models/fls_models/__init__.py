"""Speech-language models as tensors in, dataclasses out.

talk = load("mini", folder).listen(blocks)
print(talk.ask("What is the main argument?").answer)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fls_models.pipelines.base import Pipeline

__all__ = ["load"]

# PyTorch's threads (libgomp) wait for each other by spinning. By default they spin so long that a
# second busy process slows a model several times over; with 20 000 rounds it does not, and a quiet
# machine is as fast as before (benchmarks/README.md). Read when PyTorch is first imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def load(name: str, cache: Path, *, device: str = "auto", dtype: str = "nf4") -> Pipeline:
    """The model of a card, its weights fetched into the folder `cache` if they are not there.

    It is the one that `fls --model NAME` takes: `device` and `dtype` are a large model's. Raises
    UsageError when there is no such model or it cannot be asked for that, and what
    `fls_models.weights.base.Store.pull` and `fls_models.weights.devices.place` do.
    """
    from fls_models.pipelines.build import build, check
    from fls_models.pipelines.large import RuntimeConfig
    from fls_models.weights import card, devices
    from fls_models.weights.store import store_of

    # The budget is that of `listen`.
    wanted, running = card.load(name), RuntimeConfig(device, budget="balanced")
    check(wanted, running)
    # Before gigabytes are fetched for a device that is not there.
    devices.place(wanted, device, dtype, low_memory=False)
    return build(store_of(wanted, cache).pull(dtype=dtype), running)
