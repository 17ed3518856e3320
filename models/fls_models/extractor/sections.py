"""Dividing a recording into sections, one for each pass of the language model, while it is heard.

Where a section may end, where in there is a quiet moment, and how many frames it becomes. Numbers
only: it holds no frames, and does not know who fuses them.

A place in a section is counted in frames of 40 ms from its beginning.
"""

from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from fls_models.core.budget import Budget, Task, sections
from fls_models.core.constants import FRAME_RATE, SAMPLE_RATE, frame_count

# How far before its target a section may end, and how long a quiet moment is.
_LOOK_BACK = 15 * FRAME_RATE
_QUIET = round(0.4 * FRAME_RATE)


class SectionPlanner:
    """Where sections may end, and how many frames they become. It goes with one recording.

    `remaining` frames are still to come, those of the running section included; None where
    nobody knows.
    """

    def __init__(self, budget: Budget, task: Task, max_frames: int, total: float | None) -> None:
        self._budget = budget
        self._task = task
        self._max_frames = max_frames
        self.remaining = frame_count(round(total * SAMPLE_RATE)) if total else None
        # Of a target length, what is left of it.
        self._length = budget.target_length
        rate = budget.rate(task)
        # The most frames that do not become more than one pass holds; half a frame is rounded off.
        self._room = None if rate is None else max(1, floor((max_frames + 0.5) * FRAME_RATE / rate))

    def end(self, count: int) -> range | None:
        """Where the running section, of which `count` frames are there, may end; None: go on."""
        if self._room is not None:
            passes = 1 if self.remaining is None else ceil(self.remaining / self._room)
            room: float = self._room
            if passes <= 1 and count > self._room:
                # Nobody knew the length, or it was wrong.
                return _before(self._room)
        elif self.remaining:
            passes, length = self._rest()
            room = self.remaining * self._max_frames / length
        else:
            passes = 1
        if self.remaining is None or passes <= 1:
            return None
        target = ceil(self.remaining / passes)
        if count < target:
            return None
        # No earlier than that the passes that follow can hold the rest.
        return _before(target, ceil(self.remaining - (passes - 1) * room))

    def close(self, count: int, seconds: float) -> int:
        """Ends the running section after `count` frames; how many it becomes, at most `count`."""
        if self._length is None:
            length = min(self._budget.frames(seconds, self._task), self._max_frames)
        else:
            passes, length = self._rest()
            if passes > 1 and self.remaining:
                # In proportion, and so that the passes that follow hold what is left.
                min_length = length - (passes - 1) * self._max_frames
                share = round(length * count / self.remaining)
                length = min(max(1, min_length, share), self._max_frames)
            self._length = max(0, self._length - length)
        if self.remaining is not None:
            self.remaining = max(0, self.remaining - count)
        return min(length, count)

    def _rest(self) -> tuple[int, int]:
        """Passes to come, and frames they become: of a target length, no more than there are."""
        assert self._length is not None, "only a target length has a rest"
        length = self._length if self.remaining is None else min(self._length, self.remaining)
        return sections(length, self._max_frames), max(1, length)


def _before(target: int, earliest: int = 0) -> range:
    """Where a section may end, up to `target`; at least half of it stays."""
    look_back = min(_LOOK_BACK, target // 2)
    return range(min(target, max(earliest, target - look_back)), target + 1)


def quietest(density: NDArray[np.float32], loudness: NDArray[np.float64], places: range) -> int:
    """The place to end a section at: where least is said, then where it is quietest, then late.

    Both are averages over 0.4 s around the place; nothing past the last place counts, so that it
    does not matter how far listening is ahead. Density, because it tells speech from music and
    noise; in hundredths, because among pauses it tells nothing, and nothing at all without a CTC
    head. Then loudness decides.

    Args:
        density: (T,) from 0 to 1.
        loudness: (T,) RMS.
        places: from 1 to T, ascending; place i is between frames i - 1 and i.
    """
    place, last = np.array(places), places[-1]
    first = np.maximum(place - _QUIET // 2, 0)
    end = np.minimum(place + _QUIET // 2, last)

    def smoothed(values: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.append(0.0, np.cumsum(values[:last], dtype=np.float64))
        averages: NDArray[np.float64] = (sums[end] - sums[first]) / (end - first)
        return averages

    order = np.lexsort([-place, smoothed(loudness), smoothed(density).round(2)])
    return int(place[order[0]])
