"""From windows to the frames that an encoder makes of them, one batch ahead."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, TypeAlias

import torch
from torch import Tensor

from fls_models.audio.prefetch import ahead, closing_source
from fls_models.audio.windows import Window
from fls_models.core.constants import FRAME_SAMPLES, SAMPLE_RATE, WINDOW_FRAMES
from fls_models.extractor.density import content_density
from fls_models.extractor.encoder import SpeechEncoder
from fls_models.extractor.frames import Frames

_Ready: TypeAlias = tuple[Window, Any]
"""A window and its features."""


def encode_windows(
    encoder: SpeechEncoder, windows: Iterable[Window], batch_size: int = 8
) -> Generator[tuple[Window, Frames], None, None]:
    """Encodes windows in batches and yields each with its Frames, in order, without padding.

    A thread draws the windows and makes their features, one batch ahead: at most twice
    `batch_size` windows are drawn before the first Frames appear. An error of the windows comes
    out after the Frames of those before it. Closing the generator ends the thread and closes the
    windows, if they are a generator. No gradients are recorded.

    Yields:
        The window, and hidden (n, D) with n = `window.frames` (0 for 20 ms or less), density (n,),
        and spans that divide the window's own audio among them without gap or overlap.

    Raises:
        ValueError: `batch_size` is below 1, or the encoder gave another shape than it promises.
    """
    if batch_size < 1:
        raise ValueError(f"a batch holds at least one window, not {batch_size}")
    # A whole batch ahead: with less, the encoder would wait for the rest of it each time.
    with closing(ahead(_ready(encoder, windows), batch_size)) as ready:
        for batch in _batches(ready, batch_size):
            yield from _encode_batch(encoder, batch)


def _ready(encoder: SpeechEncoder, windows: Iterable[Window]) -> Generator[_Ready, None, None]:
    with closing_source(windows):
        for window in windows:
            # Here and not around the encoder alone: each thread has its own gradient mode.
            with torch.no_grad():
                features = encoder.features(window.samples)
            yield window, features


def _batches(ready: Iterable[_Ready], size: int) -> Iterator[list[_Ready]]:
    batch: list[_Ready] = []
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
def _encode_batch(encoder: SpeechEncoder, batch: Sequence[_Ready]) -> list[tuple[Window, Frames]]:
    hidden = encoder.encode([features for _, features in batch])
    expected = (len(batch), WINDOW_FRAMES, encoder.hidden_width)
    if hidden.shape != expected:
        raise ValueError(f"the encoder gave {tuple(hidden.shape)} instead of {expected}")
    encoded = []
    for (window, _), padded in zip(batch, hidden, strict=True):
        # Pooling over time leaves encoders with transposed memory; what follows reads rows.
        real = padded[: window.frames].contiguous()
        density = content_density(encoder.blank_probability(real))
        encoded.append((window, Frames(real, density, _spans(window).to(real.device))))
    return encoded


def _spans(window: Window) -> Tensor:
    """(n, 2) float64 seconds. The last frame ends where the audio does: rounding the number of
    frames can leave up to 20 ms too much or too little, and no audio goes unaccounted for."""
    edges = window.first + FRAME_SAMPLES * torch.arange(window.frames + 1, dtype=torch.float64)
    edges[-1] = window.first + len(window)
    return torch.stack([edges[:-1], edges[1:]], dim=-1) / SAMPLE_RATE
