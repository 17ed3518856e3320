"""Cutting a stream of audio into 30 s windows, and how loud each of their frames is.

Holds one window and one block of the stream, never the recording. It knows neither where the blocks
come from nor who listens.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.audio.prefetch import closing_source
from fls_models.core.constants import FRAME_SAMPLES, SAMPLE_RATE, WINDOW_SAMPLES, frame_count
from fls_models.errors import InputError

# A sample above -60 dBFS: less is the noise of a microphone that nobody speaks into.
_AUDIBLE = 10 ** (-60 / 20)


@dataclass(frozen=True, eq=False)
class SoundLevels:
    """How loud a window is, of which n = `Window.frames` are worth a frame; full scale is 1.

    Attributes:
        loudness: (n,) float64, RMS of each frame's samples. The last frame has the rest, too.
        peaks: (n,) float32, the loudest sample of each.
        audible: whether a sample, in a frame or not, reaches -60 dBFS.
    """

    loudness: NDArray[np.float64]
    peaks: NDArray[np.float32]
    audible: bool


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of audio that goes through the encoder alone.

    Attributes:
        samples: (n,) float32 on the CPU, 16 kHz mono, 1 <= n <= 480 000. Not padded: its length is
            the window's true length.
        first: index of the first sample in the recording. An integer, so that the end of one
            window and the start of the next are the same number however long the recording.

    Raises:
        ValueError: wrong shape, dtype or length.
        InputError: a sample is NaN or infinite; one is enough to spoil every frame of the window.
    """

    samples: Tensor
    first: int = 0

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != torch.float32:
            raise ValueError(
                f"a window is (n,) float32, not {tuple(self.samples.shape)} {self.samples.dtype}"
            )
        if not 1 <= len(self.samples) <= WINDOW_SAMPLES or self.first < 0:
            raise ValueError(
                f"a window has 1 to {WINDOW_SAMPLES} samples from sample 0 or later, "
                f"not {len(self.samples)} from {self.first}"
            )
        if not self.samples.isfinite().all():
            raise InputError(
                f"The audio holds samples that are no numbers between {self.start:.1f} s and "
                f"{self.end:.1f} s; decode it again to 16-bit PCM."
            )

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def start(self) -> float:
        """Seconds from the beginning of the recording."""
        return self.first / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Seconds from the beginning of the recording to the last sample, padding not counted."""
        return (self.first + len(self)) / SAMPLE_RATE

    @property
    def frames(self) -> int:
        """How many of the encoder's 750 frames stand for this window's own audio."""
        return frame_count(len(self))

    @cached_property
    def levels(self) -> SoundLevels:
        """How loud each of its frames is."""
        samples, starts = self.samples.numpy(), np.arange(self.frames) * FRAME_SAMPLES
        heights = np.abs(samples)
        loudness, peaks = np.zeros(self.frames), np.zeros(self.frames, np.float32)
        if self.frames:
            squares = np.add.reduceat(np.square(samples, dtype=np.float64), starts)
            loudness = np.sqrt(squares / np.diff(starts, append=len(samples)))
            peaks = np.maximum.reduceat(heights, starts)
        return SoundLevels(loudness, peaks, bool(heights.max() >= _AUDIBLE))


def cut(blocks: Iterable[NDArray[np.float32]], *, first: int = 0) -> Generator[Window, None, None]:
    """Cuts a stream of audio into consecutive windows; all but the last are full.

    Args:
        blocks: 1-d float32 arrays of any length, 16 kHz mono. They are copied, so a decoder may
            use one buffer over and over. A generator is closed at the end.
        first: index in the recording of the stream's first sample.

    Raises:
        ValueError: a block is not a 1-d float32 array.
        InputError: a sample is NaN or infinite.
    """
    buffer, filled = np.empty(WINDOW_SAMPLES, np.float32), 0
    with closing_source(blocks):
        for block in blocks:
            if block.ndim != 1 or block.dtype != np.float32:
                raise ValueError(f"audio blocks are (n,) float32, not {block.shape} {block.dtype}")
            offset = 0
            while offset < len(block):
                count = min(len(block) - offset, WINDOW_SAMPLES - filled)
                buffer[filled : filled + count] = block[offset : offset + count]
                offset, filled = offset + count, filled + count
                if filled == WINDOW_SAMPLES:
                    yield Window(torch.from_numpy(buffer), first)
                    # The window has taken the buffer along.
                    buffer, filled = np.empty(WINDOW_SAMPLES, np.float32), 0
                    first += WINDOW_SAMPLES
        if filled:
            yield Window(torch.from_numpy(buffer[:filled]), first)
