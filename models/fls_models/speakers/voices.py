"""How a voice sounds: Resemblyzer's encoder, an LSTM over mel frames, in torch.

Generalised end-to-end loss (arXiv 1710.10467): embeddings of one speaker are near each other.
"""

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from fls_models.core.constants import SAMPLE_RATE
from fls_models.speakers.segmentation import weights_folder

# Embeddings' length, and frames of 10 ms and samples that one is made of.
WIDTH = 256
FRAMES = 160
SAMPLES = FRAMES * SAMPLE_RATE // 100

_FFT, _HOP, _BINS = 400, 160, 40
# The mean square that the encoder was trained with: -30 dB.
_POWER = 1e-3
_BATCH = 128


class VoiceEncoder:
    """The network, on the CPU."""

    def __init__(self) -> None:
        weights = load_file(weights_folder() / "embedding.safetensors")
        self._lstm = nn.LSTM(_BINS, WIDTH, num_layers=3, batch_first=True)
        self._linear = nn.Linear(WIDTH, WIDTH)
        for module, name in ((self._lstm, "lstm."), (self._linear, "linear.")):
            module.load_state_dict(
                {key.removeprefix(name): x for key, x in weights.items() if key.startswith(name)}
            )

    @torch.inference_mode()
    def __call__(self, sounds: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, SAMPLES) of one voice each -> (n, WIDTH) of length 1."""
        results = [np.zeros((0, WIDTH), np.float32)]
        for first in range(0, len(sounds), _BATCH):
            mels = self._mels(torch.from_numpy(sounds[first : first + _BATCH]))
            hidden, _ = self._lstm(mels)
            results.append(F.normalize(self._linear(hidden[:, -1]).relu(), dim=-1).numpy())
        return np.concatenate(results)

    def _mels(self, sounds: Tensor) -> Tensor:
        """(n, SAMPLES) -> (n, FRAMES, 40) power, at the loudness that the encoder knows."""
        power = sounds.square().mean(dim=-1, keepdim=True)
        sounds = sounds * (_POWER / (power + 1e-10)).sqrt()
        window = torch.hann_window(_FFT)
        spectrum = torch.stft(
            F.pad(sounds, (_FFT // 2, _FFT // 2)),
            _FFT,
            _HOP,
            window=window,
            center=False,
            return_complex=True,
        )
        power = spectrum.abs().square()[..., :FRAMES]
        return (self._filters @ power).transpose(1, 2)

    @cached_property
    def _filters(self) -> Tensor:
        """(40, 201): Slaney's, as librosa has them."""
        from faster_whisper.feature_extractor import FeatureExtractor

        filters = FeatureExtractor.get_mel_filters(SAMPLE_RATE, _FFT, n_mels=_BINS)
        return torch.from_numpy(np.asarray(filters, np.float32))
