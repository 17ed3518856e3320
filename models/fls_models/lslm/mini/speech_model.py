"""`mini` as a model that hears: Whisper's encoder, a connector, and the language model of `mini`.

A `SpeechEncoder` and a `LanguageModel` in one, as the large models are (`hearing`), but on the CPU
and of other parts: CTranslate2 encodes in int8, `connector` makes hidden states, a CTC head's
reading and embeddings of it in float32, and the language model is that of the text reader. The
LoRA that was trained with the connector is on where frames are read, and only there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.audio.windows import frame_count
from fls_models.core.constants import WINDOW_FRAMES
from fls_models.errors import DamagedWeights
from fls_models.extractor.density import FoldedCtcHead
from fls_models.lslm.kv_cache import KVContext
from fls_models.lslm.mini import connector_weights
from fls_models.lslm.mini.int8_lora import attach_lora
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.lslm.mini.whisper_encoder import WhisperFrames
from fls_models.lslm.prompts import ASK

AUDIO = "<|AUDIO|>"
"""Where the template below puts a recording; it never reaches the tokenizer."""

# Rows that are projected at once: each has a probability for every token of the head.
_ROWS = 512


@dataclass(frozen=True, eq=False)
class Sound:
    """Log-mel features of a window, (80, 3000), of which so many frames of 40 ms are its own."""

    mel: NDArray[np.float32]
    frames: int


class MiniSpeechLM(MiniLanguageModel):
    """Whisper in `speech`, a language model in `llm`, what joins them in `connector`.

    Raises DamagedWeights when a folder is not whole, or the connector's sizes are not theirs.
    """

    def __init__(self, speech: Path, llm: Path, connector: Path) -> None:
        self._connector, self.config = connector_weights.read(connector)
        super().__init__(llm)
        table: Any = self._parts.table
        shape, tokens = self.config.shape, len(table.weight)
        if shape.model_width != self.width or max(self.config.tokens) >= tokens:
            raise _for_another(
                connector,
                f"gives embeddings of width {shape.model_width} and reads tokens up to "
                f"{max(self.config.tokens)}; the language model has width {self.width} and "
                f"{tokens} tokens",
            )
        self._folder = connector
        self._table = self.embed(self.config.tokens)
        self._lora = attach_lora(self.body, connector_weights.read_lora(connector, self.config))
        self._parts = replace(
            self._parts, template=_Template(self._tokenizer), audio=AUDIO, form="float32-frames-1"
        )
        head, norm = self._connector.ctc, self._connector.norm
        self._ctc = FoldedCtcHead(norm.weight, norm.bias, head.weight, head.bias, norm.eps)
        self._whisper = WhisperFrames(speech)

    @property
    def hidden_width(self) -> int:
        """D."""
        return self.config.shape.width

    @property
    def window(self) -> int:
        """Positions that the language model read in training."""
        return self.config.window

    @property
    def ctc_tokens(self) -> int:
        """V, without the blank: `config.tokens` says which of the language model's they are."""
        return self.config.shape.tokens

    def features(self, samples: Tensor) -> Sound:
        frames = frame_count(len(samples))
        return Sound(self._whisper.features(samples), frames)

    @torch.inference_mode()
    def encode(self, features: Sequence[Sound]) -> Tensor:
        """(B, 750, D): the adapter's hidden states, before its norm; 0 for what is padding.

        The adapter sees a window's own frames alone, as in training.
        """
        encoded = self._whisper.encode([sound.mel for sound in features])
        width = self.config.shape.encoder_width
        if encoded.shape[-1] != 2 * width:
            raise _for_another(
                self._folder,
                f"takes frames of width {width}; the speech model's are {encoded.shape[-1] // 2}",
            )
        hidden = torch.zeros(len(features), WINDOW_FRAMES, self.hidden_width)
        for place, (sound, frames) in enumerate(zip(features, encoded, strict=True)):
            window_frames = frames[: sound.frames].reshape(1, -1, width)
            if sound.frames:
                hidden[place, : sound.frames] = self._connector.adapter(window_frames)[0]
        return hidden

    def blank_probability(self, hidden: Tensor) -> Tensor:
        return self._ctc.blank_probability(hidden)

    def token_log_probabilities(self, hidden: Tensor, tokens: Tensor) -> Tensor | None:
        """`tokens` are classes of the head, from 0 to V - 1."""
        return self._ctc.log_probabilities(hidden, tokens)

    def ctc_text(self, ids: Sequence[int]) -> str:
        """What classes of the head that follow one another are as text."""
        return str(self._tokenizer.decode([self.config.tokens[class_id] for class_id in ids]))

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        embeddings = [
            self._connector.embeddings(rows.to(self._table), self._table)
            for rows in torch.split(hidden, _ROWS)
        ]
        return torch.cat(embeddings)

    def _forward(self, context: KVContext, *values: Any, **named: Any) -> Tensor:
        # Each time: others may be asked while a reply is being written.
        self._lora.on = context.prompt.audio
        return super()._forward(context, *values, **named)


@dataclass(frozen=True)
class _Template:
    """The language model's chat template, which knows no sound: frames go where text would.

    They stand behind the words that announce a transcript, which is what the connector's
    embeddings, being mixtures of the tokens heard, are nearest to.
    """

    tokenizer: Any

    def apply_chat_template(self, messages: list[dict[str, Any]], **options: Any) -> Any:
        plain = [{**message, "content": _text(message["content"])} for message in messages]
        return self.tokenizer.apply_chat_template(plain, **options)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    # The blank lines are those between a transcript and its request.
    return "".join(
        f"{ASK.opening}{AUDIO}\n\n" if part["type"] == "audio" else part["text"] for part in content
    )


def _for_another(folder: Path, why: str) -> DamagedWeights:
    return DamagedWeights(
        f"The connector in {folder} {why}: it belongs to other models. Install fls anew, or use "
        "--read text."
    )
