"""The frame reader: fused frames, projected to where the language model expects sound."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from fls_models.answering.readers.text import ModelInput, Phrase, Segment
from fls_models.core.budget import Budget
from fls_models.core.results import Span
from fls_models.errors import UsageError
from fls_models.extractor.frames import Frames
from fls_models.extractor.fused_recording import FusedRecording
from fls_models.lslm.prompts import Prompt

if TYPE_CHECKING:
    from fls_models.extractor.encoder import SpeechEncoder

# A summary by stretches of about this many seconds, where more than one is wanted.
_SEGMENT = 120.0
# A CTC head is sure of a word for a frame and says nothing until the next: what is no pause yet.
_PAUSE = 0.6
_SILENT = 0.1
# Positions for the prompt, requests and replies beside the frames.
_WORDS = 700
# NTK-aware scaling keeps models usable to some multiple of their window; beyond this, text falls
# apart, and it is better said than shown.
MAX_ROPE_SCALE = 8.0


class FusedFrames:
    """A recording as a model that hears it: fused for one budget, and anew for another.

    `hear_again` listens once more; without it, the budget is the one that was heard.
    """

    def __init__(
        self, first: FusedRecording, hear_again: Callable[[Budget], FusedRecording] | None = None
    ) -> None:
        self._fused = first
        self._hear_again = hear_again

    @property
    def duration(self) -> float:
        return self._fused.duration

    @property
    def speaks(self) -> bool:
        return self._fused.speaks

    @property
    def heard_for(self) -> Budget:
        return Budget.labelled(self.at_hand().budget)

    def at_hand(self) -> FusedRecording:
        """The recording at the budget that it was heard for last."""
        return self._fused

    def at(self, budget: Budget) -> FusedRecording:
        """The recording at a budget; UsageError where it cannot be heard again."""
        if budget.label != self._fused.budget:
            if self._hear_again is None:
                raise UsageError(
                    f"The recording was heard for the budget {self._fused.budget}; listen to it "
                    f"again for {budget.label}."
                )
            # One at a time: frames are what a long recording takes memory for.
            self._fused = self._hear_again(budget)
        return self._fused


class FrameReader:
    """Reads what was heard, a section of the recording in a pass.

    `window` is the number of positions that the language model was made for.
    """

    name = "frames"

    def __init__(self, encoder: SpeechEncoder, recording: FusedFrames, window: int) -> None:
        self._encoder = encoder
        self._recording = recording
        self._window = window

    def prompt(self, prompt: Prompt) -> Prompt:
        return prompt.heard()

    def readings(self, budget: Budget, question: str | None) -> list[ModelInput]:
        """All sections, whatever the question: what is said is known to the model alone."""
        return [self._read(section) for section in self._recording.at(budget).sections]

    def segments(self, *, shortest: float, max_segments: int, whole: bool) -> list[Segment]:
        """Equal parts of some two minutes within each section; with `whole`, the sections.

        A section is a stretch at least, even if it is shorter or there are more of them.
        """
        fused = self._recording.at_hand()
        # One for each section, and the others where most was said.
        spare = max(0, max_segments - len(fused.sections))
        return [
            self._segment(part, fused.budget)
            for section in fused.sections
            for part in (
                [section]
                if whole
                else _parts(section, shortest, 1 + spare * len(section) // fused.frames_after)
            )
        ]

    def _segment(self, frames: Frames, budget: str) -> Segment:
        """A reader of some frames, which were fused for one budget."""
        span = _span(frames)
        fused = FusedRecording((frames,), len(frames), span.end - span.start, budget, True)
        return Segment(span, FrameReader(self._encoder, FusedFrames(fused), self._window))

    def _read(self, frames: Frames) -> ModelInput:
        needed = len(frames) + _WORDS
        rope_scale = needed / self._window
        if rope_scale > MAX_ROPE_SCALE:
            raise UsageError(
                f"{len(frames)} frames are more than the model's window of {self._window} positions"
                f" holds even when stretched {MAX_ROPE_SCALE:g} times; leave out --no-compress."
            )
        with torch.inference_mode():
            embeddings = self._encoder.project(frames.hidden)
        return ModelInput(
            embeddings, frames.spans.cpu(), phrases_of(frames), rope_scale=max(1.0, rope_scale)
        )


def phrases_of(frames: Frames) -> tuple[Phrase, ...]:
    """What is said between pauses: frames that say nothing, of 0.6 s together.

    A pause belongs to the phrase before it; in time, it is shared by both.
    """
    spans = frames.spans.tolist()
    silent = (frames.density < _SILENT).tolist()
    edges = [(0, spans[0][0])] if spans else []
    first = None
    for row, quiet in enumerate(silent):
        if quiet and first is None:
            first = row
        elif not quiet and first is not None:
            begun, ended = spans[first][0], spans[row - 1][1]
            if first and ended - begun >= _PAUSE:
                edges.append((row, (begun + ended) / 2))
            first = None
    edges.append((len(spans), spans[-1][1] if spans else 0.0))
    return tuple(
        Phrase(range(row, next_row), Span(start, end))
        for (row, start), (next_row, end) in pairwise(edges)
    )


def _parts(frames: Frames, shortest: float, max_parts: int) -> list[Frames]:
    """Equal in frames, so that each says about as much as the others."""
    span = _span(frames)
    seconds = span.end - span.start
    max_count = min(max_parts, round(seconds / _SEGMENT), int(seconds / shortest), len(frames))
    # Where much is said, as many frames are fewer seconds.
    for count in range(max_count, 1, -1):
        edges = [len(frames) * i // count for i in range(count + 1)]
        parts = [frames[first:last] for first, last in pairwise(edges)]
        spans = map(_span, parts)
        if all(span.end - span.start >= shortest for span in spans):
            return parts
    return [frames]


def _span(frames: Frames) -> Span:
    return Span(float(frames.spans[0, 0]), float(frames.spans[-1, 1]))
