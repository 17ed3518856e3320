"""Who speaks when within ten seconds: windows of a stream through pyannote's segmentation.

Up to three speakers of a window are told apart, two at once. Which of them is who elsewhere is not
said (`clustering`), and similar voices may share a place (`decoding`).
"""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fls_models.core.constants import SAMPLE_RATE

# In samples: of a window, from one to the next, and of a frame of the network.
WINDOW = 10 * SAMPLE_RATE
HOP = WINDOW // 4
FRAME = 270
FRAMES = 589
FRAME_SECONDS = FRAME / SAMPLE_RATE
# Seconds from a window's begin to the middle of its first frame, which sees 991 samples.
FRAME_MIDDLE = 991 / 2 / SAMPLE_RATE
# Which of a window's speakers each class of the network stands for.
CLASSES = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
SPEAKERS = np.array([[place in members for place in range(3)] for members in CLASSES])

# How much a window's frames count: those in its middle were heard with what comes before and after.
_WEIGHTS = (np.hanning(FRAMES + 2)[1:-1] + 0.05).astype(np.float32)


def weights_folder() -> Path:
    """Where the weights lie; they come with the program."""
    return Path(str(files("fls_models"))) / "speakers" / "weights"


class Segmentation:
    """The network, on the CPU."""

    def __init__(self) -> None:
        import onnxruntime  # type: ignore[import-untyped]

        file = weights_folder() / "segmentation-3.0.onnx"
        self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def __call__(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, WINDOW) samples -> (B, FRAMES, 7) probabilities of CLASSES."""
        [scores] = self._session.run(None, {"input": windows[:, None]})
        probabilities: NDArray[np.float32] = np.exp(scores)
        return probabilities


class Activity:
    """Speech, overlap and changes of speakers by frame: the mean of all windows that hold it.

    Frames are FRAME samples long and counted from the stream's begin.
    """

    def __init__(self) -> None:
        # (3, n) weighted sums of what is not final, and (n,) of weights; the first of these frames.
        self._sums = np.zeros((4, 0), np.float32)
        self._first = 0
        self._final: list[NDArray[np.uint8]] = []
        # By window: its first frame, (FRAMES,) classes.
        self.windows: list[tuple[int, NDArray[np.uint8]]] = []

    @classmethod
    def of(
        cls,
        shares: NDArray[np.uint8],
        firsts: NDArray[np.int64],
        classes: NDArray[np.uint8],
    ) -> "Activity":
        """That of a stream that is over, from its `arrays`."""
        activity = cls()
        activity._final = [shares]
        activity.windows = list(zip(firsts.tolist(), classes, strict=True))
        return activity

    def arrays(self) -> dict[str, NDArray[Any]]:
        """`shares` (3, frames) and `classes` (windows, FRAMES) uint8, `firsts` (windows,) int64."""
        empty = np.zeros((3, 0), np.uint8)
        return {
            "shares": np.concatenate([empty, *self._final], axis=1),
            "firsts": np.array([first for first, _ in self.windows], np.int64),
            "classes": np.stack([np.zeros(FRAMES, np.uint8), *(each for _, each in self.windows)])[
                1:
            ],
        }

    def add(self, start: int, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """A window at this sample, (FRAMES, 7); windows come in order.

        Returns (n,) probabilities of speech of those frames that no further window holds.
        """
        first = round(start / FRAME)
        ready = self._finish(first)
        classes = probabilities.argmax(axis=-1).astype(np.uint8)
        self.windows.append((first, classes))
        missing = first + FRAMES - self._first - self._sums.shape[1]
        self._sums = np.pad(self._sums, ((0, 0), (0, missing)))
        speech = 1 - probabilities[:, 0]
        overlap = probabilities[:, 4:].sum(axis=-1)
        place = first - self._first
        rows = np.stack([speech, overlap, _changes(classes), np.ones(FRAMES, np.float32)])
        self._sums[:, place : place + FRAMES] += rows * _WEIGHTS
        return ready

    def finish(self) -> NDArray[np.float32]:
        """As `add` returns it, of the last frames."""
        return self._finish(self._first + self._sums.shape[1])

    @property
    def speech(self) -> NDArray[np.float32]:
        """(n,) of what is final, as all of these."""
        return self._shares(0)

    @property
    def overlap(self) -> NDArray[np.float32]:
        """How likely two speak at once."""
        return self._shares(1)

    @property
    def changes(self) -> NDArray[np.float32]:
        """In how many of its windows somebody else speaks from here on."""
        return self._shares(2)

    def _shares(self, row: int) -> NDArray[np.float32]:
        if not self._final:
            return np.zeros(0, np.float32)
        shares = np.concatenate([part[row] for part in self._final])
        return shares.astype(np.float32) / np.float32(255)

    def _finish(self, until: int) -> NDArray[np.float32]:
        count = until - self._first
        *sums, weights = self._sums[:, :count]
        shares = np.stack(sums) / np.maximum(weights, 1e-6)
        # A byte each: ten hours are two million frames.
        self._final.append(np.rint(255 * shares).astype(np.uint8))
        self._sums, self._first = self._sums[:, count:], until
        speech: NDArray[np.float32] = shares[0]
        return speech


def _changes(classes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(FRAMES,) 1 where one speaks alone, and it was another who did so last."""
    alone = (classes >= 1) & (classes <= 3)
    places = np.flatnonzero(alone)
    changes = np.zeros(len(classes), np.float32)
    changes[places[1:][np.diff(classes[places].astype(np.int8)) != 0]] = 1
    return changes


class Regions:
    """Where somebody speaks, found as frames come.

    A region has no pause of `longest_pause` frames or more, and no less than `shortest` frames.
    """

    def __init__(
        self, *, threshold: float, shortest: int, longest_pause: int, longest: int
    ) -> None:
        self._threshold, self._shortest = threshold, shortest
        self._longest_pause, self._longest = longest_pause, longest
        # The region that is not over: from here to there, if any; how many frames came.
        self._begin = self._end = self._position = 0
        self._number = 0

    @property
    def begin(self) -> int:
        """The first frame of which a region may still come."""
        return self._begin if self._is_open else self._position

    def feed(self, speech: NDArray[np.float32]) -> Iterator[tuple[int, int, int]]:
        """Of the next (n,) frames: the regions that are over, as number, first and end.

        What is longer than `longest` comes in parts of the same number.
        """
        edges = np.flatnonzero(np.diff(np.r_[0, speech > self._threshold, 0])) + self._position
        for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            if self._is_open and first - self._end >= self._longest_pause:
                yield from self.close()
            if not self._is_open:
                self._begin = first
            self._end = end
            while self._end - self._begin > self._longest:
                yield self._number, self._begin, self._begin + self._longest
                self._begin += self._longest
        self._position += len(speech)
        if self._is_open and self._position - self._end >= self._longest_pause:
            yield from self.close()

    def close(self) -> Iterator[tuple[int, int, int]]:
        """What is left."""
        if self._end - self._begin >= self._shortest:
            yield self._number, self._begin, self._end
        self._number += 1
        self._begin = self._end

    @property
    def _is_open(self) -> bool:
        return self._end > self._begin
