"""Stage 1 for a connector: its adapter and CTC head learn to read what Whisper's encoder hears.

CTC over thousands of tokens does not begin to learn by itself: for long, the blank is the best that
it knows. So a second head reads single characters beside it, for the length of training, and half
as much is made of that; what it learns to hear, both have. The projector stays as it is, but for
its vector for what says nothing, which begins as the mean of all tokens' embeddings. Muon trains
the adapter's matrices, AdamW all else (`optimizer`): the card of `mini` says what that brought.
Frames (`encoded_dataset`), the vocabulary (`unigram_vocabulary`) and the loop are others' work.

Letters: B recordings of a batch, T frames at 25 Hz, W width of Whisper's frames, V tokens, H width
of the language model.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fls_models.extractor.ctc_decoding import greedy
from fls_models.lslm.mini.connector import Connector
from fls_models.lslm.mini.connector_weights import Config, write
from fls_models.training.core.batches import LikeLengths
from fls_models.training.core.checkpoints import fill
from fls_models.training.core.precision import FLOAT32, computing
from fls_models.training.core.run import Run
from fls_models.training.core.trainer import Loop
from fls_models.training.ctc.spec_augment import disturbed
from fls_models.training.ctc.train_head import Result, chosen, ctc_loss, digests, word_error_rate
from fls_models.training.ctc.unigram_vocabulary import Spelling
from fls_models.training.ctc.vocabulary import Characters
from fls_models.training.data.manifests import Utterance

CONNECTOR = "connector"
"""The folder for the connector, in that of the run."""

_CHARACTERS = 0.5
# Of a text's whole loss, so that the gradients' norm is one that clipping fits.
_SCALE = 1 / 100
# Quick speech has more characters than frames; its tokens still fit.
_SUM = {"reduction": "sum", "zero_infinity": True}


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
        return {name: value for name, value in self.named_parameters() if value.requires_grad}

    @property
    def matrices(self) -> list[str]:
        """Names of those that Muon trains: of the adapter, but not of its convolutions.

        It is for hidden layers; what the heads say by, it leaves alone.
        """
        return [
            name
            for name, parameter in self.parameters_by_name.items()
            # A convolution's kernel has three dimensions.
            if name.startswith("connector.adapter.") and parameter.ndim == 2
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
        padded = pad_sequence(list(frames), batch_first=True)
        lengths, scale = [len(clip) // 2 for clip in frames], _SCALE / len(tokens)
        losses = [
            ctc_loss(logits.transpose(0, 1).log_softmax(-1), lengths, texts, **_SUM) * scale
            for logits, texts in zip(self(padded), (tokens, characters), strict=True)
        ]
        return losses[0] + _CHARACTERS * losses[1]


def train_connector(
    config: Config,
    run: Run[Utterance],
    spelling: Spelling,
    table: Tensor,
    *,
    identity: str,
    start: Connector | None = None,
    dropout: float = 0.1,
    device: str = "cpu",
    precision: str = FLOAT32,
) -> Result:
    """Trains a connector's adapter, norm and CTC head; an interrupted run goes on.

    Recordings of a micro-batch are of like length. Those that `train_head.usable` does not name are
    left out. The run's recordings are encoded by `whisper_encoder`, (T, 2 W), and its steps' value
    is the word error rate. The result's folder is what `connector_weights` wrote, the vocabulary in
    it.

    Args:
        config: how large the connector is, whose tokens it reads and what it stands between.
        spelling: the head's tokens, those of the config.
        table: (V, H), the language model's embeddings of the tokens.
        identity: tells the encoder's weights from others.
        start: a connector of the same shape to begin with.
        precision: `bf16` or `float32`.

    Raises:
        UsageError: nothing to train on or to hold out; the folder holds another run;
            more processes than batches a step.
        OthersGone: another process has ended.
    """
    if spelling.ids != config.tokens or len(table) != len(config.tokens):
        raise ValueError("the vocabulary is not the connector's")
    run = chosen(run, spelling)
    utterances, encoded, seed = run.train, run.encoded, run.plan.seed
    torch_device = torch.device(device)
    letters = Characters.of(utterance.text for utterance in utterances)
    trainee = ConnectorTrainee(
        config, letters.size, table, dropout=dropout, seed=seed, start=start
    ).to(device)
    token_ids, letter_ids = (
        [vocabulary.encode(utterance.text) for utterance in utterances]
        for vocabulary in (spelling, letters)
    )
    lengths = [encoded.frames(utterance.audio) for utterance in utterances]
    batches = LikeLengths(lengths, run.batch_size, seed)

    def loss(number: int, generator: torch.Generator) -> Tensor:
        batch = batches(number)
        frames = (_frames(encoded[utterances[index].audio], config) for index in batch)
        noisy = [disturbed(samples, generator).to(device) for samples in frames]
        trainee.train()
        with computing(torch_device, precision):
            return trainee.loss(
                noisy, [token_ids[index] for index in batch], [letter_ids[index] for index in batch]
            )

    def evaluate() -> float:
        with computing(torch_device, precision):
            return _word_error_rate(trainee, run, config, spelling)

    loop = Loop(
        trainee.parameters_by_name,
        run.plan,
        run.folder,
        identity={
            **_identity(run, config, spelling, identity, start),
            "dropout": dropout,
            "precision": precision,
        },
        orthogonalised=trainee.matrices,
        processes=run.processes,
    )
    best = loop.run(loss, evaluate, run.progress, run.report)
    folder = run.folder / CONNECTOR
    run.processes.once(lambda: _save(trainee, best.file, config, spelling, folder))
    return Result(folder, best.value, best.loss, best.step)


def _identity(
    run: Run[Utterance], config: Config, spelling: Spelling, model: str, start: Connector | None
) -> dict[str, object]:
    """What makes a training another one, but for the settings."""
    return {
        "stage": "connector",
        "model": model,
        **digests(run),
        "vocabulary": spelling.identity,
        "shape": asdict(config.shape),
        "start": None if start is None else _digest(start),
        "batch": run.batch_size,
    }


@torch.no_grad()
def _word_error_rate(
    trainee: ConnectorTrainee, run: Run[Utterance], config: Config, spelling: Spelling
) -> float:
    """That of what the head reads in the recordings that are held out."""
    trainee.train(False)
    device = trainee.characters.weight.device

    def transcribe(audio: Path) -> str:
        logits, _ = trainee(_frames(run.encoded[audio], config).to(device)[None])
        return spelling.decode(greedy(logits[0]))

    return word_error_rate(run.dev, transcribe)


def _frames(encoded: Tensor, config: Config) -> Tensor:
    """As Whisper gives them: (T, 2 W) -> (2 T, W) float32."""
    return encoded.float().reshape(-1, config.shape.encoder_width)


def _save(
    trainee: ConnectorTrainee, state: Path, config: Config, spelling: Spelling, folder: Path
) -> None:
    fill(trainee.parameters_by_name, load_file(state))
    # In 16 bits, as it is to be trained on.
    write(trainee.connector, config, folder, int8=False)
    spelling.save(folder)


def _digest(connector: Connector) -> str:
    sha256 = hashlib.sha256()
    for name, value in connector.state_dict().items():
        sha256.update(name.encode())
        sha256.update(value.detach().cpu().contiguous().numpy().tobytes())
    return sha256.hexdigest()
