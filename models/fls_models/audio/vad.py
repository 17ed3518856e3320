"""Cutting a stream of audio into pieces of at most 30 s, at pauses, without what is not speech.

A speech recogniser reads 30 s at a time; cutting where nobody speaks keeps its words whole. Holds
one piece and one block of the stream, never the recording.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fls_models.core.constants import SAMPLE_RATE, WINDOW_SAMPLES

# Where a pause is looked for in a full window: late first, so that few windows are needed.
_LATE = (SAMPLE_RATE * 21, SAMPLE_RATE * 10)
_MARGIN = SAMPLE_RATE // 5
_MIN_SILENCE_MS = 200
# Music and ringing make the detector deaf to a voice for seconds. Where it hears none for so long,
# it listens afresh, window by window; what it hears only then counts from 0.4 s on.
_BREAK = SAMPLE_RATE * 2
_WINDOW, _HOP = SAMPLE_RATE * 2, SAMPLE_RATE // 2
_MIN_SPEECH = SAMPLE_RATE * 2 // 5
_SILENCE_LEVEL = 1e-4
# Silence that parts what is listened to once more, as the recogniser would get it; so much speech
# is not taken for some by mistake.
_SILENCE = SAMPLE_RATE * 2
_SURE = SAMPLE_RATE * 10


@dataclass(frozen=True, eq=False)
class Piece:
    """Speech between two pauses.

    Attributes:
        samples: (n,) float32, 16 kHz mono, n <= 480 000.
        start: seconds from the beginning of the stream.
        speech: where in the samples someone speaks, in order; first and end. All of it if empty.
    """

    samples: NDArray[np.float32]
    start: float
    speech: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if not self.speech:
            object.__setattr__(self, "speech", ((0, len(self.samples)),))


@dataclass(frozen=True)
class SpeechChunk:
    """How far the stream was listened to: a piece, or None where nobody spoke, and its end."""

    piece: Piece | None
    until: float


def cut_at_pauses(blocks: Iterable[NDArray[np.float32]]) -> Iterator[SpeechChunk]:
    """Pieces of a stream of float32 blocks of any size, in order; stretches without speech too."""
    buffer: NDArray[np.float32] = np.zeros(0, np.float32)
    first = 0
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while len(buffer) >= WINDOW_SAMPLES:
            speech = _listen(buffer[:WINDOW_SAMPLES])
            cut = _pause(speech, buffer[:WINDOW_SAMPLES])
            yield _chunk(buffer, speech, cut, first)
            buffer, first = buffer[cut:], first + cut
    if len(buffer):
        yield _chunk(buffer, _listen(buffer), len(buffer), first)


def _chunk(
    buffer: NDArray[np.float32], speech: list[tuple[int, int]], cut: int, first: int
) -> SpeechChunk:
    until = (first + cut) / SAMPLE_RATE
    speech = [(start, min(cut, end)) for start, end in speech if start < cut]
    speech = [
        segment
        for group in grouped(speech, _SILENCE)
        if sum(end - start for start, end in group) >= _SURE
        or _speech(buffer[max(0, group[0][0] - _MARGIN) : min(cut, group[-1][1] + _MARGIN)])
        for segment in group
    ]
    if not speech:
        return SpeechChunk(None, until)
    start = max(0, speech[0][0] - _MARGIN)
    end = min(cut, speech[-1][1] + _MARGIN)
    segments = tuple((begin - start, stop - start) for begin, stop in speech)
    return SpeechChunk(Piece(buffer[start:end], (first + start) / SAMPLE_RATE, segments), until)


def _listen(samples: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Where someone speaks, also after what made the detector deaf."""
    speech = _speech(samples)
    edges = [(0, 0), *speech, (len(samples), len(samples))]
    for (_, begin), (end, _) in pairwise(edges):
        if end - begin >= _BREAK and np.abs(samples[begin:end]).max() > _SILENCE_LEVEL:
            speech = speech + [
                (first + a, first + b)
                for first in range(begin, end, _HOP)
                for a, b in _speech(samples[first : first + _WINDOW])
                if b - a >= _MIN_SPEECH
            ]
    return [(group[0][0], max(b for _, b in group)) for group in grouped(sorted(speech), 1)]


def grouped(speech: Sequence[tuple[int, int]], pause: int) -> list[list[tuple[int, int]]]:
    """Stretches of speech that are parted by at least so many samples of something else."""
    groups: list[list[tuple[int, int]]] = []
    for start, end in speech:
        if groups and start - max(last for _, last in groups[-1]) < pause:
            groups[-1].append((start, end))
        else:
            groups.append([(start, end)])
    return groups


def _speech(samples: NDArray[np.float32]) -> list[tuple[int, int]]:
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(min_silence_duration_ms=_MIN_SILENCE_MS, speech_pad_ms=0)
    return [(s["start"], s["end"]) for s in get_speech_timestamps(samples, options)]


def _pause(speech: list[tuple[int, int]], samples: NDArray[np.float32]) -> int:
    """Where to cut a full window: the longest late pause, else its quietest late moment."""
    if not speech:
        # Not in the first moment of a word.
        return len(samples) - SAMPLE_RATE
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
