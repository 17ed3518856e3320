"""Cutting a stream of audio into 30 s windows, and encoding them in batches.

Holds two batches of windows (one that is encoded, one that is made ready meanwhile) and one block
of the stream, never the recording. It knows neither where the blocks come from nor what the
encoder is made of.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.audio.prefetch import ahead, closing_source
from fls_models.core.constants import (
    FRAME_SAMPLES,
    HOP_SAMPLES,
    SAMPLE_RATE,
    WINDOW_FRAMES,
    WINDOW_SAMPLES,
)
from fls_models.errors import InputError
from fls_models.extractor.density import content_density
from fls_models.extractor.frames import Frames
from fls_models.lslm.base import SpeechEncoder


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


def frame_count(samples: int) -> int:
    """Frames that n <= 480 000 samples are worth: n / 640, and one more for a rest above 320.

    The rounding is Qwen2-Audio's: its feature extractor counts a mel frame for every begun hop,
    its `_get_feat_extract_output_lengths` rounds up at the convolution and down at the pooling.
    20 ms or less are worth nothing.
    """
    mel_frames = -(-samples // HOP_SAMPLES)
    return (mel_frames + 1) // 2 // 2


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
            taken = 0
            while taken < len(block):
                count = min(len(block) - taken, WINDOW_SAMPLES - filled)
                buffer[filled : filled + count] = block[taken : taken + count]
                taken, filled = taken + count, filled + count
                if filled == WINDOW_SAMPLES:
                    yield Window(torch.from_numpy(buffer), first)
                    # The window has taken the buffer along.
                    buffer, filled = np.empty(WINDOW_SAMPLES, np.float32), 0
                    first += WINDOW_SAMPLES
        if filled:
            yield Window(torch.from_numpy(buffer[:filled]), first)


def encode_windows(
    encoder: SpeechEncoder, windows: Iterable[Window], batch_size: int = 8
) -> Generator[Frames, None, None]:
    """Encodes windows in batches and yields each window's Frames, in order, without its padding.

    A thread draws the windows and makes their features, one batch ahead: at most twice
    `batch_size` windows are drawn before the first Frames appear. An error of the windows comes
    out after the Frames of those before it. Closing the generator ends the thread and closes the
    windows, if they are a generator. No gradients are recorded.

    Yields:
        hidden (n, D) with n = `window.frames` (0 for a window of 20 ms or less), density (n,), and
        spans that divide the window's own audio among them without gap or overlap.

    Raises:
        ValueError: `batch_size` is below 1, or the encoder gave another shape than it promises.
    """
    if batch_size < 1:
        raise ValueError(f"a batch holds at least one window, not {batch_size}")
    # A whole batch ahead: with less, the encoder would wait for the rest of it each time.
    with closing(ahead(_ready(encoder, windows), batch_size)) as ready:
        for batch in _batches(ready, batch_size):
            yield from _encode_batch(encoder, batch)


def _ready(
    encoder: SpeechEncoder, windows: Iterable[Window]
) -> Generator[tuple[Window, Any], None, None]:
    with closing_source(windows):
        for window in windows:
            # Here and not around the encoder alone: each thread has its own gradient mode.
            with torch.no_grad():
                features = encoder.features(window.samples)
            yield window, features


def _batches(ready: Iterable[tuple[Window, Any]], size: int) -> Iterator[list[tuple[Window, Any]]]:
    batch: list[tuple[Window, Any]] = []
    try:
        for item in ready:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    except Exception:
        # What came before the error is still encoded.
        if batch:
            yield batch
        raise
    if batch:
        yield batch


@torch.no_grad()
def _encode_batch(encoder: SpeechEncoder, batch: Sequence[tuple[Window, Any]]) -> list[Frames]:
    hidden = encoder.encode([features for _, features in batch])
    expected = (len(batch), WINDOW_FRAMES, encoder.hidden_width)
    if hidden.shape != expected:
        raise ValueError(f"the encoder gave {tuple(hidden.shape)} instead of {expected}")
    encoded = []
    for (window, _), padded in zip(batch, hidden, strict=True):
        # Pooling over time leaves encoders with transposed memory; what follows reads rows.
        real = padded[: window.frames].contiguous()
        density = content_density(encoder.blank_probability(real))
        encoded.append(Frames(real, density, _spans(window).to(real.device)))
    return encoded


def _spans(window: Window) -> Tensor:
    """(n, 2) float64 seconds. The last frame ends where the audio does: rounding the number of
    frames can leave up to 20 ms too much or too little, and no audio goes unaccounted for."""
    edges = window.first + FRAME_SAMPLES * torch.arange(window.frames + 1, dtype=torch.float64)
    edges[-1] = window.first + len(window)
    return torch.stack([edges[:-1], edges[1:]], dim=-1) / SAMPLE_RATE
