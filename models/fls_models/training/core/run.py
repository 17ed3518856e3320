"""What a training works on and who hears of it, whatever is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from fls_models.core.progress import Progress, ignore
from fls_models.training.core.distributed import ALONE, Processes
from fls_models.training.core.encoded_dataset import Encoded
from fls_models.training.core.trainer import Plan

Item = TypeVar("Item")


@dataclass(frozen=True)
class Run(Generic[Item]):
    """Recordings with what is said or asked in them, and the way to train on them.

    Attributes:
        taken: to train on. Each is taken once before any is taken again.
        held: held out; how well these are read decides which state is best.
        folder: for what is made, and checkpoints.
        encoded: what the model's encoder made of all recordings; others are left out.
        batch_size: recordings of a micro-batch.
        processes: share out the batches of each step; the first evaluates and makes what is made.
        progress: its stages `train` and `evaluate` count steps, and questions at each length.
        report: told of each step; where answers are trained, also of the losses at each length.
    """

    taken: Sequence[Item]
    held: Sequence[Item]
    plan: Plan
    folder: Path
    encoded: Encoded
    batch_size: int
    processes: Processes = ALONE
    progress: Progress = ignore
    report: Callable[..., None] = ignore
