"""What the extractor made of a recording, for looking at: sound, content density, fusion by rounds.

Values only, all on the CPU. Times are seconds from the beginning of the recording.

Shapes: T frames of 40 ms, L fused frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fls_models.core.results import Word


@dataclass(frozen=True, eq=False)
class InspectedSection:
    """What the language model reads in one pass, before and after fusion.

    Attributes:
        times: (T, 2) float64, start and end of each frame before fusion.
        peaks: (T,) float32 from 0 to 1, the loudest sample of each frame.
        density: (T,) float32 from 0 to 1, how much each frame says (1 - p(blank)).
        rounds: for each round of fusion, the first frame (of the T) of every span that it left:
            (L_r,) int64, ascending, the first is 0. No rounds where nothing had to be fused.
    """

    times: NDArray[np.float64]
    peaks: NDArray[np.float32]
    density: NDArray[np.float32]
    rounds: tuple[NDArray[np.int64], ...]

    @property
    def frames_before(self) -> int:
        """T."""
        return len(self.density)

    @property
    def frames_after(self) -> int:
        """L."""
        return len(self.rounds[-1]) if self.rounds else len(self.density)

    def firsts(self, rounds: int) -> NDArray[np.int64]:
        """The first frame of every span that is left after so many rounds, or after all of them
        where there were fewer; all frames where there were none.
        """
        if not rounds or not self.rounds:
            return np.arange(self.frames_before)
        return self.rounds[min(rounds, len(self.rounds)) - 1]

    def span_lengths(self, rounds: int) -> NDArray[np.int64]:
        """(T,) With how many frames each is in one span after so many rounds, itself included."""
        lengths = np.diff(self.firsts(rounds), append=self.frames_before)
        return np.repeat(lengths, lengths)


@dataclass(frozen=True, eq=False)
class Inspection:
    """A recording as the extractor of one model heard it at one budget.

    Attributes:
        start, end: the stretch that was heard.
        sections: in order.
        words: what the CTC head reads in the frames, with times; empty where it has no words.
        has_head: False where there is no CTC head, and the density is 1 throughout.
        budget: its label.
    """

    start: float
    end: float
    sections: tuple[InspectedSection, ...]
    words: tuple[Word, ...]
    has_head: bool
    model: str
    budget: str

    @property
    def frames_before(self) -> int:
        """How many frames the encoder gave."""
        return sum(section.frames_before for section in self.sections)

    @property
    def frames_after(self) -> int:
        """How many the language model reads."""
        return sum(section.frames_after for section in self.sections)

    @property
    def rounds(self) -> int:
        """How many rounds of fusion there were at most."""
        return max((len(section.rounds) for section in self.sections), default=0)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Frames in all sections before fusion and after each round. A section that needed fewer
        rounds stays as its last one left it.
        """
        return tuple(
            sum(len(section.firsts(number)) for section in self.sections)
            for number in range(self.rounds + 1)
        )

    @property
    def mean_density(self) -> float:
        """Over all frames; 0 where there are none."""
        total = sum(float(section.density.sum(dtype=np.float64)) for section in self.sections)
        return total / max(1, self.frames_before)
