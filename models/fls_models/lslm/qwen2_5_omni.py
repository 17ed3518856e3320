"""Qwen2.5-Omni's Thinker: another tower and another language model behind the same extractor.

Its tower attends within two seconds at a time and takes windows of any length. It comes without a
CTC head: density is uniform until one is given.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fls_models.core.constants import HOP_SAMPLES, WINDOW_FRAMES, WINDOW_SAMPLES
from fls_models.lslm.large import LargeSpeechLM

# Zeros behind a window, as its features have them in transformers: what is padded is not mirrored.
_BEHIND = 400


class Qwen25Omni(LargeSpeechLM):
    """The Thinker of Qwen2.5-Omni, without its eyes and its voice."""

    def _take_projection(self, parts: Mapping[str, nn.Module]) -> tuple[nn.LayerNorm, nn.Module]:
        tower: Any = self._tower
        norm: nn.LayerNorm = tower.ln_post
        projector: nn.Module = tower.proj
        tower.ln_post, tower.proj = nn.Identity(), nn.Identity()
        return norm, projector

    def features(self, samples: Tensor) -> Tensor:
        """Log-mel features of the window alone: (M, m) float32, m = n / 160 rounded up."""
        mel = self._log_mel(samples, WINDOW_SAMPLES + _BEHIND)
        return mel[:, : -(-len(samples) // HOP_SAMPLES)]

    def _encoded(self, features: Sequence[Tensor]) -> Tensor:
        lengths = torch.tensor([mel.shape[1] for mel in features])
        joined = torch.cat(list(features), dim=1).to(self.device)
        encoded = self._tower(joined, feature_lens=lengths.to(self.device)).last_hidden_state
        # Two frames of the spectrogram are one of the convolution's, two of those one pooled.
        counts = [int((length + 1) // 2 // 2) for length in lengths]
        hidden: Tensor = encoded.new_zeros(len(features), WINDOW_FRAMES, encoded.shape[-1])
        for window, frames in zip(hidden, encoded.split(counts), strict=True):
            window[: len(frames)] = frames
        return hidden
