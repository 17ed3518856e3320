"""From several channels to one, so that a voice on whichever of them is heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fls_cli.media.mixing import Mix
from fls_models.errors import InputError, UsageError
from tests.cli.media_files import hear
from tests.cli.situation_makers import RATE_44, heard_clicks, joined

RATE = 16_000
RNG = np.random.default_rng(0)


def voice(seconds: int = 12, level: float = 0.3, *, begin: int = 0, end: int = 10**9) -> np.ndarray:
    """Bursts of noise with pauses, as speech has them."""
    time = np.arange(seconds * RATE) / RATE
    there = (np.sin(2 * np.pi * 2.3 * time) > -0.3) & (time >= begin) & (time < end)
    return level * there * RNG.normal(0, 0.4, len(time))


def mixed(*channels: np.ndarray, how: str = "mix") -> np.ndarray:
    mix = Mix(how)
    both = np.stack(channels, axis=1).astype(np.float32)
    return np.concatenate([mix.mono(both[at : at + RATE]) for at in range(0, len(both), RATE)])


def share(found: np.ndarray, wanted: np.ndarray, after: int = 2) -> float:
    """How much of `found` is `wanted`, from that second on: 1 is all, 0 nothing."""
    found, wanted = found[after * RATE :], wanted[after * RATE :]
    return float(abs(found @ wanted) / np.sqrt((found @ found) * (wanted @ wanted)))


def test_ordinary_sides_are_averaged() -> None:
    left, right = voice(level=0.3), voice(level=0.2)
    expected = ((left + right) / 2).astype(np.float32)
    assert np.abs(mixed(left, right) - expected).max() < 1e-6


def test_a_turned_side_takes_nothing_away() -> None:
    said = voice()
    found = mixed(said, -said)
    assert share(found, said, after=0) > 0.999
    assert np.abs(found).max() == pytest.approx(np.abs(said).max(), rel=0.01)


def test_a_turn_midway_is_noticed() -> None:
    said = voice()
    turn = np.where(np.arange(len(said)) < 6 * RATE, 1.0, -1.0)
    assert share(mixed(said, said * turn), said, after=0) > 0.99


def test_the_quiet_side_of_a_call_is_lifted() -> None:
    near, far = voice(20, 0.3, end=10), voice(20, 0.003, begin=10)
    found = mixed(near, far)
    level = np.sqrt(np.mean(found[12 * RATE :] ** 2)) / np.sqrt(np.mean(near[: 8 * RATE] ** 2))
    assert 0.3 < level < 1.0


@pytest.mark.parametrize("noise", [0.05, 0.3], ids=["quiet", "loud"])
def test_an_input_that_only_hums_does_not_cover_a_voice(noise: float) -> None:
    said = voice()
    hum = RNG.normal(0, noise, len(said))
    average = share((said + hum) / 2, said)
    found = share(mixed(hum, said), said)
    assert found > 0.98
    assert found > average


@pytest.mark.parametrize(("count", "on"), [(6, 3), (12, 11), (60, 30)])
def test_one_voice_among_dead_inputs_stays_loud(count: int, on: int) -> None:
    said = voice()
    inputs = [RNG.normal(0, 1e-5, len(said)) for _ in range(count)]
    inputs[on] = said
    found = mixed(*inputs)
    assert share(found, said) > 0.99
    assert np.abs(found).max() > 0.5 * np.abs(said).max()


def test_silence_stays_silence() -> None:
    assert not mixed(np.zeros(3 * RATE), np.zeros(3 * RATE)).any()
    assert np.abs(mixed(*RNG.normal(0, 1e-5, (2, 3 * RATE)))).max() < 1e-4


def test_no_number_that_is_none() -> None:
    broken = np.full(RATE, np.nan)
    assert np.isfinite(mixed(broken, np.full(RATE, np.inf))).all()


@pytest.mark.parametrize(("how", "index"), [("left", 0), ("right", 1), ("1", 0), ("3", 2)])
def test_a_channel_of_choice(how: str, index: int) -> None:
    channels = [voice() for _ in range(3)]
    assert np.array_equal(mixed(*channels, how=how), channels[index].astype(np.float32))


@pytest.mark.parametrize("how", ["", "0", "-1", "middle", "1.5"])
def test_no_such_choice(how: str) -> None:
    with pytest.raises(UsageError, match="write mix, left, right, each or a number from 1"):
        Mix(how)


def test_of_a_mono_part_the_one_channel_is_heard_whichever_is_wanted(tmp_path: Path) -> None:
    path = joined("both.mp3", ("-ac", "2", *RATE_44), ("-ac", "1", *RATE_44))(tmp_path)
    heard = hear(path, channels="2")
    assert heard_clicks(heard.samples) == pytest.approx([1.0, 4.0, 6.0], abs=0.11)
    with pytest.raises(InputError, match="no channel 3"):
        hear(path, channels="3")
