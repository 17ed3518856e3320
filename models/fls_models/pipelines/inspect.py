"""Looking on while a model hears: what its extractor made of a recording, kept as numbers.

It hears as the model always does; hidden states are gone with their section. What is shown of the
numbers, and how, is others' work.

Shapes: T frames of a section, V tokens of the CTC head.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from fls_models.core.progress import Progress, silent
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import Fused
from fls_models.extractor.inspection.inspection import InspectedSection, Inspection
from fls_models.lslm.base import SpeechEncoder
from fls_models.transcription.ctc_words import PieceRead, most_likely, pieces_read, words_read

if TYPE_CHECKING:
    from fls_models.core.budget import Budget
    from fls_models.pipelines.large import FrameReadingModel

# Frames that are read at once: each has a probability for every token of the head.
_ROWS = 512


class Watching:
    """A `frame_listening.Watch` that keeps what can be looked at.

    Args:
        encoder: whose CTC head reads the frames.
        tokens: V, to keep what is read in the frames; None not to.
    """

    def __init__(self, encoder: SpeechEncoder, tokens: int | None = None) -> None:
        self._encoder = encoder
        self._tokens = tokens
        self._frames = 0
        self.sections: list[InspectedSection] = []
        self.pieces: list[PieceRead] = []
        """What was read, frames counted from the first of the recording."""

    def __call__(self, frames: Frames, peaks: NDArray[np.float32], fused: Fused) -> None:
        if self._tokens is not None:
            self.pieces += self._read(frames, self._tokens)
        self._frames += len(frames)
        self.sections.append(
            InspectedSection(
                # Copies, because views would keep what they are views of.
                times=frames.spans.cpu().numpy().copy(),
                peaks=peaks.clip(0, 1),
                density=frames.density.cpu().numpy().copy(),
                rounds=first_frames(fused),
            )
        )

    @property
    def times(self) -> NDArray[np.float64]:
        """Start and end of all frames, (T, 2)."""
        return np.concatenate([np.empty((0, 2)), *(one.times for one in self.sections)])

    def _read(self, frames: Frames, tokens: int) -> list[PieceRead]:
        best: list[int] = []
        likely: list[float] = []
        for rows in torch.split(frames.hidden, _ROWS):
            read = self._encoder.token_log_probabilities(rows, torch.arange(tokens))
            if read is None:
                return []
            classes, shares = most_likely(read)
            best += classes
            likely += shares
        return [
            piece._replace(first=piece.first + self._frames, last=piece.last + self._frames)
            for piece in pieces_read(best, likely, tokens)
        ]


def first_frames(fused: Fused) -> tuple[NDArray[np.int64], ...]:
    """For each round the first frame, of those before any round, of every span that it left."""
    found: list[NDArray[np.int64]] = []
    for done in fused.rounds:
        starts = done.starts.cpu().numpy()
        found.append(found[-1][starts] if found else starts.copy())
    return tuple(found)


def inspect(
    model: FrameReadingModel,
    blocks: Iterable[NDArray[np.float32]],
    budget: Budget,
    *,
    start: float = 0.0,
    total: float | None = None,
    progress: Progress = silent,
) -> Inspection:
    """Hears blocks of 16 kHz mono float32 to their end, as for a question at that budget.

    Args:
        start: seconds, the time of the first sample; added to all times.
        total: seconds that the stream is thought to last.
        progress: its stage `listen` counts seconds of audio.

    Raises:
        UsageError, EnvironmentLacks: the vocabulary of the model's head is none, before it listens.
        InputError: a sample is NaN or infinite.
        Exception: whatever `blocks` raise.
    """
    encoder, text = model.language_model, model.ctc_text
    watching = Watching(encoder, None if text is None else encoder.ctc_tokens)
    heard = model.hear(blocks, budget, start=start, total=total, progress=progress, watch=watching)
    times = torch.from_numpy(watching.times)
    words = () if text is None else words_read(watching.pieces, text, times)
    return Inspection(
        start=start,
        end=start + heard.duration,
        sections=tuple(watching.sections),
        words=words,
        has_head=encoder.ctc_tokens is not None,
        model=model.card.name,
        budget=heard.budget,
    )
