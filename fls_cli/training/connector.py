"""What the commands of `fls train` do for `mini`: from its parts to a connector that is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fls_cli.training.common import AnswerTraining, HeadTraining, encode_all
from fls_cli.training.options import check_above_0
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.lslm.mini.connector import Connector
    from fls_models.lslm.mini.connector_weights import Config
    from fls_models.training.compression.lora import Settings
    from fls_models.training.compression.train_answers import Result as Answered
    from fls_models.training.core.encoded_dataset import Encoded
    from fls_models.training.ctc.train_head import Result
    from fls_models.training.ctc.unigram_vocabulary import Spelling
    from fls_models.training.data.manifests import Utterance
    from fls_models.weights.store import Installed

TOKENS, BLOCKS, WIDTH = 4000, 4, 512
# Frames that a block's convolution sees: 1.2 s.
_KERNEL = 31
# Attention costs a third more, and Whisper's own layers have looked at the whole window.
_HEADS = 0
_INNER = 3
# As `train_mini` has them, which is not imported for a help text.
PARTS = ("lora", "projector", "adapter")


@dataclass(frozen=True)
class ConnectorSettings:
    """A connector as it was asked for; None for what was not.

    With `init`, its size and its vocabulary are those of the connector in that folder.
    """

    vocab: Annotated[
        str | None,
        typer.Option(
            metavar="characters|N",
            help="characters, or N SentencePiece pieces made of the texts; the paper has 10000. "
            "Of mini: N tokens of its language model.",
            show_default="characters; mini: 4000",
        ),
    ] = None
    blocks: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="mini only: of the adapter.", show_default="4"),
    ] = None
    width: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="mini only: of the adapter.", show_default="512"),
    ] = None
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="mini only: a connector to go on with; size and vocabulary are its own.",
        ),
    ] = None

    def pieces(self, *, connected: bool) -> int | None:
        """How many pieces or tokens; None for characters, or what is usual."""
        if self.vocab is None or (self.vocab == "characters" and not connected):
            return None
        if not self.vocab.isdecimal() or int(self.vocab) < 1:
            takes = "a number of tokens" if connected else "`characters` or a number of pieces"
            raise UsageError(f"--vocab takes {takes}, not {self.vocab!r}.")
        return int(self.vocab)

    def check(self) -> None:
        """Raises UsageError for what does not go together, or is not there."""
        sizes = {"--vocab": self.vocab, "--blocks": self.blocks, "--width": self.width}
        options = [option for option, value in sizes.items() if value is not None]
        if self.init is not None and options:
            raise UsageError(
                f"{', '.join(options)}: --init goes on with a connector whose size is settled."
            )
        _check_there("--init", self.init)


def train_head(
    task: HeadTraining,
    installed: Installed,
    settings: ConnectorSettings,
    placement: tuple[str, str],
) -> Result:
    """Encodes all recordings and trains a connector on them, at a place: device, precision."""
    from fls_models.lslm.mini.language_model import MiniLanguageModel
    from fls_models.training.ctc.train_connector import train_connector

    # Small things first: what is wrong with them is said before hours of encoding.
    language_model = MiniLanguageModel(installed.llm)
    start, config, spelling = _beginning(settings, installed, task.train)
    encoded = encode_frames(task, installed)
    if config is None:
        config = _config(settings, installed, language_model, spelling, encoded)
    task.begin(encoded, spelling)
    return train_connector(
        config,
        task.run(encoded),
        spelling,
        language_model.embed(spelling.ids),
        identity=whisper_identity(installed),
        start=start,
        device=placement[0],
        precision=placement[1],
    )


@dataclass(frozen=True)
class LoraOptions:
    """A LoRA as it was asked for; None for what was not."""

    rank: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Of the LoRA.", show_default="128; mini: 16"),
    ] = None
    alpha: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="Of the LoRA.", show_default="twice the rank"),
    ] = None
    dropout: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Of the LoRA.", show_default="0.05; mini: 0"),
    ] = None

    def check(self) -> None:
        """Raises UsageError for what no LoRA can have."""
        check_above_0("--alpha", self.alpha)
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout takes a share from 0 to below 1, not {self.dropout:g}.")

    def settings(self, rank: int, dropout: float) -> Settings:
        """With these where nothing else was."""
        from fls_models.training.compression.lora import Settings

        rank = self.rank or rank
        alpha = 2.0 * rank if self.alpha is None else self.alpha
        return Settings(rank, alpha, dropout if self.dropout is None else self.dropout)


@dataclass(frozen=True, kw_only=True)
class MiniReading:
    """What of `mini` is trained to read frames; None for what was not asked for."""

    train: Annotated[
        str | None,
        typer.Option(
            metavar="PART,...",
            help="mini only: lora, projector, adapter (with its CTC head), or some of them.",
            show_default="lora,projector",
        ),
    ] = None
    connector: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="mini only: what fls train ctc made; else the connector that mini has.",
        ),
    ] = None
    lora: LoraOptions

    @property
    def parts(self) -> tuple[str, ...]:
        """What `--train` names."""
        return tuple(part.strip() for part in (self.train or "lora,projector").split(","))

    def check(self) -> None:
        """Raises UsageError for a part that there is not."""
        if not set(self.parts) <= set(PARTS):
            raise UsageError(
                f"--train takes some of {', '.join(PARTS)}, with commas, not {self.train!r}."
            )


def train_answers(
    task: AnswerTraining, installed: Installed, reading: MiniReading, placement: tuple[str, str]
) -> Answered:
    """Encodes all clips and trains `mini` on questions about them, at a place."""
    from fls_models.lslm.mini.connector_weights import read_config
    from fls_models.training.compression.train_mini import train_frame_reading
    from fls_models.training.compression.trainable_mini import TrainableHearing
    from fls_models.weights.store import fingerprint

    _check_there("--connector", reading.connector)
    folder = reading.connector or installed.connector
    if folder is None:
        raise UsageError(
            f"{installed.card.name} has no connector yet; `fls train ctc --model "
            f"{installed.card.name}` makes one for --connector."
        )
    check_fits(read_config(folder), installed, folder)
    encoded = encode_frames(task, installed)
    task.forget()
    device, precision = placement
    model = TrainableHearing(
        installed.speech, installed.llm, folder, device=device, precision=precision
    )
    return train_frame_reading(
        model,
        folder,
        task.run(encoded),
        identity=" ".join(
            [whisper_identity(installed), *map(fingerprint, (installed.llm, folder))]
        ),
        parts=reading.parts,
        # A LoRA that is there is gone on with, whatever it is, where none was asked for.
        lora=None if reading.lora == LoraOptions() else reading.lora.settings(16, 0.0),
        lengths=task.lengths,
    )


def encode_frames(task: HeadTraining | AnswerTraining, installed: Installed) -> Encoded:
    """What Whisper's encoder makes of all recordings."""
    from fls_models.lslm.mini.whisper_encoder import WhisperFrames

    encoder = WhisperFrames(installed.speech)
    return encode_all(task, encoder, whisper_identity(installed))


def whisper_identity(installed: Installed) -> str:
    from fls_models.weights.store import fingerprint

    return f"whisper-frames-1 {fingerprint(installed.speech)}"


def check_fits(config: Config, installed: Installed, folder: Path) -> None:
    """Refuses a connector of other parts than these."""
    made_for = config.speech, config.llm
    parts = installed.card.speech.name, installed.card.llm.name
    if made_for != parts:
        raise UsageError(
            f"The connector in {folder} was trained for {' and '.join(made_for)}; "
            f"{installed.card.name} is {' and '.join(parts)}."
        )


def _check_there(option: str, folder: Path | None) -> None:
    if folder is not None and not (folder / "config.json").is_file():
        raise UsageError(f"{option}: there is no connector in {folder}.")


def _beginning(
    settings: ConnectorSettings, installed: Installed, utterances: list[Utterance]
) -> tuple[Connector | None, Config | None, Spelling]:
    """The connector to go on with, if there is one, and what the head is to read."""
    from transformers import AutoTokenizer

    from fls_models.lslm.mini.connector_weights import read
    from fls_models.training.ctc.unigram_vocabulary import Spelling

    tokenizer: Any = AutoTokenizer.from_pretrained(installed.llm, local_files_only=True)
    texts = [utterance.text for utterance in utterances]
    if settings.init is None:
        return None, None, Spelling.of(texts, settings.pieces(connected=True) or TOKENS, tokenizer)
    start, config = read(settings.init)
    check_fits(config, installed, settings.init)
    # Without its LoRA, which was trained for what it read before.
    config = replace(config, lora=None)
    vocabulary = settings.init / Spelling.file_name
    if vocabulary.is_file() and (spelling := Spelling.read(vocabulary)).ids == config.tokens:
        return start, config, spelling
    return start, config, Spelling.again(config.tokens, texts, tokenizer)


def _config(
    settings: ConnectorSettings,
    installed: Installed,
    language_model: Any,
    spelling: Spelling,
    encoded: Encoded,
) -> Config:
    from fls_models.lslm.mini.connector import Shape
    from fls_models.lslm.mini.connector_weights import Config

    first = next(iter(encoded), None)
    if first is None:
        raise UsageError("None of the recordings could be encoded; there is nothing to train on.")
    width = settings.width or WIDTH
    shape = Shape(
        encoder_width=encoded[first].shape[-1] // 2,
        width=width,
        blocks=settings.blocks or BLOCKS,
        heads=_HEADS,
        kernel=_KERNEL,
        inner_width=_INNER * width,
        tokens=spelling.size,
        model_width=language_model.width,
    )
    return Config(
        shape,
        spelling.ids,
        speech=installed.card.speech.name,
        llm=installed.card.llm.name,
        # Nothing here makes the language model read more or less than it could.
        window=int(language_model.body.config.max_position_embeddings),
    )
