"""`mini` as a model that hears: Whisper's encoder, a connector, and the language model of `mini`.

A `SpeechEncoder` and a `LanguageModel` in one, as the large models are (`large`), but on the CPU: a
connector makes embeddings of what the encoder hears, and the language model is that of the text
reader. The LoRA that was trained with the connector is on where frames are read, and only there.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fls_models.lslm.kv_cache import KVContext
from fls_models.lslm.mini import connector_weights
from fls_models.lslm.mini.connected_encoder import ConnectedEncoder, for_another
from fls_models.lslm.mini.int8_lora import attach_lora
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.lslm.prompts import ASK

AUDIO = "<|AUDIO|>"
"""Where the template below puts a recording; it never reaches the tokenizer."""

# Rows that are projected at once: each has a probability for every token of the head.
_ROWS = 512


class MiniSpeechLM(MiniLanguageModel, ConnectedEncoder):
    """Whisper in `speech`, a language model in `llm`, what joins them in `connector`.

    Raises DamagedWeights when a folder is not whole, or the connector's sizes are not theirs.
    """

    def __init__(self, speech: Path, llm: Path, connector: Path) -> None:
        ConnectedEncoder.__init__(self, speech, connector, self._decode_tokens)
        super().__init__(llm)
        table: Any = self._parts.table
        shape, tokens = self.config.shape, len(table.weight)
        if shape.model_width != self.width or max(self.config.tokens) >= tokens:
            raise for_another(
                connector,
                f"gives embeddings of width {shape.model_width} and reads tokens up to "
                f"{max(self.config.tokens)}; the language model has width {self.width} and "
                f"{tokens} tokens",
            )
        self._table = self.embed(self.config.tokens)
        self._lora = attach_lora(self.body, connector_weights.read_lora(connector, self.config))
        self._parts = replace(
            self._parts, template=_Template(self._tokenizer), audio=AUDIO, form="float32-frames-1"
        )

    @property
    def window(self) -> int:
        """Positions that the language model read in training."""
        return self.config.window

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        embeddings = [
            self.connector.embeddings(rows.to(self._table), self._table)
            for rows in torch.split(hidden, _ROWS)
        ]
        return torch.cat(embeddings)

    def _decode_tokens(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens))

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
