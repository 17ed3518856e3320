"""Which language is spoken where in a piece: some speak one after the other in one recording.

Whisper tells the language of 30 s as a whole, and whether it is sure. Where it is not, it is asked
about each stretch of the piece, with silence's frames around it: one step of the decoder each, and
the piece is encoded once, for this and for its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from fls_models.audio.vad import Piece
from fls_models.core.constants import SAMPLE_RATE, WINDOW_SAMPLES

if TYPE_CHECKING:
    from torch import Tensor

# A language that is less likely than this in the first piece may be any other.
SURE = 0.5
# A piece is of one language if it is likelier than this in the whole of it: two seconds of another
# in 25 take more away (measured on four), and each stretch costs a quarter of an encoding.
_SINGLE = 0.97
# Samples left around a stretch.
_AROUND = SAMPLE_RATE // 10
# A language changes at pauses of so many seconds; longer stretches also at shorter ones.
_PAUSE = 0.4
_LONG = 8.0
# What a change of language costs, in nats, at a pause and at a long one, of so many seconds: a name
# or an "OK" says less than two changes cost.
_CHANGE, _CHANGE_LATER, _LONG_PAUSE = 2.0, 1.25, 0.8
# Seconds of speech that count as one stretch, and as how many a long one counts.
_SEGMENT_SECONDS = 3.0
_MAX_WEIGHT = 2.0
# Probabilities below these are not told from each other: in a stretch, and in silence, where what
# is hardly ever spoken would else be likelier for every noise.
_MIN_PROBABILITY = 1e-3
_MIN_SILENCE_PROBABILITY = 1e-2
# Silence is English to Whisper, more or less. How much of that it says of a stretch, too: measured
# so that English with German names stays English and Spanish on the phone is no English.
_BIAS = 0.6
_TINY = 1e-30


@dataclass(frozen=True)
class Part:
    """What is said in one language: its code, and the samples of a piece where someone speaks."""

    language: str
    speech: tuple[tuple[int, int], ...]


class Recogniser(Protocol):
    """What `audio.whisper.load.Whisper` can do, as far as it tells languages."""

    def features(self, samples: NDArray[np.float32]) -> NDArray[np.float32]: ...

    def encode(self, features: Sequence[NDArray[np.float32]]) -> list[Tensor]: ...

    def language_probabilities(self, encoded: Sequence[Tensor]) -> list[dict[str, float]]: ...


class LanguageDetector:
    """Tells apart what is spoken in a piece.

    `allowed` are the languages that may be spoken, by their codes; none stand for all.
    """

    allowed: frozenset[str] = frozenset()

    def __init__(self, whisper: Recogniser) -> None:
        self._whisper = whisper
        # As encoded, (T, D), and how likely each language is in it.
        self._silence: Tensor | None = None
        self._prior: dict[str, float] = {}

    def parts(self, piece: Piece, before: str | None) -> list[Part]:
        """The piece in order, each part in its language; `before` is what was spoken before it.

        No parts if nothing was known before and nothing is sure now.
        """
        encoded = self._encode(piece.samples)
        [any_of_all] = self._whisper.language_probabilities([encoded])
        whole = self._among_allowed(any_of_all)
        segments = _segments(piece.speech)
        # Where two are allowed, one of them is likelier than it is.
        if len(segments) < 2 or max(any_of_all[code] for code in whole) >= _SINGLE:
            segments = [list(piece.speech)]
            weight = _weight(piece.speech)
            evidence = [{code: weight * log(max(p, _MIN_PROBABILITY)) for code, p in whole.items()}]
        else:
            evidence = self._evidence(encoded, segments)
        path = likeliest_path(evidence, _changes(segments), before)
        if before is None and sum(whole[code] for code in set(path)) < SURE:
            return []
        parts: list[Part] = []
        for segment, language in zip(segments, path, strict=True):
            if parts and parts[-1].language == language:
                segment = [*parts.pop().speech, *segment]
            parts.append(Part(language, tuple(segment)))
        return parts

    def _evidence(
        self, encoded: Tensor, segments: list[list[tuple[int, int]]]
    ) -> list[dict[str, float]]:
        """Of each stretch and language: what speaks for it there and not in silence, in nats."""
        # Budgets differ in how many frames a window has.
        if self._silence is None or len(self._silence) != len(encoded):
            self._silence = self._encode(np.zeros(WINDOW_SAMPLES, np.float32))
            [self._prior] = self._whisper.language_probabilities([self._silence])
        frame = WINDOW_SAMPLES // len(encoded)
        isolated = [self._silence.clone() for _ in segments]
        for stretch, segment in zip(isolated, segments, strict=True):
            first = max(0, segment[0][0] - _AROUND) // frame
            end = -(-(segment[-1][1] + _AROUND) // frame)
            stretch[first:end] = encoded[first:end]
        found = map(self._among_allowed, self._whisper.language_probabilities(isolated))
        return [
            {
                language: _weight(segment)
                * (
                    log(max(p, _MIN_PROBABILITY))
                    - _BIAS * log(max(self._prior[language], _MIN_SILENCE_PROBABILITY))
                )
                for language, p in probabilities.items()
            }
            for segment, probabilities in zip(segments, found, strict=True)
        ]

    def _among_allowed(self, found: dict[str, float]) -> dict[str, float]:
        """Of the languages that are allowed, 1 in all."""
        if not self.allowed:
            return found
        total = max(sum(found[code] for code in self.allowed), _TINY)
        return {code: found[code] / total for code in sorted(self.allowed)}

    def _encode(self, samples: NDArray[np.float32]) -> Tensor:
        [encoded] = self._whisper.encode([self._whisper.features(samples)])
        return encoded


def likeliest_path(
    scores: Sequence[dict[str, float]], changes: Sequence[float], before: str | None
) -> list[str]:
    """The languages of stretches, by what speaks for each (nats).

    A change costs what `changes` says of the stretch that it comes before; what was spoken `before`
    the first one costs nothing there, and nor does anything if that is not known.
    """
    best = {
        language: score - (0.0 if before in (None, language) else changes[0])
        for language, score in scores[0].items()
    }
    backpointers: list[dict[str, str]] = []
    for evidence, change in zip(scores[1:], changes[1:], strict=True):
        top = max(best, key=best.__getitem__)
        changed = best[top] - change
        backpointers.append({code: code if best[code] >= changed else top for code in best})
        best = {code: max(best[code], changed) + evidence[code] for code in best}
    path = [max(best, key=best.__getitem__)]
    for pointers in reversed(backpointers):
        path.append(pointers[path[-1]])
    return path[::-1]


def _segments(speech: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    segments: list[list[tuple[int, int]]] = []
    for start, end in speech:
        if segments:
            first, last = segments[-1][0][0], segments[-1][-1][1]
            if start - last < _PAUSE * SAMPLE_RATE and end - first < _LONG * SAMPLE_RATE:
                segments[-1].append((start, end))
                continue
        segments.append([(start, end)])
    return segments


def _changes(segments: Sequence[Sequence[tuple[int, int]]]) -> list[float]:
    """What a change of language costs before each stretch; before the first, as at a long pause."""
    pauses = [start[0][0] - end[-1][1] for end, start in pairwise(segments)]
    return [
        _CHANGE_LATER,
        *(_CHANGE_LATER if pause >= _LONG_PAUSE * SAMPLE_RATE else _CHANGE for pause in pauses),
    ]


def _weight(speech: Sequence[tuple[int, int]]) -> float:
    seconds = sum(end - start for start, end in speech) / SAMPLE_RATE
    return min(_MAX_WEIGHT, seconds / _SEGMENT_SECONDS)
