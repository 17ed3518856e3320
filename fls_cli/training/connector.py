"""What the commands of `fls train` do for `mini`: from its parts to a connector that is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fls_cli.training.common import AnswerTraining, HeadTraining, encode_all
from fls_cli.training.options import check_above_0
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.lslm.mini.connector import Connector
    from fls_models.lslm.mini.connector_weights import Config
    from fls_models.training.compression.train_answers import Result as Answered
    from fls_models.training.compression.train_mini import Lora
    from fls_models.training.core.encoded_dataset import Encoded
    from fls_models.training.ctc.train_connector import Result
    from fls_models.training.ctc.unigram_vocabulary import Spelling
    from fls_models.training.data.manifests import Utterance
    from fls_models.weights.store import Installed

TOKENS, BLOCKS, WIDTH = 4000, 4, 512
# Frames that a block's convolution sees: 1.2 s.
_KERNEL = 31
# Attention costs a third more, and Whisper's own layers have looked at the whole window.
_HEADS = 0
_INNER = 3
# As `frame_reading` has them, which is not imported for a help text.
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
        given = [option for option, value in sizes.items() if value is not None]
        if self.init is not None and given:
            raise UsageError(
                f"{', '.join(given)}: --init goes on with a connector whose size is settled."
            )
        _check_there("--init", self.init)


def train_head(
    asked: HeadTraining, installed: Installed, wanted: ConnectorSettings, place: tuple[str, str]
) -> Result:
    """Encodes all recordings and trains a connector on them, at a place: device, precision."""
    from fls_models.training.ctc import train_connector as training

    # Small things first: what is wrong with them is said before hours of encoding.
    language_model = _language_model(installed)
    start, config, spelling = _beginning(wanted, installed, asked.taken)
    encoded = encode_frames(asked, installed)
    if config is None:
        config = _config(wanted, installed, language_model, spelling, encoded)
    asked.begin(encoded, spelling)
    settings = training.ConnectorTraining(
        config,
        spelling,
        language_model.embed(spelling.ids),
        whisper_identity(installed),
        start,
        device=place[0],
        precision=place[1],
    )
    return training.train_connector(settings, asked.run(encoded))


@dataclass(frozen=True)
class AskedLora:
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

    @property
    def lora(self) -> Lora | None:
        """None where nothing was: a LoRA that is there is gone on with, whatever it is."""
        from fls_models.training.compression.train_mini import Lora

        if self.rank is self.alpha is self.dropout is None:
            return None
        usual = Lora()
        return Lora(self.rank or usual.rank, self.alpha, self.dropout or usual.dropout)


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
    lora: AskedLora

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
    asked: AnswerTraining, installed: Installed, reading: MiniReading, place: tuple[str, str]
) -> Answered:
    """Encodes all clips and trains `mini` on questions about them, at a place."""
    from fls_models.lslm.mini.connector_weights import read_config
    from fls_models.training.compression.train_mini import train_frame_reading
    from fls_models.training.compression.trainable_mini import TrainableHearing
    from fls_models.weights.store import fingerprint

    _check_there("--connector", reading.connector)
    found = reading.connector or installed.connector
    if found is None:
        raise UsageError(
            f"{installed.card.name} has no connector yet; `fls train ctc --model "
            f"{installed.card.name}` makes one for --connector."
        )
    check_fits(read_config(found), installed, found)
    encoded = encode_frames(asked, installed)
    asked.forget()
    device, precision = place
    model = TrainableHearing(
        installed.speech, installed.llm, found, device=device, precision=precision
    )
    return train_frame_reading(
        model,
        found,
        asked.run(encoded),
        identity=f"{whisper_identity(installed)} {fingerprint(installed.llm)} {fingerprint(found)}",
        parts=reading.parts,
        lora=reading.lora.lora,
        lengths=asked.lengths,
    )


def encode_frames(asked: HeadTraining | AnswerTraining, installed: Installed) -> Encoded:
    """What Whisper's encoder makes of all recordings."""
    from fls_models.lslm.mini.whisper_encoder import WhisperFrames

    encoder = WhisperFrames(installed.speech)
    return encode_all(asked, encoder, whisper_identity(installed))


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
    wanted: ConnectorSettings, installed: Installed, taken: list[Utterance]
) -> tuple[Connector | None, Config | None, Spelling]:
    """The connector to go on with, if there is one, and what the head is to read."""
    from dataclasses import replace

    from transformers import AutoTokenizer

    from fls_models.lslm.mini.connector_weights import read
    from fls_models.training.ctc.unigram_vocabulary import Spelling

    tokenizer: Any = AutoTokenizer.from_pretrained(installed.llm, local_files_only=True)
    texts = [one.text for one in taken]
    if wanted.init is None:
        return None, None, Spelling.of(texts, wanted.pieces(connected=True) or TOKENS, tokenizer)
    start, config = read(wanted.init)
    check_fits(config, installed, wanted.init)
    # Without its LoRA, which was trained for what it read before.
    config = replace(config, lora=None)
    kept = wanted.init / Spelling.file_name
    if kept.is_file() and (spelling := Spelling.read(kept)).ids == config.tokens:
        return start, config, spelling
    return start, config, Spelling.again(config.tokens, texts, tokenizer)


def _config(
    wanted: ConnectorSettings,
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
    width = wanted.width or WIDTH
    shape = Shape(
        encoder_width=encoded[first].shape[-1] // 2,
        width=width,
        blocks=wanted.blocks or BLOCKS,
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


def _language_model(installed: Installed) -> Any:
    from fls_models.lslm.mini.language_model import MiniLanguageModel

    return MiniLanguageModel(installed.llm)
