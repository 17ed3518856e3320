"""Stage 2 for `mini`: its language model learns to read what its connector makes of fused frames.

A LoRA on the language model, the projector, and the adapter with its CTC head: any of them. Which
frames are fused, and with which weights, is taken as it is; gradients go through the means, to the
adapter. How training goes is `answering`'s work.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from fls_models.errors import UsageError
from fls_models.lslm.mini.connector_weights import LoraShape, read_lora, write
from fls_models.lslm.prompts import ASK
from fls_models.training.compression.dynamic import LENGTHS, fused
from fls_models.training.compression.lora import Adapted, Settings
from fls_models.training.compression.train_answers import Result, Trainee, train_answers, usable
from fls_models.training.compression.trainable_mini import TrainableHearing
from fls_models.training.core.precision import computing
from fls_models.training.core.run import Run
from fls_models.training.ctc.train_connector import CONNECTOR
from fls_models.training.data.manifests import Spoken

LORA, PROJECTOR, ADAPTER = "lora", "projector", "adapter"
PARTS = (LORA, PROJECTOR, ADAPTER)
"""What can be trained; the adapter goes with its norm and its CTC head."""

_WITHIN = {PROJECTOR: ("projector.",), ADAPTER: ("adapter.", "norm.", "ctc.")}
# Of the learning rate. Embeddings are some hundredths wide, and a step of Adam is as wide as its
# rate whatever it moves; the adapter reads already when the others begin.
_SHARES = {PROJECTOR: 0.05, ADAPTER: 0.1}


@dataclass(frozen=True)
class Lora:
    """Of the LoRA, where it is trained anew; its alpha is twice its rank unless given."""

    rank: int = 16
    alpha: float | None = None
    dropout: float = 0.0

    @property
    def settings(self) -> Settings:
        return Settings(
            self.rank, 2.0 * self.rank if self.alpha is None else self.alpha, self.dropout
        )


class _Joined(Trainee):
    """`mini`, some parts of which are trained."""

    def __init__(
        self, model: TrainableHearing, parts: Collection[str], adapted: Adapted | None
    ) -> None:
        self.model: TrainableHearing = model
        # Embeddings stand for a transcript's tokens: the template says what the text reader says.
        self.prompt = ASK.heard()
        self._adapted = adapted
        self._lora = dict(adapted.parameters) if adapted is not None else {}
        found: dict[str, nn.Parameter] = {}
        for name, one in self._lora.items():
            one.requires_grad_(LORA in parts)
            if LORA in parts:
                found[f"lora.{name}"] = one
        beginnings = tuple(one for part in parts for one in _WITHIN.get(part, ()))
        for name, one in model.connector.named_parameters():
            one.requires_grad_(name.startswith(beginnings))
            if one.requires_grad:
                found[f"connector.{name}"] = one
        self.parameters = found
        self.shares = {
            name: share
            for part, share in _SHARES.items()
            for name in found
            if name.startswith(tuple(f"connector.{one}" for one in _WITHIN[part]))
        }

    def train(self, mode: bool = True) -> None:
        # The connector's dropout is 0, and its norms have one way to compute.
        if self._adapted is not None:
            self._adapted.train(mode)

    def read(self, hidden: Tensor, length: int) -> Tensor:
        with self.computing():
            heard = self.model.heard(hidden)
        # In float32, as it is fused where it runs.
        kept = fused(self.model, heard, length, by_share=True)
        with self.computing():
            return self.model.embedded(kept)

    def computing(self) -> AbstractContextManager[object]:
        return computing(self.model.device, self.model.precision)

    def save(self, folder: Path) -> Path:
        config = self.model.config
        if self._adapted is not None:
            told = self._adapted.settings
            config = replace(config, lora=LoraShape(told.rank, told.alpha))
        # 8 bits, as it is shipped and run.
        write(self.model.connector, config, folder / CONNECTOR, lora=self._lora or None)
        return folder / CONNECTOR


def train_frame_reading(
    model: TrainableHearing,
    connector: Path,
    run: Run[Spoken],
    *,
    identity: str,
    parts: Collection[str] = (LORA, PROJECTOR),
    lora: Lora | None = None,
    lengths: Sequence[int] = LENGTHS,
) -> Result:
    """Trains parts of `mini` on its device; an interrupted run goes on.

    What is made is a connector's folder. A LoRA that is in the first one is gone on with, with the
    rank and alpha it has; where it is not trained, it stays. The model is not to be used
    afterwards.

    Args:
        connector: the folder that the model has its connector from.
        run: its clips are encoded as `whisper_frames`.
        identity: tells the model's and the connector's weights from others.
        parts: of `PARTS`, at least one.
        lora: for a connector without one.
        lengths: frames that a whole window becomes, at least 1 each; shorter clips become as many
            as they are of a window.

    Raises:
        UsageError: nothing to train on or to hold out; the folder holds another run; the LoRA that
            is there is of another kind than the one asked for.
        EnvironmentLacks: a LoRA is trained, and PEFT is not installed.
    """
    if not parts or not set(parts) <= set(PARTS):
        raise ValueError(f"parts are some of {', '.join(PARTS)}")
    run = usable(run)
    settings, values = _lora_of(model, connector, parts, lora)
    told = {
        "stage": "frame reading",
        "model": identity,
        "parts": [part for part in PARTS if part in parts],
        "lora": None if settings is None else [settings.rank, settings.alpha, settings.dropout],
        "precision": model.precision,
    }
    with ExitStack() as stack:
        adapted = None
        if settings is not None:
            adapted = stack.enter_context(Adapted(model, settings, seed=run.plan.seed))
            if values:
                adapted.fill(values)
        return train_answers(_Joined(model, parts, adapted), run, told=told, lengths=lengths)


def _lora_of(
    model: TrainableHearing, folder: Path, parts: Collection[str], asked: Lora | None
) -> tuple[Settings | None, dict[str, Tensor]]:
    """The LoRA's settings, None without one, and the values that it begins with."""
    there = model.config.lora
    if there is None:
        return ((asked or Lora()).settings if LORA in parts else None), {}
    settings = Settings(there.rank, there.alpha, asked.dropout if asked else 0.0)
    if asked is not None and replace(asked.settings, dropout=settings.dropout) != settings:
        raise UsageError(
            f"The connector in {folder} has a LoRA of rank {there.rank} and alpha "
            f"{there.alpha:g}, which is gone on with; leave --rank and --alpha out."
        )
    values = {}
    for name, pair in read_lora(folder, model.config).items():
        values[f"{name}.lora_A.weight"], values[f"{name}.lora_B.weight"] = pair.down, pair.up
    return settings, values
