"""`mini` as a model that hears: Whisper's encoder, a connector, and the language model of `mini`.

A `SpeechEncoder` and a `LanguageModel` in one, as the large models are (`hearing`), but on the CPU
and of other parts: CTranslate2 encodes in int8, `connector` makes hidden states, a CTC head's
reading and embeddings of it in float32, and the language model is that of the text reader. The
LoRA that was trained with the connector is on where frames are read, and only there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.audio.windows import frame_count
from fls_models.core.constants import FRAME_RATE, SAMPLE_RATE, WINDOW_FRAMES
from fls_models.errors import DamagedWeights
from fls_models.extractor.density import FoldedCtcHead
from fls_models.lslm.kv_cache import KVContext
from fls_models.lslm.mini import connector_weights
from fls_models.lslm.mini.int8_lora import attach_lora
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.lslm.mini.whisper_encoder import WhisperFrames
from fls_models.lslm.prompts import ASK, Prompt

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
        shape, known = self.config.shape, len(table.weight)
        if shape.model_width != self.width or max(self.config.tokens) >= known:
            raise _for_another(
                connector,
                f"gives embeddings of width {shape.model_width} and reads tokens up to "
                f"{max(self.config.tokens)}; the language model has width {self.width} and "
                f"{known} tokens",
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
    def sample_rate(self) -> int:
        return SAMPLE_RATE

    @property
    def frame_rate(self) -> int:
        return FRAME_RATE

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
        own = frame_count(len(samples))
        return Sound(self._whisper.features(samples), own)

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
            own = frames[: sound.frames].reshape(1, -1, width)
            if sound.frames:
                hidden[place, : sound.frames] = self._connector.adapter(own)[0]
        return hidden

    def blank_probability(self, hidden: Tensor) -> Tensor:
        return self._ctc.blank_probability(hidden)

    def token_log_probabilities(self, hidden: Tensor, tokens: Tensor) -> Tensor | None:
        """`tokens` are classes of the head, from 0 to V - 1."""
        return self._ctc.log_probabilities(hidden, tokens)

    def ctc_text(self, ids: Sequence[int]) -> str:
        """What classes of the head that follow one another are as text."""
        return str(self._tokenizer.decode([self.config.tokens[one] for one in ids]))

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        found = [
            self._connector.embeddings(rows.to(self._table), self._table)
            for rows in torch.split(hidden, _ROWS)
        ]
        return torch.cat(found)

    # What the language model does is the same but for the LoRA, which goes by the prompt.

    def read(self, prompt: Prompt, recording: Tensor, *, stretch: float = 1.0) -> KVContext:
        self._lora.on = prompt.audio
        return super().read(prompt, recording, stretch=stretch)

    def generate(self, context: KVContext, request: str, **how: Any) -> Iterator[str]:
        reply = super().generate(context, request, **how)
        while True:
            # Each time: others may be asked while this reply is being written.
            self._lora.on = context.prompt.audio
            piece = next(reply, None)
            if piece is None:
                return
            yield piece

    def scores(self, context: KVContext, request: str, replies: Sequence[str]) -> list[Tensor]:
        self._lora.on = context.prompt.audio
        return super().scores(context, request, replies)

    def attention(
        self,
        context: KVContext,
        request: str,
        reply: str,
        earlier: Sequence[tuple[str, str]] = (),
    ) -> Tensor:
        self._lora.on = context.prompt.audio
        return super().attention(context, request, reply, earlier)

    def choose(self, context: KVContext, request: str, options: Sequence[str]) -> str:
        self._lora.on = context.prompt.audio
        return super().choose(context, request, options)

    def surprisal(self, context: KVContext, text: str, lead: str = "") -> Tensor:
        self._lora.on = context.prompt.audio
        return super().surprisal(context, text, lead)


@dataclass(frozen=True)
class _Template:
    """The language model's chat template, which knows no sound: frames go where text would.

    They stand behind the words that announce a transcript, which is what the connector's
    embeddings, being mixtures of the tokens heard, are nearest to.
    """

    tokenizer: Any

    def apply_chat_template(self, messages: list[dict[str, Any]], **how: Any) -> Any:
        plain = [{**message, "content": _text(message["content"])} for message in messages]
        return self.tokenizer.apply_chat_template(plain, **how)


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
