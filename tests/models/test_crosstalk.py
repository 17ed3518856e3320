"""What leaks from one channel into another is told from what is said on it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fls_models.audio.crosstalk import ChannelLevels

RATE = 16_000


def voices(seconds: int = 12) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two who take turns of three seconds, and both speak in the last two."""
    random = np.random.default_rng(0)
    one, other = random.standard_normal((2, seconds * RATE)).astype(np.float32) * 0.1
    turn = np.arange(seconds * RATE) // (3 * RATE) % 2
    both = np.arange(seconds * RATE) >= (seconds - 2) * RATE
    return one * ((turn == 0) | both), other * ((turn == 1) | both)


def levels(*channels: NDArray[np.float32], block: int = 4321) -> ChannelLevels:
    found = ChannelLevels(len(channels))
    sound = np.stack(channels, axis=1)
    for first in range(0, len(sound), block):
        found.add(sound[first : first + block])
    return found


@pytest.mark.parametrize("quieter", [1.0, 0.01])
@pytest.mark.parametrize("later", [0, 7, 300])
def test_leakage_is_told_however_late_and_quiet(quieter: float, later: int) -> None:
    one, other = voices()
    leaking = 0.12
    found = levels(
        one + leaking * np.roll(other, later), (other + leaking * np.roll(one, later)) * quieter
    )
    for start, speaker in ((0.5, 0), (3.5, 1), (6.5, 0)):
        assert found.is_leak(1 - speaker, start, start + 1.5)
        assert not found.is_leak(speaker, start, start + 1.5)
    # Where both speak, either is heard.
    assert not found.is_leak(0, 10.2, 11.8)
    assert not found.is_leak(1, 10.2, 11.8)


def test_where_only_one_is_ever_spoken_into_the_louder_is_theirs() -> None:
    one, _ = voices()
    found = levels(one, 0.12 * np.roll(one, 200))
    assert found.is_leak(1, 0.5, 2.0)
    assert not found.is_leak(0, 0.5, 2.0)
    assert not found.is_double(1, 0.5, 2.0)


def test_what_is_said_quietly_while_another_speaks_is_no_leak() -> None:
    one, _ = voices()
    murmur = np.random.default_rng(1).standard_normal(len(one)).astype(np.float32) * 0.01
    found = levels(one, murmur)
    assert not found.is_leak(1, 0.5, 2.0)


def test_one_sound_twice_is_double_on_the_later_channel() -> None:
    one, other = voices()
    found = levels(one + other, one + other, np.zeros_like(one))
    assert not found.is_double(0, 0.5, 2.0)
    assert found.is_double(1, 0.5, 2.0)
    assert not found.is_leak(1, 0.5, 2.0)
    assert not levels(one, other).is_double(1, 0.5, 2.0)


def test_times_beyond_the_end_and_no_sound() -> None:
    one, other = voices()
    assert not levels(one, other).is_leak(0, 11.9, 99.0)
    assert not levels(one, other).is_leak(0, 99.0, 99.5)
    assert not ChannelLevels(2).is_leak(0, 0.0, 1.0)


@pytest.mark.parametrize("leaking", [0.0, 0.12])
def test_who_is_quieter_all_the_time_while_both_speak_is_heard(leaking: float) -> None:
    # Hums of changing pitch and loudness, which are alike for moments by chance, as voices are.
    random = np.random.default_rng(0)
    speech = []
    for pitch in (110, 190):
        steps = np.repeat(random.uniform(0.8, 1.25, 150), RATE // 5)
        hum = np.sin(np.cumsum(2 * np.pi * pitch * steps / RATE)[:, None] * [1, 2, 3]).sum(axis=1)
        hum += random.standard_normal(len(hum)) * 0.3
        speech.append(hum * np.repeat(random.uniform(0.1, 1, 300), RATE // 10) * 0.05)
    one, other = (part.astype(np.float32) for part in speech)
    found = levels(
        one + leaking * np.roll(other, 30), (other + leaking * np.roll(one, 25)) * np.float32(0.02)
    )
    starts = np.arange(0.5, 29, 0.5)
    assert not any(found.is_leak(channel, at, at + 0.3) for channel in (0, 1) for at in starts)
