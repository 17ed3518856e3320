"""Speakers of a stream: blocks of samples in, a diarization out.

Holds some ten seconds of the stream, and of the rest, for each hour: 9000 embeddings and what the
segmentation said, 7 MB.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fls_models.core.constants import SAMPLE_RATE
from fls_models.speakers.diarization import Diarization
from fls_models.speakers.segmentation import FRAME, HOP, WINDOW, Activity, Regions, Segmentation
from fls_models.speakers.turn import SpeakerTurn
from fls_models.speakers.voices import SAMPLES, WIDTH, VoiceEncoder

# Windows that are segmented at once.
_BATCH = 4
# Samples from one embedding to the next.
_STEP = SAMPLE_RATE * 2 // 5
_SPEECH = 0.4
# Frames.
_SHORTEST, _LONGEST_PAUSE, _LONGEST = 12, 25, 600
# How far into its sound a frame begins to be about it.
_SHIFT = (991 - FRAME) // 4


class Diarizer:
    """Takes a stream, and hears its voices."""

    def __init__(self) -> None:
        self._segmentation, self._encoder = Segmentation(), VoiceEncoder()
        self._activity = Activity()
        self._regions = Regions(
            threshold=_SPEECH, shortest=_SHORTEST, longest_pause=_LONGEST_PAUSE, longest=_LONGEST
        )
        # Samples that are still needed, where the first of them lies, and the next window's start.
        self._samples: NDArray[np.float32] = np.zeros(0, np.float32)
        self._first = self._next = 0
        self._spans: list[tuple[int, int, int]] = []
        self._embeddings: list[NDArray[np.float16]] = []

    def add(self, block: NDArray[np.float32]) -> None:
        """The next samples, (n,) float32 at 16 kHz."""
        self._samples = np.concatenate([self._samples, block])
        while self._end - self._next >= WINDOW + (_BATCH - 1) * HOP:
            self._segment(_BATCH)

    def finish(self) -> Diarization:
        """The stream is over; what was heard of it."""
        if self._end:
            self._segment_rest(self._end)
        spans = np.array(self._spans, np.int64).reshape(-1, 3)
        embeddings = np.concatenate([np.zeros((0, WIDTH), np.float16), *self._embeddings])
        return Diarization(self._activity, spans, embeddings)

    def _segment_rest(self, length: int) -> None:
        # Windows until one holds the end; behind it is silence.
        count = 1 + max(0, -(-(length - self._next - WINDOW) // HOP))
        padding = self._next + (count - 1) * HOP + WINDOW - length
        self._samples = np.pad(self._samples, (0, max(0, padding)))
        self._segment(count)
        self._embed(self._regions.feed(self._activity.finish()))
        self._embed(self._regions.close())
        self._samples = self._samples[:0]

    @property
    def _end(self) -> int:
        return self._first + len(self._samples)

    def _segment(self, count: int) -> None:
        starts = [self._next + place * HOP for place in range(count)]
        windows = [self._samples[start - self._first :][:WINDOW] for start in starts]
        for first in range(0, count, _BATCH):
            batch = self._segmentation(np.stack(windows[first : first + _BATCH]))
            for start, probabilities in zip(starts[first:], batch, strict=False):
                self._embed(self._regions.feed(self._activity.add(start, probabilities)))
        self._next = starts[-1] + HOP
        unneeded = min(self._regions.begin * FRAME, self._next) - self._first
        if unneeded > 0:
            self._samples, self._first = self._samples[unneeded:], self._first + unneeded

    def _embed(self, regions: Iterable[tuple[int, int, int]]) -> None:
        for number, first, end in regions:
            begin, until = first * FRAME + _SHIFT, min(self._end, end * FRAME + _SHIFT)
            spans = list(_spans(begin, until))
            sounds = [self._sound(*span) for span in spans]
            if sounds:
                self._embeddings.append(self._encoder(np.stack(sounds)).astype(np.float16))
                self._spans += [(number, *span) for span in spans]

    def _sound(self, begin: int, end: int) -> NDArray[np.float32]:
        sound = self._samples[begin - self._first : end - self._first]
        # What is too short is heard again and again.
        return sound if len(sound) == SAMPLES else np.resize(sound, SAMPLES)


def _spans(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Of an embedding each, the last one at the region's end."""
    if end <= begin:
        return
    if end - begin <= SAMPLES:
        yield begin, end
        return
    last = end - SAMPLES
    yield from ((at, at + SAMPLES) for at in range(begin, last, _STEP))
    yield last, end


def diarize(
    blocks: Iterable[NDArray[np.float32]], fewest: int = 1, most: int | None = None
) -> Sequence[SpeakerTurn]:
    """The turns of a whole stream."""
    diarizer = Diarizer()
    for block in blocks:
        diarizer.add(block)
    return diarizer.finish().turns(fewest, most)
