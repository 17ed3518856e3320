"""Whisper's encoder alone, as a connector takes its frames: joined two by two, 25 a second.

Frozen: what it makes of a recording is computed once and kept (`training.core.encoded_dataset`).
What becomes of the frames is `connector`'s affair.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.audio.whisper.load import Whisper, load_whisper
from fls_models.core.constants import WINDOW_FRAMES, WINDOW_SAMPLES


class WhisperFrames:
    """A `SpeechEncoder` over Whisper in a folder of CTranslate2 files, on the CPU.

    Its hidden states are the encoder's normed frames, two after the other: (T, 2 W).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _whisper(self) -> Whisper:
        # Not before it is needed: what was encoded before needs none.
        return load_whisper(self._folder)

    @cached_property
    def hidden_width(self) -> int:
        """2 W; silence tells it, where nothing was encoded yet."""
        return int(self.encode([self.features(torch.zeros(1))]).shape[-1])

    def features(self, samples: Tensor) -> NDArray[np.float32]:
        """Log-mel features of a window, (80, 3000): of its sound and of silence up to 30 s."""
        sound = np.zeros(WINDOW_SAMPLES, np.float32)
        sound[: len(samples)] = samples.numpy()
        return self._whisper.features(sound, padding=0)

    def encode(self, features: Sequence[Any]) -> Tensor:
        """(B, 750, 2 W) float32 on the CPU."""
        encoded = torch.stack(self._whisper.encode(features)).float()
        return encoded.reshape(len(features), WINDOW_FRAMES, -1)

    def blank_probability(self, hidden: Tensor) -> Tensor:
        """0 everywhere: there is no head yet."""
        return torch.zeros(len(hidden), device=hidden.device)

    def token_log_probabilities(self, hidden: Tensor, tokens: Tensor) -> Tensor | None:
        return None

    def project(self, hidden: Tensor) -> Tensor:
        """As they are: no language model reads them."""
        return hidden
