"""Stage 2 of the recipe: a LoRA learns to read fused frames of any length (arXiv 2507.14815).

The loss goes through the large model's language model: encoder, projector and CTC head stay as they
are. How it goes is `answering`'s work, the adapter is `adapting`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from torch import Tensor

from fls_models.core.progress import Progress, ignore
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.prompts import TRANSCRIBE, Prompt
from fls_models.training.compression.dynamic import LENGTHS, fused
from fls_models.training.compression.lora import Adapted, Settings
from fls_models.training.compression.train_answers import (
    Losses,
    Result,
    Trainee,
    train_answers,
    usable,
)
from fls_models.training.core.distributed import ALONE, Processes
from fls_models.training.core.encoded_dataset import Encoded
from fls_models.training.core.precision import BF16, FLOAT32, computing
from fls_models.training.core.trainer import Plan, Step
from fls_models.training.data.manifests import Spoken

ADAPTER = "adapter"
"""The folder for the adapter, in that of the run."""


class _Large(Trainee):
    """A large model with a LoRA on it, which is all that is trained."""

    def __init__(self, model: LargeSpeechLM, adapted: Adapted, base: str, prompt: Prompt) -> None:
        self.model: LargeSpeechLM = model
        self.prompt = prompt
        self.parameters = adapted.parameters
        self.shares = {}
        self._adapted = adapted
        self._base = base

    def train(self, mode: bool = True) -> None:
        self._adapted.train(mode)

    def read(self, hidden: Tensor, length: int) -> Tensor:
        return self.model.project(fused(self.model, hidden, length))

    def computing(self) -> AbstractContextManager[object]:
        wide = self.model.device.type == "cpu" or self.model.context_form.startswith("float32")
        return computing(self.model.device, FLOAT32 if wide else BF16)

    def save(self, folder: Path) -> Path:
        self._adapted.save(folder / ADAPTER, self._base)
        return folder / ADAPTER


def train_compression(
    model: LargeSpeechLM,
    spoken: Sequence[Spoken],
    dev: Sequence[Spoken],
    plan: Plan,
    folder: Path,
    *,
    encoded: Encoded,
    identity: str,
    base: str = "",
    lengths: Sequence[int] = LENGTHS,
    rank: int = 128,
    alpha: float = 256,
    dropout: float = 0.05,
    batch_size: int = 4,
    checkpointing: bool = True,
    prompt: Prompt = TRANSCRIBE,
    processes: Processes = ALONE,
    progress: Progress = ignore,
    report: Callable[[Step, Losses], None] = ignore,
) -> Result:
    """Trains a LoRA for a model on the model's device; an interrupted run goes on.

    Each clip is taken once before any is taken again. The model is as it was when this returns or
    raises. On a GPU layers compute in bfloat16, unless its weights are float32; the LoRA itself is
    float32 everywhere. What is made is a folder as PEFT writes it, to lie beside the released base.

    Args:
        dev: held out. The mean of the losses at all lengths decides which adapter is best.
        folder: for the adapter and checkpoints.
        encoded: hidden states of all clips, from this model's encoder. Clips that are not there
            are left out.
        identity: tells the model's weights, and a head of its own, from others.
        base: the name of the model's base, for whoever reads the adapter's settings.
        lengths: frames that a window becomes, at least 1 each; one above the window's own number
            leaves it as it is.
        rank, alpha, dropout: of the LoRA.
        batch_size: clips of a micro-batch, all fused to one length.
        checkpointing: computes activations again instead of keeping them: a third more work, and
            memory for one layer's instead of all.
        prompt: what stands around the clip; questions come as they are given.
        processes: as `train_answers` has them.
        progress: its stages `train` and `evaluate` count steps, and questions at each length.
        report: told of each step, and of the losses at each length where it was evaluated.

    Raises:
        UsageError: nothing to train on or to hold out; the folder holds another run.
        EnvironmentLacks: PEFT is not installed.
    """
    taken, held = usable(spoken, dev, encoded)
    told = {"stage": "compression", "model": identity, "lora": [rank, alpha, dropout]}
    settings = Settings(rank, alpha, dropout)
    with Adapted(model, settings, seed=plan.seed, checkpointing=checkpointing) as adapted:
        return train_answers(
            _Large(model, adapted, base, prompt),
            taken,
            held,
            plan,
            folder,
            encoded=encoded,
            told=told,
            lengths=lengths,
            batch_size=batch_size,
            processes=processes,
            progress=progress,
            report=report,
        )
