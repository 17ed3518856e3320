"""From blocks of audio to fused frames, section by section: a recording of any length.

A section is what the language model reads in one pass. It is fused as soon as its last window is
encoded, and its hidden states are forgotten then; who wants to know what was done to them watches.
Windows, encoding, where sections end and fusing are others' work, and so is reading.
"""

from collections.abc import Callable, Iterable
from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray

from fls_models.audio.windows import SoundLevels, cut
from fls_models.core.budget import Budget, Task
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.progress import Progress, ignore
from fls_models.extractor.density import density_from
from fls_models.extractor.encoder import SpeechEncoder
from fls_models.extractor.encoding import encode_windows
from fls_models.extractor.frames import Frames
from fls_models.extractor.fused_recording import FusedRecording
from fls_models.extractor.fusion import Fused, fuse, paper_schedule
from fls_models.extractor.sections import SectionPlanner, quietest

# From here on a frame is likelier a token than blank.
_TOKEN = 0.5

FusionObserver = Callable[[Frames, NDArray[np.float32], Fused], None]
"""Told of each section when it is fused: its T frames as they were, the loudest sample of each as
(T,), and what became of them. Frames are on the model's device, and forgotten afterwards."""


@torch.no_grad()
def listen_to_frames(
    encoder: SpeechEncoder,
    blocks: Iterable[NDArray[np.float32]],
    budget: Budget,
    *,
    task: Task = "ask",
    max_frames: int,
    start: float = 0.0,
    total: float | None = None,
    batch_size: int = 8,
    compress: bool = True,
    progress: Progress = ignore,
    watch: FusionObserver = ignore,
) -> FusedRecording:
    """Listens to a stream to its end; the stream is closed if it is a generator.

    With a rate, no section becomes more than `max_frames`; there are as few sections as possible,
    equally long where `total` is known and as long as possible where it is not. With a target
    length N, one section becomes N frames if N <= `max_frames`; else the recording is divided into
    equal sections that become N frames together (all hidden states are kept to its end if `total`
    is not known). A section ends at a quiet moment and never becomes more frames than it has.

    Args:
        blocks: 1-d float32 arrays of any length, 16 kHz mono.
        max_frames: fused frames that one pass holds, at least 1.
        start: seconds, the time of the first sample; added to all spans.
        total: seconds that the stream is thought to last.
        batch_size: windows encoded at once.
        compress: False for all frames as they are, in one section of any length.
        progress: its stage `listen` counts seconds of audio.
        watch: told of the sections, in order; it changes nothing.

    Returns:
        Fused frames, on the CPU.

    Raises:
        ValueError: `max_frames` or `batch_size` is below 1, or a block is not a 1-d float32 array.
        InputError: a sample is NaN or infinite.
        Exception: whatever `blocks` and `watch` raise.
    """
    if max_frames < 1:
        raise ValueError(f"one pass holds at least one frame, not {max_frames}")
    fusing = _Fusing(encoder, SectionPlanner(budget, task, max_frames, total), compress, watch)
    frame_count, samples, audible, likeliest = 0, 0, False, 0.0
    progress("listen", 0, total)
    windows = cut(blocks, first=round(start * SAMPLE_RATE))
    with closing(encode_windows(encoder, windows, batch_size)) as encoded:
        for window, frames in encoded:
            frame_count += len(frames)
            samples += len(window)
            audible |= window.levels.audible
            if len(frames):
                likeliest = max(likeliest, float(frames.density.max()))
                fusing.add(frames, window.levels)
            until = samples / SAMPLE_RATE
            progress("listen", until, total if total and total > until else None)
    sections, until = fusing.finish(), samples / SAMPLE_RATE
    progress("listen", until, until)
    speaks = audible and likeliest >= _TOKEN
    return FusedRecording(sections, frame_count, until, budget.label, speaks)


class _Fusing:
    """Holds the frames of the running section, and all sections that are fused."""

    def __init__(
        self, encoder: SpeechEncoder, planner: SectionPlanner, compress: bool, watch: FusionObserver
    ) -> None:
        self._density = density_from(encoder.blank_probability)
        self._planner = planner
        self._compress = compress
        self._watch = watch
        self._frames: list[Frames] = []
        self._loudness: list[NDArray[np.float64]] = []
        self._peaks: list[NDArray[np.float32]] = []
        self._sections: list[Frames] = []

    def add(self, frames: Frames, levels: SoundLevels) -> None:
        """Takes what was encoded, and fuses what is complete."""
        self._frames.append(frames)
        self._loudness.append(levels.loudness)
        self._peaks.append(levels.peaks)
        self._fuse_complete()

    def finish(self) -> tuple[Frames, ...]:
        """Fuses the rest; all sections."""
        self._planner.remaining = self._count()
        self._fuse_complete()
        if self._count():
            self._fuse_until(self._count())
        return tuple(self._sections)

    def _count(self) -> int:
        return sum(map(len, self._frames))

    def _fuse_complete(self) -> None:
        while self._compress and (places := self._planner.end(self._count())):
            density = torch.cat([frames.density for frames in self._frames]).cpu().numpy()
            self._fuse_until(quietest(density, np.concatenate(self._loudness), places))

    def _fuse_until(self, end: int) -> None:
        frames, loudness = Frames.concatenate(self._frames), np.concatenate(self._loudness)
        peaks = np.concatenate(self._peaks)
        section, rest = frames[:end], frames[end:]
        # A copy, because a view would keep what it is a view of.
        self._frames = [Frames(rest.hidden.clone(), rest.density.clone(), rest.spans.clone())]
        self._loudness, self._peaks = [loudness[end:].copy()], [peaks[end:].copy()]
        fused = Fused(section, ())
        if self._compress:
            seconds = float(section.spans[-1, 1] - section.spans[0, 0])
            length = self._planner.close(end, seconds)
            fused = fuse(section, length, self._density, paper_schedule)
        self._watch(section, peaks[:end], fused)
        result = fused.frames
        self._sections.append(Frames(result.hidden.cpu(), result.density.cpu(), result.spans.cpu()))
