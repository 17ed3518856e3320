"""Whisper's encoder and the connector behind it: hidden states and what the CTC head reads in them.

Without the language model, whose embeddings `speech_model` makes of them: to look at what is heard,
this is enough.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.core.constants import WINDOW_FRAMES, frame_count
from fls_models.errors import DamagedWeights
from fls_models.extractor.density import FoldedCtcHead
from fls_models.lslm.mini import connector_weights
from fls_models.lslm.mini.whisper_encoder import WhisperFrames


@dataclass(frozen=True, eq=False)
class Sound:
    """Log-mel features of a window, (80, 3000), of which so many frames of 40 ms are its own."""

    mel: NDArray[np.float32]
    frames: int


class ConnectedEncoder:
    """A `SpeechEncoder` of Whisper in `speech` and a connector in its folder, on the CPU.

    `text` writes tokens of the language model. Raises DamagedWeights when the connector's folder is
    not whole.
    """

    def __init__(self, speech: Path, connector: Path, text: Callable[[list[int]], str]) -> None:
        self.connector, self.config = connector_weights.read(connector)
        self._folder, self._text = connector, text
        head, norm = self.connector.ctc, self.connector.norm
        self._ctc = FoldedCtcHead(norm.weight, norm.bias, head.weight, head.bias, norm.eps)
        self._whisper = WhisperFrames(speech)

    @property
    def hidden_width(self) -> int:
        """D."""
        return self.config.shape.width

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
            raise for_another(
                self._folder,
                f"takes frames of width {width}; the speech model's are {encoded.shape[-1] // 2}",
            )
        hidden = torch.zeros(len(features), WINDOW_FRAMES, self.hidden_width)
        for place, (sound, frames) in enumerate(zip(features, encoded, strict=True)):
            window_frames = frames[: sound.frames].reshape(1, -1, width)
            if sound.frames:
                hidden[place, : sound.frames] = self.connector.adapter(window_frames)[0]
        return hidden

    def blank_probability(self, hidden: Tensor) -> Tensor:
        return self._ctc.blank_probability(hidden)

    def token_log_probabilities(self, hidden: Tensor, tokens: Tensor) -> Tensor | None:
        """`tokens` are classes of the head, from 0 to V - 1."""
        return self._ctc.log_probabilities(hidden, tokens)

    def ctc_text(self, ids: Sequence[int]) -> str:
        """What classes of the head that follow one another are as text."""
        return self._text([self.config.tokens[class_id] for class_id in ids])

    def project(self, hidden: Tensor) -> Tensor:
        """As they are: no language model reads them."""
        return hidden


def for_another(folder: Path, why: str) -> DamagedWeights:
    """What to say of a connector that belongs to other models."""
    return DamagedWeights(
        f"The connector in {folder} {why}: it belongs to other models. Install fls anew, or use "
        "--read text."
    )
