"""Stage 2 for `mini`: its language model learns to read what its connector makes of fused frames.

A LoRA on the language model, the projector, and the adapter with its CTC head: any of them. Which
frames are fused, and with which weights, is taken as it is; gradients go through the means, to the
adapter. How training goes is `train_answers`' work.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import astuple, replace
from pathlib import Path

from torch import Tensor

from fls_models.errors import UsageError
from fls_models.lslm.mini.connector_weights import LoraShape, read_lora, write
from fls_models.lslm.prompts import ASK
from fls_models.training.compression.dynamic import LENGTHS, fused
from fls_models.training.compression.lora import Adapted, Settings
from fls_models.training.compression.train_answers import Result, Trainee, train_answers
from fls_models.training.compression.trainable_mini import TrainableHearing
from fls_models.training.core.checkpoints import fill
from fls_models.training.core.precision import computing
from fls_models.training.core.run import Run
from fls_models.training.ctc.train_connector import CONNECTOR
from fls_models.training.data.manifests import Spoken

LORA, PROJECTOR, ADAPTER = "lora", "projector", "adapter"
PARTS = (LORA, PROJECTOR, ADAPTER)
"""What can be trained; the adapter goes with its norm and its CTC head."""

_PREFIXES = {
    LORA: ("lora.",),
    PROJECTOR: ("connector.projector.",),
    ADAPTER: ("connector.adapter.", "connector.norm.", "connector.ctc."),
}
# Of the learning rate. Embeddings are some hundredths wide, and a step of Adam is as wide as its
# rate whatever it moves; the adapter reads already when the others begin.
_SHARES = {PROJECTOR: 0.05, ADAPTER: 0.1}
_LORA = Settings(16, 32.0, 0.0)


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
        sources = ("lora", self._lora.items()), ("connector", model.connector.named_parameters())
        named = {f"{source}.{name}": value for source, values in sources for name, value in values}
        prefixes = tuple(prefix for part in parts for prefix in _PREFIXES[part])
        for name, parameter in named.items():
            parameter.requires_grad_(name.startswith(prefixes))
        self.parameters = {name: value for name, value in named.items() if value.requires_grad}
        self.shares = {
            name: share
            for part, share in _SHARES.items()
            for name in self.parameters
            if name.startswith(_PREFIXES[part])
        }

    def train(self, mode: bool = True) -> None:
        # The connector's dropout is 0, and its norms have one way to compute.
        if self._adapted is not None:
            self._adapted.train(mode)

    def read(self, hidden: Tensor, length: int) -> Tensor:
        with self.computing():
            states = self.model.heard(hidden)
        # In float32, as it is fused where it runs.
        frames = fused(self.model, states, length, by_share=True)
        with self.computing():
            return self.model.embedded(frames)

    def computing(self) -> AbstractContextManager[object]:
        return computing(self.model.device, self.model.precision)

    def save(self, folder: Path) -> Path:
        config = self.model.config
        if self._adapted is not None:
            settings = self._adapted.settings
            config = replace(config, lora=LoraShape(settings.rank, settings.alpha))
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
    lora: Settings | None = None,
    lengths: Sequence[int] = LENGTHS,
) -> Result:
    """Trains parts of `mini` on its device; an interrupted run goes on.

    What is made is a connector's folder. A LoRA that is in the first one is gone on with, with the
    rank and alpha it has; where it is not trained, it stays. The model is not to be used
    afterwards.

    Args:
        connector: the folder that the model has its connector from.
        run: its clips are encoded by `whisper_encoder`.
        identity: tells the model's and the connector's weights from others.
        parts: of `PARTS`, at least one.
        lora: for a connector without one; of rank 16 unless given.
        lengths: frames that a whole window becomes, at least 1 each; shorter clips become as many
            as they are of a window.

    Raises:
        UsageError: nothing to train on or to hold out; the folder holds another run; the LoRA that
            is there is of another kind than the one asked for.
        EnvironmentLacks: a LoRA is trained, and PEFT is not installed.
    """
    if not parts or not set(parts) <= set(PARTS):
        raise ValueError(f"parts are some of {', '.join(PARTS)}")
    run = run.usable("questions", "about clips of 30 s at most")
    settings, values = _lora_of(model, connector, parts, lora)
    run_identity = {
        "stage": "frame reading",
        "model": identity,
        "parts": [part for part in PARTS if part in parts],
        "lora": settings and list(astuple(settings)),
        "precision": model.precision,
    }
    with ExitStack() as stack:
        adapted = None
        if settings is not None:
            adapted = stack.enter_context(Adapted(model, settings, seed=run.plan.seed))
            if values:
                fill(adapted.parameters, values)
        return train_answers(
            _Joined(model, parts, adapted), run, identity=run_identity, lengths=lengths
        )


def _lora_of(
    model: TrainableHearing, folder: Path, parts: Collection[str], request: Settings | None
) -> tuple[Settings | None, dict[str, Tensor]]:
    """The LoRA's settings, None without one, and the values that it begins with."""
    shape = model.config.lora
    if shape is None:
        return (request or _LORA) if LORA in parts else None, {}
    settings = Settings(shape.rank, shape.alpha, request.dropout if request else 0.0)
    if request not in (None, settings):
        raise UsageError(
            f"The connector in {folder} has a LoRA of rank {shape.rank} and alpha "
            f"{shape.alpha:g}, which is gone on with; leave --rank and --alpha out."
        )
    values = {}
    for name, pair in read_lora(folder, model.config).items():
        values[f"{name}.lora_A.weight"], values[f"{name}.lora_B.weight"] = pair.down, pair.up
    return settings, values
