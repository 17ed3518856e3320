"""An inspection at the resolution of a picture, a line of text or a table: columns of time.

Shapes: N columns, R rounds of fusion, T frames of all sections together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fls_models.extractor.inspection.inspection import Inspection


@dataclass(frozen=True, eq=False)
class Columns:
    """What is heard from one border to the next; NaN before the first frame and after the last.

    Attributes:
        peaks: (N,) the loudest sample, from 0 to 1.
        density: (N,) mean of the frames' content density.
        joined: (R, N) how many frames stand behind each one that is left of them after a round, at
            least 1. After the last round, it is by how much the language model's reading is shorter
            here.
    """

    peaks: NDArray[np.float64]
    density: NDArray[np.float64]
    joined: NDArray[np.float64]


def columns(inspection: Inspection, borders: NDArray[np.floating[Any]]) -> Columns:
    """What is heard between borders: in the frames whose middle lies there, so that no frame counts
    twice; in a column that is too short for one, in the frame around its own middle.

    Args:
        borders: (N + 1,) seconds, ascending.
    """
    sections, count = inspection.sections, len(borders) - 1
    times = np.concatenate([np.empty((0, 2)), *(section.times for section in sections)])
    firsts, ends = _frames_of(times, borders)
    filled = firsts < ends

    def mean(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        sums = np.concatenate([[0.0], *parts]).cumsum()
        averages = np.full(count, np.nan)
        averages[filled] = (sums[ends] - sums[firsts])[filled] / (ends - firsts)[filled]
        return averages

    peaks = np.full(count, np.nan)
    if filled.any():
        # Between the columns' own frames there may be others', which are passed over.
        loud = np.concatenate([*(section.peaks for section in sections), [0.0]])
        pairs = np.stack([firsts[filled], ends[filled]], axis=1).flatten()
        peaks[filled] = np.maximum.reduceat(loud, pairs)[::2]
    density = mean([section.density.astype(np.float64) for section in sections])
    joined = np.full((inspection.rounds, count), np.nan)
    for number, row in enumerate(joined, 1):
        # A frame in a span of four makes a quarter of a fused one.
        row[:] = 1 / mean([1 / section.span_lengths(number) for section in sections])
    return Columns(peaks, density, joined)


def _frames_of(
    times: NDArray[np.float64], borders: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first frame of each column, and the one after its last."""
    places = np.searchsorted(times.mean(axis=1), borders)
    firsts, ends = places[:-1].copy(), places[1:].copy()
    middles = (borders[:-1] + borders[1:]) / 2
    around = np.searchsorted(times[:, 1], middles)
    covered = around < len(times)
    covered[covered] = times[around[covered], 0] <= middles[covered]
    short = covered & (firsts == ends)
    firsts[short], ends[short] = around[short], around[short] + 1
    return firsts, ends
