"""Cutting a stream of audio into pieces of at most 30 s, at pauses, without what is not speech.

A speech recogniser reads 30 s at a time; cutting where nobody speaks keeps its words whole. Holds
one piece and one block of the stream, never the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fls_models.sampling import SAMPLE_RATE, WINDOW_SAMPLES

# Where a pause is looked for in a full window: late first, so that few windows are needed.
_LATE = (SAMPLE_RATE * 21, SAMPLE_RATE * 10)
_MARGIN = SAMPLE_RATE // 5
_MIN_SILENCE_MS = 200


@dataclass(frozen=True, eq=False)
class Piece:
    """Speech between two pauses.

    Attributes:
        samples: (n,) float32, 16 kHz mono, n <= 480 000.
        start: seconds from the beginning of the stream.
    """

    samples: NDArray[np.float32]
    start: float


@dataclass(frozen=True)
class Heard:
    """How far the stream was listened to: a piece, or None where nobody spoke, and its end."""

    piece: Piece | None
    until: float


def cut_at_pauses(blocks: Iterable[NDArray[np.float32]]) -> Iterator[Heard]:
    """Pieces of a stream of float32 blocks of any size, in order; stretches without speech too."""
    held: NDArray[np.float32] = np.zeros(0, np.float32)
    first = 0
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= WINDOW_SAMPLES:
            speech = _speech(held[:WINDOW_SAMPLES])
            cut = _pause(speech, held[:WINDOW_SAMPLES])
            yield _heard(held, speech, cut, first)
            held, first = held[cut:], first + cut
    if len(held):
        yield _heard(held, _speech(held), len(held), first)


def _heard(held: NDArray[np.float32], speech: list[tuple[int, int]], cut: int, first: int) -> Heard:
    until = (first + cut) / SAMPLE_RATE
    speech = [(start, end) for start, end in speech if start < cut]
    if not speech:
        return Heard(None, until)
    start = max(0, speech[0][0] - _MARGIN)
    end = min(cut, speech[-1][1] + _MARGIN)
    return Heard(Piece(held[start:end], (first + start) / SAMPLE_RATE), until)


def _speech(samples: NDArray[np.float32]) -> list[tuple[int, int]]:
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(min_silence_duration_ms=_MIN_SILENCE_MS, speech_pad_ms=0)
    return [(s["start"], s["end"]) for s in get_speech_timestamps(samples, options)]


def _pause(speech: list[tuple[int, int]], samples: NDArray[np.float32]) -> int:
    """Where to cut a full window: the longest late pause, else its quietest late moment."""
    if not speech:
        return len(samples)
    edges = [*speech, (len(samples), len(samples))]
    pauses = [
        (next_start - end, (end + next_start) // 2)
        for (_, end), (next_start, _) in pairwise(edges)
        if next_start > end
    ]
    for late in _LATE:
        if eligible := [pause for pause in pauses if pause[1] >= late]:
            return max(eligible)[1]
    frame = SAMPLE_RATE // 50
    tail = samples[-250 * frame :]
    energy = np.square(tail.reshape(-1, frame)).sum(axis=1)
    smooth = np.convolve(energy, np.ones(5), mode="same")
    return len(samples) - len(tail) + int(smooth.argmin()) * frame + frame // 2
