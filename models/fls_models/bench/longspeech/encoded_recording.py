"""A recording that was encoded once, for every method and length to be fused from.

The encoder is the floor that all methods share. What is here is its output for a whole recording,
and how that is divided into the passes of a language model.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.audio.windows import cut
from fls_models.bench.longspeech.baselines import equal_weights
from fls_models.bench.longspeech.methods import Length, Method
from fls_models.core.budget import Budget
from fls_models.core.constants import SAMPLE_RATE, WINDOW_FRAMES
from fls_models.errors import InputError
from fls_models.extractor.density import Density
from fls_models.extractor.encoder import SpeechEncoder
from fls_models.extractor.encoding import encode_windows
from fls_models.extractor.frames import Frames
from fls_models.extractor.sections import SectionPlanner, quietest


@dataclass(frozen=True, eq=False)
class WindowFrames:
    """All frames of a recording, on the model's device.

    Attributes:
        frames: T frames, before the encoder's final norm.
        windows: how many windows of 30 s went through the encoder.
        duration: seconds of audio.
        seconds: spent on encoding, decoding of the media file included.
        peak: bytes of memory at most meanwhile.
    """

    frames: Frames
    windows: int
    duration: float
    seconds: float
    peak: int


def encode_recording(
    encoder: SpeechEncoder,
    blocks: Iterable[NDArray[np.float32]],
    seconds: Callable[[], float],
    peak: Callable[[], int],
) -> WindowFrames:
    """Encodes blocks of 16 kHz mono float32 to their end.

    Args:
        seconds: a clock that waits for the device.
        peak: bytes of memory at most, since the caller began to count.

    Raises:
        InputError: there is less audio than a frame.
    """
    begun = seconds()
    parts, samples = [], 0
    for window, frames in encode_windows(encoder, cut(blocks)):
        parts.append(frames)
        samples += len(window)
    if not sum(map(len, parts)):
        raise InputError("There is no audio in the recording to be measured.")
    joined = Frames.concatenate(parts)
    return WindowFrames(joined, len(parts), samples / SAMPLE_RATE, seconds() - begun, peak())


@dataclass(frozen=True, eq=False)
class FusedPass:
    """What a language model reads in one pass: hidden states (L, D), of T frames."""

    hidden: Tensor
    before: int


@torch.no_grad()
def passes_to_ask(
    recording: WindowFrames, method: Method, length: Length, density: Density, max_frames: int
) -> list[FusedPass]:
    """The recording as a method shortens it, together exactly L frames (T, if that is less).

    What is more than `max_frames` is divided into as few passes as hold it, about equally long and
    cut at moments where little is said, the same ones for every method.
    """
    frames = recording.frames
    if method.compress is None:
        return [FusedPass(frames.hidden, len(frames))]
    target = min(length.frames(recording.duration, "ask"), len(frames))
    division = SectionPlanner(Budget(target_length=target), "ask", max_frames, None)
    division.remaining = len(frames)
    passes = []
    while len(frames):
        end = _end(frames, division)
        part = frames[:end]
        fused_length = division.close(end, float(part.spans[-1, 1] - part.spans[0, 0]))
        passes.append(_fused(part, method, fused_length, density))
        frames = frames[end:]
    return passes


@torch.no_grad()
def passes_to_write(
    recording: WindowFrames, method: Method, length: Length, density: Density
) -> list[FusedPass]:
    """Window by window, as transcripts are written: L frames of each full one."""
    frames = recording.frames
    passes = []
    for first in range(0, len(frames), WINDOW_FRAMES):
        part = frames[first : first + WINDOW_FRAMES]
        seconds = float(part.spans[-1, 1] - part.spans[0, 0])
        fused_length = min(length.frames(seconds, "transcribe"), len(part))
        passes.append(_fused(part, method, fused_length, density))
    return passes


def _fused(frames: Frames, method: Method, length: int, density: Density) -> FusedPass:
    if method.compress is None:
        return FusedPass(frames.hidden, len(frames))
    # A method that does not weigh must not pay for a head whose word nobody heeds.
    weights = density if method.weighs else equal_weights
    return FusedPass(method.compress(frames, length, weights).hidden, len(frames))


def _end(frames: Frames, division: SectionPlanner) -> int:
    """Where the next pass ends: all of what is left, or a moment where little is said."""
    places = division.end(len(frames))
    if not places:
        return len(frames)
    return quietest(frames.density.cpu().numpy(), np.zeros(len(frames)), places)
