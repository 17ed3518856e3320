"""Stage 1 for a connector: its adapter and CTC head learn to read what Whisper's encoder hears.

CTC over thousands of tokens does not begin to learn by itself: for long, the blank is the best that
it knows. So a second head reads single characters beside it, for the length of training, and half
as much is made of that; what it learns to hear, both have. The projector stays as it is, but for
its vector for what says nothing, which begins as the mean of all tokens' embeddings. Muon trains
the adapter's matrices, AdamW all else (`optimiser`): the card of `mini` says what that brought.
Frames (`encoded`), the vocabulary (`spelling`) and the loop are others' work.

Letters: B recordings of a batch, T frames at 25 Hz, W width of Whisper's frames, V tokens, H width
of the language model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fls_models.extractor.ctc_decoding import greedy
from fls_models.lslm.mini.connector import Connector
from fls_models.lslm.mini.connector_weights import Config, write
from fls_models.training.core.precision import FLOAT32, computing
from fls_models.training.core.run import Run
from fls_models.training.core.trainer import Loop
from fls_models.training.ctc.bucketing import LikeLengths
from fls_models.training.ctc.spec_augment import disturbed
from fls_models.training.ctc.train_head import chosen, digest
from fls_models.training.ctc.unigram_vocabulary import Spelling
from fls_models.training.ctc.vocabulary import Characters
from fls_models.training.data.manifests import Utterance
from fls_models.transcription.normalizer import normalise
from fls_models.transcription.word_errors import align

CONNECTOR = "connector"
"""The folder for the connector, in that of the run."""

_CHARACTERS = 0.5
# Of a text's whole loss, so that the gradients' norm is one that clipping fits.
_SCALE = 1 / 100


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        connector: the folder that `connector_weights` wrote, the vocabulary in it: the best
            connector there was.
        word_error_rate: of its head on what was held out, 0 upwards.
        loss: of the last step's batch.
        steps: after how many the connector was best.
    """

    connector: Path
    word_error_rate: float
    loss: float
    steps: int


class ConnectorTrainee(nn.Module):
    """A connector, and the head for characters that only training has.

    `start` gives the connector its first weights; without it they are drawn with `seed`, on the
    CPU. `table`: (V, H), embeddings of the tokens.
    """

    def __init__(
        self,
        config: Config,
        characters: int,
        table: Tensor,
        *,
        dropout: float,
        seed: int,
        start: Connector | None = None,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.connector = Connector(config.shape, dropout)
            self.characters = nn.Linear(config.shape.width, characters + 1)
        if start is not None:
            self.connector.load_state_dict(start.state_dict())
        if not self.connector.projector.blank.any():
            with torch.no_grad():
                self.connector.projector.blank.copy_(table.mean(0))
        self.connector.projector.requires_grad_(False)

    @property
    def parameters_by_name(self) -> dict[str, nn.Parameter]:
        """All that is trained."""
        return {name: one for name, one in self.named_parameters() if one.requires_grad}

    @property
    def matrices(self) -> list[str]:
        """Names of those that Muon trains: of the adapter, but not of its convolutions.

        It is for hidden layers; what the heads say by, it leaves alone.
        """
        return [
            name
            for name, one in self.parameters_by_name.items()
            # A convolution's kernel has three dimensions.
            if name.startswith("connector.adapter.") and one.ndim == 2
        ]

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of tokens and of characters, float32, blanks last: (B, 2 T, W) -> (B, T, ...)."""
        normed = self.connector.norm(self.connector.adapter(frames))
        return self.connector.ctc(normed).float(), self.characters(normed).float()

    def loss(
        self,
        frames: Sequence[Tensor],
        tokens: Sequence[Sequence[int]],
        characters: Sequence[Sequence[int]],
    ) -> Tensor:
        """CTC over tokens and half of that over characters, hundreds of nats a text.

        Args:
            frames: B of (2 T_b, W) at 50 Hz, on this module's device.
            tokens, characters: B texts.
        """
        counts = torch.tensor([len(one) // 2 for one in frames])
        found, spelled = self(pad_sequence(list(frames), batch_first=True))
        return _ctc(found, counts, tokens) + _CHARACTERS * _ctc(spelled, counts, characters)


def _ctc(logits: Tensor, counts: Tensor, texts: Sequence[Sequence[int]]) -> Tensor:
    total = F.ctc_loss(
        logits.transpose(0, 1).log_softmax(-1),
        torch.tensor([one for text in texts for one in text], device=logits.device),
        counts,
        torch.tensor([len(text) for text in texts]),
        blank=logits.shape[-1] - 1,
        reduction="sum",
        # Quick speech has more characters than frames; its tokens still fit.
        zero_infinity=True,
    )
    return total * (_SCALE / len(texts))


@dataclass(frozen=True)
class ConnectorTraining:
    """What is trained, and how.

    Attributes:
        config: how large the connector is, whose tokens it reads and what it stands between.
        spelling: the head's tokens, those of the config.
        table: (V, H), the language model's embeddings of the tokens.
        identity: tells the encoder's weights from others.
        start: a connector of the same shape to begin with.
        precision: `bf16` or `float32`.
    """

    config: Config
    spelling: Spelling
    table: Tensor
    identity: str
    start: Connector | None = None
    dropout: float = 0.1
    device: str = "cpu"
    precision: str = FLOAT32

    def __post_init__(self) -> None:
        if self.spelling.ids != self.config.tokens or len(self.table) != len(self.config.tokens):
            raise ValueError("the vocabulary is not the connector's")


class _Lessons:
    """What a connector learns by: recordings in batches of like length, and those held out."""

    def __init__(self, settings: ConnectorTraining, run: Run[Utterance]) -> None:
        self._settings, self._run = settings, run
        taken, seed = run.taken, run.plan.seed
        letters = Characters.of(one.text for one in taken)
        self.reading = ConnectorTrainee(
            settings.config,
            letters.size,
            settings.table,
            dropout=settings.dropout,
            seed=seed,
            start=settings.start,
        )
        self._place = torch.device(settings.device)
        self.reading.to(self._place)
        self._tokens, self._characters = (
            [vocabulary.encode(one.text) for one in taken]
            for vocabulary in (settings.spelling, letters)
        )
        frames = [run.encoded.frames(one.audio) for one in taken]
        self._order = LikeLengths(frames, run.batch_size, seed)

    @property
    def identity(self) -> dict[str, object]:
        """Tells this training from others."""
        settings = self._settings
        return {
            "stage": "connector",
            "model": settings.identity,
            "recordings": digest(self._run.taken, self._run.encoded),
            "held out": digest(self._run.held, self._run.encoded),
            "vocabulary": settings.spelling.identity,
            "shape": asdict(settings.config.shape),
            "start": None if settings.start is None else _digest(settings.start),
            "batch": self._run.batch_size,
            "dropout": settings.dropout,
            "precision": settings.precision,
        }

    def loss(self, number: int, dice: torch.Generator) -> Tensor:
        """Of a batch by its number, its frames disturbed."""
        batch = self._order(number)
        frames = [
            disturbed(self._frames(self._run.taken[one]), dice).to(self._place) for one in batch
        ]
        self.reading.train()
        with computing(self._place, self._settings.precision):
            return self.reading.loss(
                frames,
                [self._tokens[one] for one in batch],
                [self._characters[one] for one in batch],
            )

    @torch.no_grad()
    def word_error_rate(self) -> float:
        """On what is held out."""
        self.reading.train(False)
        said = [normalise(one.text) for one in self._run.held]
        written = []
        for one in self._run.held:
            frames = self._frames(one).to(self._place)
            with computing(self._place, self._settings.precision):
                logits, _ = self.reading(frames[None])
            written.append(normalise(self._settings.spelling.decode(greedy(logits[0]))))
        return float(align(said, written).wer)

    @torch.no_grad()
    def save(self, parameters: Path, folder: Path) -> Path:
        """The connector with the parameters in a checkpoint's file, its vocabulary beside it."""
        for name, value in load_file(parameters).items():
            self.reading.parameters_by_name[name].copy_(value)
        # In 16 bits, as it is to be trained on.
        write(self.reading.connector, self._settings.config, folder / CONNECTOR, int8=False)
        self._settings.spelling.save(folder / CONNECTOR)
        return folder / CONNECTOR

    def _frames(self, utterance: Utterance) -> Tensor:
        """As Whisper gives them: (T, 2 W) -> (2 T, W) float32."""
        joined = self._run.encoded[utterance.audio]
        return joined.float().reshape(-1, self._settings.config.shape.encoder_width)


def train_connector(settings: ConnectorTraining, run: Run[Utterance]) -> Result:
    """Trains a connector's adapter, norm and CTC head; an interrupted run goes on.

    Recordings of a micro-batch are of like length. Those that `ctc.usable` does not name are left
    out. The run's recordings are encoded as `whisper_frames`, (T, 2 W), and its steps' value is the
    word error rate.

    Raises:
        UsageError: nothing to train on or to hold out; the folder holds another run;
            more processes than batches a step.
        OthersGone: another process has ended.
    """
    taken, held = chosen(run, settings.spelling)
    lessons = _Lessons(settings, replace(run, taken=taken, held=held))
    loop = Loop(
        lessons.reading.parameters_by_name,
        run.plan,
        run.folder,
        identity=lessons.identity,
        orthogonalised=lessons.reading.matrices,
        processes=run.processes,
    )
    best = loop.run(lessons.loss, lessons.word_error_rate, run.progress, run.report)
    made = run.processes.once(lambda: lessons.save(best.file, run.folder))
    return Result(made, best.value, best.loss, best.step)


def _digest(connector: Connector) -> str:
    found = hashlib.sha256()
    for name, value in connector.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
