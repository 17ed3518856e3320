"""Stage 2 of the recipe: a LoRA learns to read fused frames of any length (arXiv 2507.14815).

The loss goes through the large model's language model: encoder, projector and CTC head stay as they
are. How it goes is `train_answers`' work, the adapter is `lora`'s.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple
from pathlib import Path

from torch import Tensor

from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.prompts import TRANSCRIBE, Prompt
from fls_models.training.compression.dynamic import LENGTHS, fused
from fls_models.training.compression.lora import Adapted, Settings
from fls_models.training.compression.train_answers import Result, Trainee, train_answers
from fls_models.training.core.precision import BF16, FLOAT32, computing
from fls_models.training.core.run import Run
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
    run: Run[Spoken],
    *,
    identity: str,
    base: str = "",
    lengths: Sequence[int] = LENGTHS,
    lora: Settings,
    checkpointing: bool = True,
    prompt: Prompt = TRANSCRIBE,
) -> Result:
    """Trains a LoRA for a model on the model's device; an interrupted run goes on.

    The model is as it was when this returns or raises. On a GPU layers compute in bfloat16, unless
    its weights are float32; the LoRA itself is float32 everywhere. What is made is a folder as PEFT
    writes it, to lie beside the released base.

    Args:
        run: its clips are encoded as hidden states.
        identity: tells the model's weights, and a head of its own, from others.
        base: the name of the model's base, for whoever reads the adapter's settings.
        lora: what is put on, and trained.
        lengths: frames that a window becomes, at least 1 each; one above the window's own number
            leaves it as it is.
        checkpointing: computes activations again instead of keeping them: a third more work, and
            memory for one layer's instead of all.
        prompt: what stands around the clip; questions come as they are given.

    Raises:
        UsageError: nothing to train on or to hold out; the folder holds another run.
        EnvironmentLacks: PEFT is not installed.
    """
    run = run.usable("questions", "about clips of 30 s at most")
    run_identity = {"stage": "compression", "model": identity, "lora": list(astuple(lora))}
    with Adapted(model, lora, seed=run.plan.seed, checkpointing=checkpointing) as adapted:
        return train_answers(
            _Large(model, adapted, base, prompt), run, identity=run_identity, lengths=lengths
        )
