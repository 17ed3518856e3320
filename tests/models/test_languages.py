"""What is spoken where, told by a recogniser whose sound is one number a language."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.audio.vad import Piece
from fls_models.core.constants import SAMPLE_RATE
from fls_models.transcription.languages import LanguageDetector, likeliest_path

CODES = ("en", "es", "de")


class Whisper:
    """Frames say which language they are of: 0 is silence, else 1 + its place in CODES.

    Whatever it does not know is English, as with the real one: that is what it says of silence.
    """

    def __init__(self) -> None:
        self.encoded = 0
        # So many of its frames are one.
        self.merged = 1

    def features(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        frames = samples[: len(samples) // 160 * 160 : 160]
        return np.pad(frames, (0, 3000 - len(frames)))[None].astype(np.float32)

    def encode(self, features: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        self.encoded += len(features)
        return [torch.from_numpy(window[0, :: 2 * self.merged, None].copy()) for window in features]

    def language_probabilities(self, encoded: Sequence[Tensor]) -> list[dict[str, float]]:
        found = []
        for frames in encoded:
            seconds = np.array(
                [30 * float((frames == 1 + i).float().mean()) for i in range(len(CODES))]
            )
            weights = np.array([0.4, 0.02, 0.02]) + seconds
            found.append({c: w / weights.sum() for c, w in zip(CODES, weights, strict=True)})
        return found


def piece(*said: tuple[str | None, float]) -> Piece:
    """Languages for so many seconds; None is a pause."""
    sound, speech, first = [], [], 0
    for code, seconds in said:
        count = round(seconds * SAMPLE_RATE)
        sound.append(np.full(count, 0 if code is None else 1 + CODES.index(code), np.float32))
        if code is not None:
            speech.append((first, first + count))
        first += count
    return Piece(np.concatenate(sound), 0.0, tuple(speech))


def found(heard: Piece, before: str | None = None) -> list[tuple[str, float]]:
    parts = LanguageDetector(Whisper()).parts(heard, before)
    assert not parts or sum((part.speech for part in parts), ()) == heard.speech
    return [(part.language, sum(b - a for a, b in part.speech) / SAMPLE_RATE) for part in parts]


@pytest.mark.parametrize("before", [None, "en", "es", "de"])
def test_a_piece_in_one_language_is_one_part(before: str | None) -> None:
    assert found(piece(("es", 9)), before) == [("es", 9)]
    assert found(piece(("es", 5), (None, 1), ("es", 4), (None, 0.3), ("es", 2)), before) == [
        ("es", 11)
    ]
    assert found(piece(("en", 5), (None, 1), ("en", 4)), before) == [("en", 9)]


def test_two_languages_are_parted_at_the_pause_between_them() -> None:
    heard = piece(("en", 5), (None, 0.5), ("en", 3), (None, 1), ("es", 6), (None, 0.5), ("es", 4))
    for before in (None, "en", "es"):
        assert found(heard, before) == [("en", 8), ("es", 10)]
    assert found(piece(("es", 4), (None, 2), ("en", 20)), "es") == [("es", 4), ("en", 20)]


def test_one_language_may_come_between() -> None:
    heard = piece(("en", 6), (None, 1), ("es", 6), (None, 1), ("en", 6))
    assert found(heard) == [("en", 6), ("es", 6), ("en", 6)]


@pytest.mark.parametrize("other", ["en", "es"])
def test_a_word_in_another_does_not_change_it(other: str) -> None:
    heard = piece(("de", 5), (None, 1), (other, 0.5), (None, 1), ("de", 5))
    assert found(heard, "de") == [("de", 10.5)]
    assert found(piece((other, 0.5)), "de") == [("de", 0.5)]


def test_nothing_is_told_while_nothing_is_sure() -> None:
    silent = Piece(np.zeros(SAMPLE_RATE, np.float32), 0.0)
    even = piece(("en", 0.01), ("es", 0.41), ("de", 0.41))
    assert found(silent, "de") == [("de", 1)]
    assert found(Piece(even.samples, 0.0), None) == []


def test_silence_is_encoded_once_for_all_pieces() -> None:
    whisper = Whisper()
    detector = LanguageDetector(whisper)
    detector.parts(piece(("en", 5), (None, 1), ("es", 5)), None)
    # The piece, and once for all of them the silence around stretches.
    assert whisper.encoded == 2
    detector.parts(piece(("es", 5), (None, 1), ("es", 5)), None)
    assert whisper.encoded == 3


def test_budgets_that_merge_frames_part_languages_alike() -> None:
    heard = piece(("en", 5), (None, 0.5), ("en", 3), (None, 1), ("es", 6), (None, 0.5), ("es", 4))
    whisper = Whisper()
    detector = LanguageDetector(whisper)
    parts = []
    for whisper.merged in (1, 2, 1):
        parts.append(detector.parts(heard, None))
    assert [part.language for part in parts[0]] == ["en", "es"]
    assert parts[0] == parts[1] == parts[2]


def worth(
    path: Sequence[str],
    seen: Sequence[dict[str, float]],
    changes: Sequence[float],
    before: str | None,
) -> float:
    total, last = 0.0, before or path[0]
    for code, evidence, change in zip(path, seen, changes, strict=True):
        total += evidence[code] - (change if code != last else 0.0)
        last = code
    return total


@pytest.mark.parametrize("before", [None, "es"])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_path_is_the_best_of_all(n: int, before: str | None) -> None:
    dice = np.random.default_rng(n)
    for _ in range(20):
        seen = [dict(zip(CODES, dice.normal(0, 2, 3), strict=True)) for _ in range(n)]
        changes = list(dice.uniform(0.5, 3, n))
        best = max(product(CODES, repeat=n), key=lambda path: worth(path, seen, changes, before))
        assert likeliest_path(seen, changes, before) == list(best)


def test_only_what_is_allowed_is_spoken() -> None:
    detector = LanguageDetector(Whisper())
    heard = piece(("es", 9), (None, 1), ("de", 9), (None, 1), ("en", 9))
    assert [part.language for part in detector.parts(heard, None)] == ["es", "de", "en"]
    detector.allowed = frozenset({"de", "es"})
    parts = detector.parts(piece(("es", 12), (None, 1), ("de", 12)), None)
    assert [part.language for part in parts] == ["es", "de"]
    # Something is said even where nothing of it is likely.
    assert {part.language for part in detector.parts(piece(("en", 9)), None)} <= {"de", "es"}
    detector.allowed = frozenset()
    assert [part.language for part in detector.parts(piece(("en", 9)), None)] == ["en"]


def test_naming_languages_makes_none_surer_than_it_is() -> None:
    class Unsure(Whisper):
        """Of a whole piece it says something else; of stretches, what they are."""

        def language_probabilities(self, encoded: Sequence[Tensor]) -> list[dict[str, float]]:
            found = super().language_probabilities(encoded)
            if len(encoded) == 1 and encoded[0].any():
                return [{"en": 0.9, "es": 0.095, "de": 0.005}]
            return found

    detector = LanguageDetector(Unsure())
    heard = piece(("en", 5), (None, 0.6), ("de", 5))
    for allowed in ((), ("de", "en"), ("de", "en", "es")):
        detector.allowed = frozenset(allowed)
        assert [part.language for part in detector.parts(heard, None)] == ["en", "de"], allowed
