"""What a training works on and who hears of it, whatever is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from fls_models.core.progress import Progress, ignore
from fls_models.errors import UsageError
from fls_models.training.core.distributed import ALONE, Processes
from fls_models.training.core.encoded_dataset import Encoded
from fls_models.training.core.trainer import Plan
from fls_models.training.data.manifests import Spoken, Utterance

Item = TypeVar("Item", bound=Utterance | Spoken)


@dataclass(frozen=True)
class Run(Generic[Item]):
    """Recordings with what is said or asked in them, and the way to train on them.

    Attributes:
        train: to train on. Each is taken once before any is taken again.
        dev: held out; how well these are read decides which state is best.
        folder: for what is made, and checkpoints.
        encoded: what the model's encoder made of all recordings; others are left out.
        batch_size: recordings of a micro-batch.
        processes: share out the batches of each step; the first evaluates and makes what is made.
        progress: its stages `train` and `evaluate` count steps, and questions at each length.
        report: told of each step; where answers are trained, also of the losses at each length.
    """

    train: Sequence[Item]
    dev: Sequence[Item]
    plan: Plan
    folder: Path
    encoded: Encoded
    batch_size: int
    processes: Processes = ALONE
    progress: Progress = ignore
    report: Callable[..., None] = ignore

    def usable(self, noun: str, limit: str) -> Run[Item]:
        """With what was encoded; UsageError where none is left to train on, or to hold out."""
        train, dev = (
            [item for item in items if item.audio in self.encoded]
            for items in (self.train, self.dev)
        )
        if not train or not dev:
            raise UsageError(
                f"{len(train)} {noun} to train on and {len(dev)} held out can be used; "
                f"at least one of each is needed, {limit}."
            )
        return replace(self, train=train, dev=dev)
