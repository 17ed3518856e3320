"""Stage 2 of the recipe: a LoRA learns to read fused frames of any length (arXiv 2507.14815).

Each micro-batch is fused to a length that is drawn, and the loss goes through the language model:
encoder, projector and CTC head stay as they are. Encoding (`encoded`), fusing (`dynamic`), the
adapter (`adapting`) and the loop are others' work. One device: nothing is spread over several.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from fls_models.errors import UsageError
from fls_models.lslm.hearing import HearingModel
from fls_models.progress import Progress, silent
from fls_models.prompts import TRANSCRIBE, Prompt
from fls_models.training.adapting import Adapted, Settings
from fls_models.training.corpus import Spoken
from fls_models.training.dynamic import LENGTHS, draw, fused, members, surprisals
from fls_models.training.encoded import Encoded
from fls_models.training.loop import Loop, Plan, Step

ADAPTER = "adapter"
"""The folder for the adapter, in that of the run."""

Losses = Mapping[int, float]
"""Nats a token on what is held out, by the length that windows were fused to."""


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        adapter: a folder as PEFT writes it, to lie beside the released base: the best there was.
        before, after: losses of the model without it and with it.
        loss: of the last step's batches, nats a token.
        steps: after how many the adapter was best.
    """

    adapter: Path
    before: Losses
    after: Losses
    loss: float
    steps: int


def unheard(step: Step, losses: Losses) -> None:
    """A report that nobody reads."""


def train_compression(
    model: HearingModel,
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
    progress: Progress = silent,
    report: Callable[[Step, Losses], None] = unheard,
) -> Result:
    """Trains a LoRA for a model on the model's device; an interrupted run goes on.

    Each clip is taken once before any is taken again. The model is as it was when this returns or
    raises. On a GPU layers compute in bfloat16, unless its weights are float32; the LoRA itself is
    float32 everywhere.

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
        progress: its stages `train` and `evaluate` count steps, and questions at each length.
        report: told of each step, and of the losses at each length where it was evaluated.

    Raises:
        UsageError: nothing to train on or to hold out; the folder holds another run.
        EnvironmentLacks: PEFT is not installed.
    """
    if not lengths or min(lengths) < 1 or batch_size < 1:
        raise ValueError("lengths and the batch's size are at least 1")
    taken = [one for one in spoken if one.audio in encoded]
    held = [one for one in dev if one.audio in encoded]
    if not taken or not held:
        raise UsageError(
            f"{len(taken)} questions to train on and {len(held)} held out can be used; at least "
            "one of each is needed, about clips of 30 s at most."
        )
    told = {
        "stage": "compression",
        "model": identity,
        "form": model.context_form,
        "questions": _digest(taken, encoded),
        "held out": _digest(held, encoded),
        "lengths": list(lengths),
        "lora": [rank, alpha, dropout],
        "batch": batch_size,
        "prompt": [prompt.system, prompt.opening, prompt.audio],
    }
    settings = Settings(rank, alpha, dropout)
    with Adapted(model, settings, seed=plan.seed, checkpointing=checkpointing) as adapted:
        stage = _Stage(model, adapted, encoded, prompt, batch_size, progress)
        # The loop first: it refuses another run's folder before anything is computed.
        loop = Loop(adapted.parameters, plan, folder, identity=told)
        # B is 0 until the loop trains it.
        before = stage.evaluate(held, lengths)
        last: dict[int, float] = {}

        def loss(number: int, dice: torch.Generator) -> Tensor:
            chosen = members(len(taken), batch_size, number, plan.seed)
            adapted.train()
            return stage.loss([taken[one] for one in chosen], draw(lengths, dice))

        def evaluate() -> float:
            last.update(stage.evaluate(held, lengths))
            return sum(last.values()) / len(last)

        def tell(step: Step) -> None:
            report(step, {} if step.value is None else dict(last))

        best = loop.run(loss, evaluate, progress, tell)
        adapted.fill(load_file(best.file))
        after = stage.evaluate(held, lengths)
        adapted.save(folder / ADAPTER, base)
    return Result(folder / ADAPTER, before, after, best.loss, best.step)


class _Stage:
    """A model that is adapted, and how well it answers about fused clips."""

    def __init__(
        self,
        model: HearingModel,
        adapted: Adapted,
        encoded: Encoded,
        prompt: Prompt,
        size: int,
        progress: Progress,
    ) -> None:
        self._model = model
        self._adapted = adapted
        self._encoded = encoded
        self._prompt = prompt
        self._size = size
        self._progress = progress

    def loss(self, batch: Sequence[Spoken], length: int) -> Tensor:
        """Nats a token, over all tokens of the batch."""
        return torch.cat(self._surprisals(batch, length)).mean()

    @torch.no_grad()
    def evaluate(self, held: Sequence[Spoken], lengths: Sequence[int]) -> dict[int, float]:
        """Nats a token over all tokens of the held out answers, for each length."""
        self._adapted.train(False)
        found: dict[int, float] = {}
        total = len(held) * len(lengths)
        for length in lengths:
            parts: list[Tensor] = []
            for first in range(0, len(held), self._size):
                self._progress("evaluate", len(found) * len(held) + first, total)
                parts += self._surprisals(held[first : first + self._size], length)
            # Summed on the CPU and in 64 bits: batches of any size give the same number.
            found[length] = float(torch.cat(parts).double().cpu().mean())
        self._progress("evaluate", total, total)
        return found

    def _surprisals(self, batch: Sequence[Spoken], length: int) -> list[Tensor]:
        conversations = []
        for one in batch:
            hidden = self._encoded[one.audio].to(self._model.device)
            recording = self._model.project(fused(self._model, hidden, length))
            conversations.append(
                self._model.conversation(self._prompt, recording, one.question, one.answer)
            )
        with _precision(self._model):
            return surprisals(self._model, conversations)


def _precision(model: HearingModel) -> AbstractContextManager[object]:
    if model.device.type == "cuda" and not model.context_form.startswith("float32"):
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def _digest(spoken: Sequence[Spoken], encoded: Encoded) -> str:
    """Tells clips, questions and answers from others, in whatever folder they lie."""
    told = [(encoded.key(one.audio), one.question, one.answer) for one in spoken]
    return hashlib.sha256(repr(told).encode()).hexdigest()
