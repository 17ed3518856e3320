"""Answers and inspections for pages, made up: what is in them is known, and no model is needed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fls_models.core.results import Answer, Passage, Span, Usage, Word
from fls_models.extractor.inspection.inspection import InspectedSection, Inspection

FRAME = 0.04


def passage(start: float, end: float, share: float = 0.5, text: str = "") -> Passage:
    return Passage(Span(start, end), share, text)


def answer(
    *evidence: Passage,
    question: str = "What is it?",
    said: str = "A talk.",
    answered: bool = True,
    reader: str = "frames",
    seconds: float = 52.0,
) -> Answer:
    usage = Usage(
        audio_seconds=seconds,
        frames_before=round(seconds / FRAME),
        frames_after=round(seconds / FRAME / 4),
        sections=1,
        seconds={"load": 2.25, "answer": 1.5},
        prompt_tokens=284,
        answer_tokens=13,
        model="mini",
        budget="balanced",
        reader=reader,
    )
    return Answer("talk.mp4", question, answered, said, (), usage, None, evidence)


def section(
    start: float, peaks: NDArray[np.float32], density: NDArray[np.float32], rounds: int
) -> InspectedSection:
    """Frames from `start` on; each round fuses two and two."""
    frames = len(peaks)
    times = start + np.arange(frames)[:, None] * FRAME + np.array([0.0, FRAME])
    fused = tuple(np.arange(0, frames, 2**number) for number in range(1, rounds + 1))
    return InspectedSection(times, peaks, density, fused)


def inspection(
    seconds: float = 52.0,
    *,
    start: float = 0.0,
    sections: int = 1,
    rounds: int = 2,
    words: tuple[Word, ...] = (),
    has_head: bool = True,
) -> Inspection:
    """Noise and densities by chance, always the same."""
    random = np.random.default_rng(7)
    ends = [round(seconds / FRAME * number / sections) for number in range(sections + 1)]
    parts = tuple(
        section(
            start + first * FRAME,
            random.uniform(0, 1, last - first).astype(np.float32),
            random.uniform(0, 1, last - first).astype(np.float32),
            rounds,
        )
        for first, last in pairwise(ends)
    )
    return Inspection(start, start + seconds, parts, words, has_head, "mini", "balanced")


def word(start: float, text: str) -> Word:
    return Word(start, start + 0.3, text, 0.5)
