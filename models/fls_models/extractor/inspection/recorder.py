"""Looking on while frames are fused: what is done to them, as numbers."""

import numpy as np
import torch
from numpy.typing import NDArray

from fls_models.extractor.ctc_decoding import PieceRead, most_likely, pieces_read
from fls_models.extractor.encoder import SpeechEncoder
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import Fused
from fls_models.extractor.inspection.inspection import InspectedSection

# Frames that are read at once: each has a probability for every token of the head.
_ROWS = 512


class FusionRecorder:
    """An `extract.FusionObserver` that keeps what can be looked at.

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
        return np.concatenate([np.empty((0, 2)), *(section.times for section in self.sections)])

    def _read(self, frames: Frames, tokens: int) -> list[PieceRead]:
        best: list[int] = []
        likely: list[float] = []
        for rows in torch.split(frames.hidden, _ROWS):
            log_probabilities = self._encoder.token_log_probabilities(rows, torch.arange(tokens))
            if log_probabilities is None:
                return []
            classes, shares = most_likely(log_probabilities)
            best += classes
            likely += shares
        return [
            piece._replace(first=piece.first + self._frames, last=piece.last + self._frames)
            for piece in pieces_read(best, likely, tokens)
        ]


def first_frames(fused: Fused) -> tuple[NDArray[np.int64], ...]:
    """For each round the first frame, of those before any round, of every span that it left."""
    firsts: list[NDArray[np.int64]] = []
    for round_ in fused.rounds:
        starts = round_.starts.cpu().numpy()
        firsts.append(firsts[-1][starts] if firsts else starts.copy())
    return tuple(firsts)
