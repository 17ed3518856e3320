"""Who is heard on a channel that is another's: one microphone a speaker, and each hears the others.

A voice that leaks is the other channel's sound, somewhat later and quieter. So a stretch of a
channel is leakage where it is like another one's, and where that one, by its own measure, is the
louder of the two. By its own: sides of a call may differ by 40 dB as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fls_models.core.constants import SAMPLE_RATE

Samples = NDArray[np.float32]

# Samples of a stretch, and by how many the leakage may be later: some seven metres of air.
CHUNK = SAMPLE_RATE // 10
_LATER = SAMPLE_RATE // 50
# How alike leakage is to its source, and how much louder that is, in decibels.
_ALIKE, _LOUDER = 0.3, 6.0
# As alike, and as loud, as one sound on two channels.
_SAME, _AS_LOUD = 0.97, 1.5
# How loud a channel is by its own measure: this share of its stretches is quieter.
_LOUD = 95
_FLOOR = 1e-10


@dataclass(frozen=True)
class _Pair:
    """How alike another channel is, and by how many decibels louder: by its own measure, and as
    it is."""

    other: int
    likeness: float
    louder: float
    louder_as_is: float


@dataclass
class ChannelLevels:
    """What is known of `count` channels, in stretches of 100 ms: each one's energy, and how alike
    every two are. Some 10 MB an hour."""

    count: int
    _rest: Samples | None = None
    _energies: list[NDArray[np.float64]] = field(default_factory=list)
    _alike: list[NDArray[np.float64]] = field(default_factory=list)
    # Of how many stretches it is known how loud each channel is.
    _known: tuple[int, NDArray[np.float64]] | None = None

    def add(self, block: Samples) -> None:
        """The next (n, count) samples at 16 kHz."""
        sound = block if self._rest is None else np.concatenate([self._rest, block])
        whole = len(sound) // CHUNK * CHUNK
        for chunk in sound[:whole].reshape(-1, CHUNK, self.count):
            self._energies.append(np.square(chunk, dtype=np.float64).mean(axis=0))
            self._alike.append(_likeness(chunk))
        self._rest = sound[whole:]

    def is_leak(self, channel: int, start: float, end: float) -> bool:
        """Whether what is on a channel then is what is said into another; in seconds.

        By its own measure the other one is louder; or it is as it is, where only one of the two
        is ever spoken into, whose loudness by their own measures is the same.
        """
        return any(
            pair.louder >= _LOUDER or (pair.louder_as_is >= _LOUDER and pair.louder > -_AS_LOUD)
            for pair in self._pairs(channel, start, end)
            if pair.likeness >= _ALIKE
        )

    def is_double(self, channel: int, start: float, end: float) -> bool:
        """Whether an earlier channel holds the same sound then."""
        return any(
            pair.other < channel
            and pair.likeness >= _SAME
            and abs(pair.louder) < _AS_LOUD
            and abs(pair.louder_as_is) < _LOUDER
            for pair in self._pairs(channel, start, end)
        )

    def _pairs(self, channel: int, start: float, end: float) -> Iterator[_Pair]:
        first = min(int(start * SAMPLE_RATE / CHUNK), len(self._energies) - 1)
        last = max(first + 1, -(-int(end * SAMPLE_RATE) // CHUNK))
        if first < 0:
            return
        energies = np.array(self._energies[first:last])
        weights = energies[:, channel] / max(_FLOOR, energies[:, channel].sum())
        levels = 10 * np.log10(energies.mean(axis=0) + _FLOOR)
        own = levels - self._loudest()
        likeness = weights @ np.array(self._alike[first:last])
        for place, pair in enumerate(combinations(range(self.count), 2)):
            if channel in pair:
                other = pair[1 - pair.index(channel)]
                yield _Pair(
                    other,
                    float(likeness[place]),
                    float(own[other] - own[channel]),
                    float(levels[other] - levels[channel]),
                )

    def _loudest(self) -> NDArray[np.float64]:
        """How loud each channel is where it is loud, in decibels."""
        if self._known is None or self._known[0] != len(self._energies):
            levels = 10 * np.log10(np.array(self._energies) + _FLOOR)
            self._known = len(self._energies), np.percentile(levels, _LOUD, axis=0)
        return self._known[1]


def _likeness(chunk: Samples) -> NDArray[np.float64]:
    """(CHUNK, c) -> of every two channels the highest correlation, whichever is later."""
    size = 2 * CHUNK
    spectra = np.fft.rfft(chunk, size, axis=0)
    norms = np.sqrt(np.square(chunk, dtype=np.float64).sum(axis=0)) + _FLOOR
    found = []
    for one, other in combinations(range(chunk.shape[1]), 2):
        products = np.fft.irfft(spectra[:, one] * spectra[:, other].conj(), size)
        near = np.concatenate([products[: _LATER + 1], products[-_LATER:]])
        found.append(float(np.abs(near).max()) / (norms[one] * norms[other]))
    return np.array(found)
