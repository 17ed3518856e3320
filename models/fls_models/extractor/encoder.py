"""The contract of an encoder: what the extractor asks of any model that hears.

Plain tensors in, plain tensors out. What a model needs to get there (feature extraction, padding,
quantised weights, a device) stays behind this line.

Letters: B windows, D encoder width, H width of the language model, T frames in, L frames out.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor


class SpeechEncoder(Protocol):
    """Turns 30 s windows of speech, 16 kHz, into 25 Hz hidden states, and those into embeddings."""

    @property
    def hidden_width(self) -> int:
        """D."""

    def features(self, samples: Tensor) -> Any:
        """What `encode` takes of one window: (n,) float32 on the CPU, not padded, n <= 480 000.

        Runs on the CPU and in any thread, so that it overlaps with encoding.
        """

    def encode(self, features: Sequence[Any]) -> Tensor:
        """Encodes windows of audio, each on its own: no window changes another's frames.

        Args:
            features: B of what `features` gave.

        Returns:
            (B, 750, D), on the model's device: hidden states after pooling, *before* the
            encoder's final norm. Frames past a window's own audio are padding.
        """

    def blank_probability(self, hidden: Tensor) -> Tensor:
        """Probability that the CTC head reads nothing in a frame: (T, D) -> (T,) float32.

        0 for every frame where there is no head: density is uniform then.
        """

    def token_log_probabilities(self, hidden: Tensor, tokens: Tensor) -> Tensor | None:
        """What the CTC head makes of frames: (T, D), ids (S,) -> (T, S + 1) float32, blank last.

        None where there is no head.
        """

    def project(self, hidden: Tensor) -> Tensor:
        """Final norm, then the model's own audio projector: (L, D) -> (L, H)."""
