"""Where sections end, and how many frames they become: by listening, and by a plain loop."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_encoder import RATE, Cheap, babble, edges_of
from torch import Tensor

from fls_models.core.budget import Budget
from fls_models.core.constants import WINDOW_SAMPLES, frame_count
from fls_models.extractor.extract import listen_to_frames
from fls_models.extractor.sections import quietest


@pytest.mark.parametrize("seconds", [61.0, 180.0, 200.33, 241.7])
@pytest.mark.parametrize(("name", "rate"), [("fast", 100), ("accurate", 400)])
@pytest.mark.parametrize("max_frames", [150, 401, 1000])
def test_a_known_length_is_divided_equally_into_as_few_passes_as_can_be(
    seconds, name, rate, max_frames
):
    audio = babble(seconds)
    heard = listen_to_frames(
        Cheap(headless=True), [audio], Budget(name), max_frames=max_frames, total=seconds
    )
    passes = ceil(round(rate * seconds / 30) / max_frames)
    assert len(heard.sections) == passes
    # A section that ends early makes those after it longer; they share that.
    edges = edges_of(heard)
    for index in range(passes):
        target = edges[index] + (seconds - edges[index]) / (passes - index)
        assert target - 15.05 <= edges[index + 1] <= target + 0.05
    assert max(map(len, heard.sections)) <= max_frames


@pytest.mark.parametrize("seconds", [29.0, 180.0, 200.33])
def test_sections_of_an_unknown_length_are_as_long_as_can_be(seconds):
    heard = listen_to_frames(Cheap(), [babble(seconds)], Budget("accurate"), max_frames=600)
    edges = edges_of(heard)
    lengths = np.diff(edges)
    # 600 frames at 400 for 30 s are 45 s.
    assert (lengths <= 45.04).all()
    assert (lengths[:-1] >= 30).all()
    assert edges[-1] == pytest.approx(seconds)


@settings(max_examples=60, deadline=None)
@example(seconds=90.015625, wrong=None, max_frames=12, name="fast", task="ask")
@given(
    seconds=st.floats(0.1, 100),
    wrong=st.sampled_from([None, 1.0, 1.0, 0.98, 1.03, 0.5, 3.0]),
    max_frames=st.integers(12, 400),
    name=st.sampled_from(["fast", "accurate"]),
    task=st.sampled_from(["ask", "transcribe"]),
)
def test_no_pass_holds_too_much_whatever_the_length_was_thought_to_be(
    seconds, wrong, max_frames, name, task
):
    total = None if wrong is None else seconds * wrong
    audio = np.full(round(seconds * RATE), 0.5, np.float32)
    heard = listen_to_frames(
        Cheap(headless=True), [audio], Budget(name), task=task, max_frames=max_frames, total=total
    )
    assert all(1 <= len(section) <= max_frames for section in heard.sections)
    edges = edges_of(heard)
    assert edges[0] == 0
    # A last window of 20 ms or less is worth no frame.
    rest = len(audio) % WINDOW_SAMPLES
    assert edges[-1] == (len(audio) - (0 if frame_count(rest) else rest)) / RATE
    for one, other in zip(heard.sections, heard.sections[1:], strict=False):
        assert one.spans[-1, 1] == other.spans[0, 0]
    if wrong in (0.98, 1.0, 1.03):
        wanted = Budget(name).frames(seconds, task) / max_frames
        assert len(heard.sections) <= ceil(wanted * 1.03) + 1


@settings(max_examples=60, deadline=None)
@example(seconds=1.1, wrong=1.0, length=15, max_frames=1)
@given(
    seconds=st.floats(0.1, 100),
    wrong=st.sampled_from([None, 1.0, 1.0, 0.98, 1.03, 0.5, 3.0]),
    length=st.integers(1, 3000),
    max_frames=st.integers(1, 400),
)
def test_a_target_length_is_met_exactly(seconds, wrong, length, max_frames):
    total = None if wrong is None else seconds * wrong
    audio = np.full(round(seconds * RATE), 0.5, np.float32)
    heard = listen_to_frames(
        Cheap(headless=True), [audio], Budget("fast", length), max_frames=max_frames, total=total
    )
    assert all(1 <= len(section) <= max_frames for section in heard.sections)
    assert heard.budget == f"L={length}"
    length = min(length, heard.frames_before)
    if wrong in (None, 1.0):
        assert len(heard.sections) == ceil(length / max_frames)
        assert heard.frames_after == length
    else:
        # A recording that ends early may have no frames left for what the last passes should get.
        assert heard.frames_after <= length
        if wrong < 1 and length < heard.frames_before / 4:
            assert heard.frames_after == length


def test_one_pass_holds_a_target_length_of_any_recording():
    heard = listen_to_frames(Cheap(), [babble(95)], Budget("fast", 40), max_frames=40, total=20)
    assert [len(section) for section in heard.sections] == [40]


def test_short_audio_gets_its_12_frames_and_never_more_than_it_has():
    def lengths(seconds):
        heard = listen_to_frames(Cheap(), [babble(seconds)], Budget("fast"), max_frames=100)
        return [len(section) for section in heard.sections]

    assert lengths(2) == [12]
    assert lengths(0.4) == [10]


@pytest.mark.parametrize(("max_frames", "total"), [(700, 80.0), (590, None)])
def test_a_section_ends_at_a_pause(max_frames, total):
    audio = babble(80) + np.float32(0.05)
    pause = slice(round(33.1 * RATE), round(33.7 * RATE))
    audio[pause] *= 0.01
    heard = listen_to_frames(
        Cheap(headless=True), [audio], Budget("accurate"), max_frames=max_frames, total=total
    )
    end = heard.sections[0].spans[-1, 1].item()
    assert 33.1 <= end <= 33.7


def test_a_section_ends_where_nothing_is_said_although_it_is_loud():
    class Music(Cheap):
        """Tokens in positive samples only."""

        def blank_probability(self, hidden: Tensor) -> Tensor:
            return (hidden[:, 0] < 0).float()

    audio = np.full(80 * RATE, 0.1, np.float32)
    audio[30 * RATE : 31 * RATE] = 0
    audio[33 * RATE : 34 * RATE] = -0.9
    heard = listen_to_frames(Music(), [audio], Budget("accurate"), max_frames=700, total=80)
    assert 33 <= heard.sections[0].spans[-1, 1].item() <= 34


def test_the_quietest_place_by_a_plain_loop():
    generator = np.random.default_rng(0)
    for _ in range(50):
        density = generator.integers(0, 3, 120).astype(np.float32) / 2
        loudness = generator.random(120)
        places = range(60, 101)

        def worth(place, density=density, loudness=loudness):
            around = slice(max(0, place - 5), min(place + 5, 100))
            return (round(density[around].mean(dtype=float), 2), loudness[around].mean(), -place)

        assert quietest(density, loudness, places) == min(places, key=worth)
        changed = density.copy()
        changed[100:] = 0
        assert quietest(changed, loudness, places) == quietest(density, loudness, places)
