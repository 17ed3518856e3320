"""Training through a language model: answers about clips that are fused to a length that is drawn.

Each micro-batch is fused to one length, and the loss is that of the answers' tokens
(arXiv 2507.14815, stage 2). What is trained, of which model, is a `Trainee`'s affair. Encoding
(`encoded_dataset`), fusing (`dynamic`) and the loop are others' work. Each process computes on one
device: no model is spread over several.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fls_models.core.progress import Progress
from fls_models.lslm.decoder import DecoderLanguageModel
from fls_models.lslm.prompts import Prompt
from fls_models.training.compression.dynamic import draw, surprisals
from fls_models.training.core.batches import members
from fls_models.training.core.checkpoints import fill
from fls_models.training.core.encoded_dataset import Encoded
from fls_models.training.core.run import Run
from fls_models.training.core.trainer import Loop, Step
from fls_models.training.data.manifests import Spoken

Losses = Mapping[int, float]
"""Nats a token on what is held out, by the length that windows were fused to."""


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        folder: with what was trained: the best there was.
        before, after: losses of the model without it and with it.
        loss: of the last step's batches, nats a token.
        steps: after how many it was best.
    """

    folder: Path
    before: Losses
    after: Losses
    loss: float
    steps: int


class Trainee(ABC):
    """A model, what of it is trained, and how it reads a clip.

    Attributes:
        model: the language model that answers.
        prompt: what stands around the clip; questions come as they are given.
        parameters: all that is trained, by the names that checkpoints have.
        shares: of the learning rate, by parameter; 1 for those that are not named.
    """

    model: DecoderLanguageModel
    prompt: Prompt
    parameters: Mapping[str, nn.Parameter]
    shares: Mapping[str, float]

    @abstractmethod
    def train(self, mode: bool = True) -> None:
        """To be trained, or (False) as the model answers."""

    @abstractmethod
    def read(self, hidden: Tensor, length: int) -> Tensor:
        """Embeddings (L, H) of a clip whose windows are fused to a length, from what is encoded."""

    @abstractmethod
    def computing(self) -> AbstractContextManager[object]:
        """Within it the language model computes."""

    @abstractmethod
    def save(self, folder: Path) -> Path:
        """Writes what was trained below a folder; where."""


def train_answers(
    trainee: Trainee, run: Run[Spoken], *, identity: Mapping[str, object], lengths: Sequence[int]
) -> Result:
    """Trains what the trainee names; an interrupted run goes on.

    Args:
        run: all of its clips are encoded. The mean of the losses at all lengths on those held out
            decides which parameters are best. A micro-batch is fused to one length.
        identity: what the run depends on besides the plan, the questions, lengths and batches.
        lengths: frames that a window becomes, at least 1 each.

    Raises:
        UsageError: the folder holds another run; more processes than batches a step.
        OthersGone: another process has ended.
    """
    train, dev = run.train, run.dev
    encoded, batch_size = run.encoded, run.batch_size
    if not lengths or min(lengths) < 1 or batch_size < 1:
        raise ValueError("lengths and the batch's size are at least 1")
    run_identity = {
        **identity,
        "form": trainee.model.context_form,
        "questions": encoded.digest((item.audio, item.question, item.answer) for item in train),
        "held out": encoded.digest((item.audio, item.question, item.answer) for item in dev),
        "lengths": list(lengths),
        "batch": batch_size,
        "prompt": [trainee.prompt.system, trainee.prompt.opening, trainee.prompt.audio],
    }
    stage = _Stage(trainee, encoded, batch_size, run.progress)
    # The loop first: it refuses another run's folder before anything is computed.
    loop = Loop(
        trainee.parameters,
        run.plan,
        run.folder,
        identity=run_identity,
        shares=trainee.shares,
        processes=run.processes,
    )
    # Nothing is trained until the loop runs, whatever checkpoints there are.
    before = run.processes.once(lambda: stage.evaluate(dev, lengths))
    last: dict[int, float] = {}

    def loss(number: int, generator: torch.Generator) -> Tensor:
        batch = members(len(train), batch_size, number, run.plan.seed)
        trainee.train()
        return stage.loss([train[index] for index in batch], draw(lengths, generator))

    def evaluate() -> float:
        last.update(stage.evaluate(dev, lengths))
        return sum(last.values()) / len(last)

    def report(step: Step) -> None:
        run.report(step, {} if step.value is None else dict(last))

    best = loop.run(loss, evaluate, run.progress, report)

    def save() -> tuple[Losses, Path]:
        fill(trainee.parameters, load_file(best.file))
        return stage.evaluate(dev, lengths), trainee.save(run.folder)

    after, folder = run.processes.once(save)
    return Result(folder, before, after, best.loss, best.step)


@dataclass(frozen=True)
class _Stage:
    """How well a trainee answers about fused clips, computed in batches of a size."""

    trainee: Trainee
    encoded: Encoded
    size: int
    progress: Progress

    def loss(self, batch: Sequence[Spoken], length: int) -> Tensor:
        """Nats a token, over all tokens of the batch."""
        return torch.cat(self._surprisals(batch, length)).mean()

    @torch.no_grad()
    def evaluate(self, items: Sequence[Spoken], lengths: Sequence[int]) -> dict[int, float]:
        """Nats a token over all tokens of the held out answers, for each length."""
        self.trainee.train(False)
        losses: dict[int, float] = {}
        total = len(items) * len(lengths)
        for length in lengths:
            parts: list[Tensor] = []
            for first in range(0, len(items), self.size):
                self.progress("evaluate", len(losses) * len(items) + first, total)
                parts += self._surprisals(items[first : first + self.size], length)
            # Summed on the CPU and in 64 bits: batches of any size give the same number.
            losses[length] = float(torch.cat(parts).double().cpu().mean())
        self.progress("evaluate", total, total)
        return losses

    def _surprisals(self, batch: Sequence[Spoken], length: int) -> list[Tensor]:
        trainee, model = self.trainee, self.trainee.model
        conversations = []
        for item in batch:
            recording = trainee.read(self.encoded[item.audio].to(model.device), length)
            conversations.append(
                model.conversation(trainee.prompt, recording, item.question, item.answer)
            )
        with trainee.computing():
            return surprisals(model, conversations)
