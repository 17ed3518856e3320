"""Qwen2-Audio: FastLongSpeech's own base, on stock transformers.

Windows go through the audio tower in a batch; what comes out after pooling and before its final
norm is what is fused. Norm and projector see the fused frames only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fls_models.core.constants import HOP_SAMPLES, WINDOW_SAMPLES
from fls_models.lslm.large import LargeSpeechLM


@dataclass(frozen=True, eq=False)
class Spectrogram:
    """Log-mel features of a window, padded to 30 s: (M, 3000) float32.

    The first `frames` of them are the window's own.
    """

    mel: Tensor
    frames: int


class Qwen2Audio(LargeSpeechLM):
    """Qwen2-Audio, with FastLongSpeech's CTC head where the weights have one."""

    def _take_projection(self, parts: Mapping[str, nn.Module]) -> tuple[nn.LayerNorm, nn.Module]:
        tower: Any = self._tower
        norm: nn.LayerNorm = tower.layer_norm
        tower.layer_norm = nn.Identity()
        return norm, parts["multi_modal_projector"].get_submodule("linear")

    def features(self, samples: Tensor) -> Spectrogram:
        mel = self._log_mel(samples, WINDOW_SAMPLES)
        return Spectrogram(mel, -(-len(samples) // HOP_SAMPLES))

    def _encoded(self, features: Sequence[Spectrogram]) -> Tensor:
        mels = torch.stack([window.mel for window in features])
        # The strided convolution halves the spectrogram. Nobody attends to padding.
        frames = torch.tensor([(window.frames - 1) // 2 + 1 for window in features])
        positions = mels.shape[-1] // 2
        mask = None
        if int(frames.min()) < positions:
            mask = (torch.arange(positions) < frames[:, None])[:, None, None, :].to(self.device)
            mask = mask.expand(-1, 1, positions, -1)
        hidden: Tensor = self._tower(mels.to(self.device), attention_mask=mask).last_hidden_state
        return hidden
