"""Rooms, bands and noise, measured on signals of which the answer is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fls_models.training.data.augmentation import (
    Distortion,
    Samples,
    apply,
    band_limited,
    coloured,
    draw,
    noisy,
    reverberated,
)

RATE = 16_000


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tone(pitch: float, seconds: float = 2.0) -> Samples:
    times = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * pitch * times)).astype(np.float32)


def decibels(ratio: float) -> float:
    return float(10 * np.log10(ratio))


def power(samples: Samples) -> float:
    return float(np.mean(samples.astype(np.float64) ** 2))


@pytest.mark.parametrize("colour", ["white", "pink", "brown"])
@pytest.mark.parametrize("ratio", [3.0, 17.5, 30.0])
@pytest.mark.parametrize("wandering", [False, True])
def test_noise_is_so_much_weaker_than_the_voice(colour: str, ratio: float, wandering: bool) -> None:
    voice = tone(440)
    heard = noisy(voice, colour, ratio, chance(), wandering=wandering)
    assert decibels(power(voice) / power(heard - voice)) == pytest.approx(ratio, abs=0.05)


def test_wandering_noise_swells_and_fades() -> None:
    def spread(wandering: bool) -> float:
        voice = tone(440, 12)
        noise = noisy(voice, "white", 10, chance(3), wandering=wandering) - voice
        parts = [power(part) for part in np.array_split(noise, 24)]
        return max(parts) / min(parts)

    assert spread(False) < 1.2
    assert spread(True) > 3


@pytest.mark.parametrize(("colour", "fall"), [("white", 0), ("pink", 3), ("brown", 6)])
def test_colours_fall_by_so_many_decibels_an_octave(colour: str, fall: float) -> None:
    spectrum = np.abs(np.fft.rfft(coloured(RATE * 20, colour, chance()))) ** 2
    octaves = [spectrum[20 * low : 40 * low].mean() for low in (200, 400, 800, 1600, 3200)]
    falls = [decibels(a / b) for a, b in pairwise(octaves)]
    assert falls == pytest.approx([fall] * 4, abs=0.3)


@pytest.mark.parametrize(
    ("pitch", "passes"), [(60, False), (1000, True), (3000, True), (5000, False)]
)
def test_a_band_lets_pass_what_lies_in_it(pitch: float, passes: bool) -> None:
    left = decibels(power(band_limited(tone(pitch), 150, 3800)) / power(tone(pitch)))
    assert left > -1 if passes else left < -12


@pytest.mark.parametrize("decay", [0.2, 0.5])
def test_a_room_answers_for_so_long_and_so_loud(decay: float) -> None:
    click = np.zeros(RATE, np.float32)
    click[0] = 1
    heard = reverberated(click, decay, 10.0, chance())
    assert heard[0] == pytest.approx(1, abs=1e-4)
    assert np.abs(heard[1:30]).max() < 1e-4
    assert decibels(float((heard[1:] ** 2).sum())) == pytest.approx(-10, abs=0.1)
    # Power falls by 60 dB within `decay`: the slope of its logarithm, in parts of 20 ms.
    parts = heard[320 : int(0.8 * decay * RATE)]
    parts = parts[: len(parts) // 320 * 320].reshape(-1, 320)
    levels = [decibels(float(part @ part)) for part in parts]
    slope = np.polyfit(np.arange(len(levels)) * 0.02, levels, 1)[0]
    assert slope == pytest.approx(-60 / decay, rel=0.1)


def test_gain_is_in_decibels_and_nothing_leaves_the_range() -> None:
    voice = tone(440)
    softer = apply(voice, Distortion(gain=-6), chance())
    assert decibels(power(softer) / power(voice)) == pytest.approx(-6, abs=0.01)
    assert np.abs(apply(10 * voice, Distortion(gain=6), chance())).max() == 1


def test_the_same_seed_gives_the_same_clip_and_another_does_not() -> None:
    voice = tone(300)
    full = Distortion((0.4, 8.0), (150, 3800), ("pink", 10.0), True, -3.0)
    first = apply(voice, full, chance(1))
    assert first.dtype == np.float32
    assert len(first) == len(voice)
    assert np.array_equal(first, apply(voice, full, chance(1)))
    assert not np.array_equal(first, apply(voice, full, chance(2)))
    assert draw(chance(5)) == draw(chance(5))


def test_every_kind_is_drawn_as_often_as_promised() -> None:
    drawn = [draw(chance(seed)) for seed in range(1000)]
    for kind, share in (("reverb", 0.35), ("band", 0.3), ("noise", 0.55)):
        found = np.mean([getattr(one, kind) is not None for one in drawn])
        assert found == pytest.approx(share, abs=0.05)
    untouched = [one for one in drawn if not (one.reverb or one.band or one.noise)]
    assert 0.1 < len(untouched) / len(drawn) < 0.3
    assert {one.noise[0] for one in drawn if one.noise} == {"white", "pink", "brown"}
    assert all(3 <= one.noise[1] <= 30 for one in drawn if one.noise)


def test_what_was_done_is_told() -> None:
    told = Distortion((0.4, 8.0), None, ("pink", 10.04), True, -3.0).as_json()
    assert told == {"gain": -3.0, "reverb": [0.4, 8.0], "noise": ["pink", 10.0], "wandering": True}


def test_silence_stays_silence() -> None:
    nothing = np.zeros(1000, np.float32)
    full = Distortion((0.4, 8.0), (150, 3800), ("pink", 10.0), False, 0.0)
    assert np.abs(apply(nothing, full, chance())).max() == 0
