"""Who is heard on a channel that is another's: one microphone a speaker, and each hears the others.

A voice that leaks is the other channel's sound, quieter, and again and again as much later. So a
stretch of a channel is leakage where it is like another one's at such a lag, and where that one, by
its own measure, is the louder of the two. By its own: sides of a call may differ by 40 dB as they
are.
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
_LAGS = 2 * _LATER + 1
# How alike leakage is to its source, and how much louder that is, in decibels.
_ALIKE, _LOUDER = 0.3, 6.0
# Lags at which two channels are alike so many times as often as by chance, each with those beside
# it: two voices at once are alike at any.
_OFTEN, _BESIDE = 3.0, 8
# A channel that is as alike over all of it has no voice of its own.
_EMPTY = 0.75
# As alike, and as loud, as one sound on two channels.
_SAME, _AS_LOUD = 0.97, 1.5
# How loud a channel is by its own measure: this share of its stretches is quieter.
_LOUD = 95
_FLOOR = 1e-10


@dataclass(frozen=True)
class _Pair:
    """How alike another channel is, then and all in all, and by how many decibels louder: by its
    own measure, and as it is."""

    other: int
    likeness: float
    likeness_of_all: float
    louder: float
    louder_as_is: float


@dataclass(frozen=True)
class _Whole:
    """What so many stretches tell together: how loud each channel is where it is loud, in decibels
    (c,); how alike every two channels are in each stretch, as late as often (n, pairs); and, all in
    all, by the weight of each of the two (pairs, 2)."""

    count: int
    loudest: NDArray[np.float64]
    alike: NDArray[np.float64]
    alike_of_all: NDArray[np.float64]


@dataclass
class ChannelLevels:
    """What is known of `count` channels, in stretches of 100 ms: each one's energy, and how alike
    every two are. and at which lag. Some 15 MB an hour."""

    count: int
    _rest: Samples | None = None
    _energies: list[NDArray[np.float64]] = field(default_factory=list)
    _alike: list[NDArray[np.float32]] = field(default_factory=list)
    _known: _Whole | None = None

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

        By its own measure the other one is louder; or it is as it is, where nobody speaks into the
        channel, so that its own measure is that of the leakage.
        """
        return any(
            pair.louder >= _LOUDER
            or (
                pair.likeness_of_all >= _EMPTY
                and pair.louder_as_is >= _LOUDER
                and pair.louder > -_AS_LOUD
            )
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
        whole = self._whole()
        own = levels - whole.loudest
        likeness = weights @ whole.alike[first:last]
        for place, pair in enumerate(combinations(range(self.count), 2)):
            if channel in pair:
                side = pair.index(channel)
                other = pair[1 - side]
                yield _Pair(
                    other,
                    float(likeness[place]),
                    float(whole.alike_of_all[place, side]),
                    float(own[other] - own[channel]),
                    float(levels[other] - levels[channel]),
                )

    def _whole(self) -> _Whole:
        if self._known is None or self._known.count != len(self._energies):
            energies, found = np.array(self._energies), np.array(self._alike)
            alike = found[..., 0].astype(np.float64)
            for pair, lags in enumerate(found[..., 1].astype(int).T + _LATER):
                often = np.bincount(lags, alike[:, pair], minlength=_LAGS)
                near = np.convolve(often, np.ones(2 * _BESIDE + 1), "same")
                alike[near[lags] < _OFTEN * near.mean(), pair] = 0.0
            pairs = np.array(list(combinations(range(self.count), 2)))
            weights = energies / np.maximum(_FLOOR, energies.sum(axis=0))
            alike_of_all = (weights[:, pairs] * alike[:, :, None]).sum(axis=0)
            loudest = np.percentile(10 * np.log10(energies + _FLOOR), _LOUD, axis=0)
            self._known = _Whole(len(energies), loudest, alike, alike_of_all)
        return self._known


def _likeness(chunk: Samples) -> NDArray[np.float32]:
    """(CHUNK, c) -> (pairs, 2): of every two channels the highest correlation, and at which lag,
    -_LATER to _LATER, in samples."""
    size = 2 * CHUNK
    spectra = np.fft.rfft(chunk, size, axis=0)
    norms = np.sqrt(np.square(chunk, dtype=np.float64).sum(axis=0)) + _FLOOR
    found = []
    for one, other in combinations(range(chunk.shape[1]), 2):
        products = np.fft.irfft(spectra[:, one] * spectra[:, other].conj(), size)
        near = np.abs(np.concatenate([products[-_LATER:], products[: _LATER + 1]]))
        lag = int(near.argmax())
        found.append((near[lag] / (norms[one] * norms[other]), lag - _LATER))
    return np.array(found, np.float32)
