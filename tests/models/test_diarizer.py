"""Speakers of a stream: what windows say is put together, whatever the blocks are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file

from fls_models.speakers.diarization import Diarization
from fls_models.speakers.diarizer import Diarizer, diarize
from fls_models.speakers.segmentation import FRAMES, HOP, WINDOW, Activity, Regions, weights_folder
from fls_models.speakers.voices import FRAMES as VOICE_FRAMES
from fls_models.speakers.voices import SAMPLES, WIDTH, VoiceEncoder

RATE = 16000


def probabilities(*spans: tuple[int, int, int]) -> NDArray[np.float32]:
    """A window's: silence, but for a class from a frame to another."""
    made = np.full((FRAMES, 7), 0.01, np.float32)
    made[:, 0] = 0.94
    for first, end, index in spans:
        made[first:end] = 0.01
        made[first:end, index] = 0.94
    return made


def test_frames_are_the_mean_of_their_windows() -> None:
    activity = Activity()
    ready = [activity.add(0, probabilities((100, 400, 1)))]
    # 148 frames later, a window that hears the same, and another voice behind it.
    ready.append(activity.add(HOP, probabilities((0, 252, 2), (252, 400, 3))))
    ready.append(activity.finish())
    assert [len(part) for part in ready] == [0, round(HOP / 270), FRAMES]
    speech = np.concatenate(ready)
    assert (speech[110:390] > 0.9).all()
    assert (speech[:90] < 0.1).all()
    np.testing.assert_allclose(activity.speech, speech, atol=1 / 255)
    # Heard in one of two windows, more surely in the middle of one.
    assert 0.2 < activity.changes[400] < 0.8
    assert activity.changes[:400].max() == 0
    assert activity.overlap.max() < 0.05


def test_two_at_once_are_an_overlap() -> None:
    activity = Activity()
    activity.add(0, probabilities((100, 200, 1), (200, 300, 4), (300, 400, 2)))
    activity.finish()
    assert (activity.overlap[200:300] > 0.9).all()
    assert activity.overlap[:200].max() < 0.1
    # From one alone to the other alone.
    assert np.flatnonzero(activity.changes > 0.9).tolist() == [300]


def regions(mask: list[bool], cuts: list[int], longest: int = 1000) -> list[tuple[int, int, int]]:
    finder = Regions(threshold=0.5, shortest=3, longest_pause=4, longest=longest)
    frames = np.array(mask, np.float32)
    parts = np.split(frames, sorted(cuts))
    return [region for part in parts for region in finder.feed(part)] + list(finder.close())


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=80), st.lists(st.integers(0, 80), max_size=4))
def test_regions_do_not_depend_on_how_frames_come(mask: list[bool], cuts: list[int]) -> None:
    whole = [span for _, *span in regions(mask, [])]
    assert [span for _, *span in regions(mask, [min(cut, len(mask)) for cut in cuts])] == whole
    for first, end in whole:
        assert mask[first]
        assert mask[end - 1]
        assert end - first >= 3


def test_pauses_part_regions_and_long_ones_come_in_parts() -> None:
    mask = [False] * 2 + [True] * 5 + [False] * 3 + [True] * 5 + [False] * 4 + [True] * 7
    assert [span for _, *span in regions(mask, [])] == [[2, 15], [19, 26]]
    numbers, *_ = zip(*regions(mask, [], longest=6), strict=True)
    assert [span for _, *span in regions(mask, [], longest=6)] == [[2, 8], [8, 14], [19, 25]]
    assert numbers[0] == numbers[1] != numbers[2]


def test_the_encoder_is_an_lstm_over_mel_frames() -> None:
    draw = np.random.default_rng(0)
    sounds = draw.standard_normal((2, SAMPLES)).astype(np.float32) * 0.1
    encoder = VoiceEncoder()
    found = encoder(sounds)
    weights = load_file(weights_folder() / "embedding.safetensors")
    import torch

    for sound, embedding in zip(sounds, found, strict=True):
        inputs = encoder._mels(torch.from_numpy(sound[None]))[0].numpy().astype(np.float64)
        assert inputs.shape == (VOICE_FRAMES, 40)
        for layer in range(3):
            inputs = lstm(inputs, weights, layer)
        final = np.maximum(weights["linear.weight"] @ inputs[-1] + weights["linear.bias"], 0)
        np.testing.assert_allclose(embedding, final / np.linalg.norm(final), atol=1e-4)
    # How loud it is makes no difference.
    np.testing.assert_allclose(encoder(sounds / 20), found, atol=1e-3)


def lstm(
    inputs: NDArray[np.float64], weights: dict[str, NDArray[np.float32]], layer: int
) -> NDArray[np.float64]:
    def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 / (1 + np.exp(-x))

    hidden, cell, outputs = np.zeros(WIDTH), np.zeros(WIDTH), []
    biases = weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
    for frame in inputs:
        gates = weights[f"lstm.weight_ih_l{layer}"] @ frame
        gates = gates + weights[f"lstm.weight_hh_l{layer}"] @ hidden + biases
        enter, forget, new, leave = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        outputs.append(hidden)
    return np.stack(outputs)


@pytest.mark.parametrize("seconds", [0, 0.02, 0.5, 9.9, 10, 10.1, 23])
def test_silence_has_no_speakers(seconds: float) -> None:
    samples = np.zeros(round(seconds * RATE), np.float32)
    assert not diarize([samples] if len(samples) else [])
    diarizer = Diarizer()
    diarizer.add(samples)
    found = diarizer.finish()
    assert found.voices([]) == {}
    again = Diarization.from_bytes(found.to_bytes())
    assert (again.turns(), again.voices([])) == ([], {})


@pytest.fixture(scope="module")
def interview() -> NDArray[np.float32]:
    """The first 40 s of two who take turns."""
    from fls_cli.sources.decode import decode

    file = Path(__file__).parents[2] / "examples" / "podcasts" / "bread-and-time.mp3"
    return np.concatenate(list(decode(file, end=40.0)))


def test_two_who_take_turns_are_told_apart(interview: NDArray[np.float32]) -> None:
    turns = diarize([interview])
    assert {turn.speaker for turn in turns} == {"S1", "S2"}
    assert turns[0].speaker == "S1"
    assert all(turn.end <= 40.1 for turn in turns)
    # In blocks of any size it is the same, to the last bit.
    diarizer = Diarizer()
    for first in range(0, len(interview), 7777):
        diarizer.add(interview[first : first + 7777])
    found = diarizer.finish()
    assert found.turns() == turns
    # Once heard, other numbers of speakers are asked for.
    assert {turn.speaker for turn in found.turns(1, 1)} == {"S1"}
    assert len({turn.speaker for turn in found.turns(3, 3)}) == 3
    assert found.turns() == turns
    # So they are of what a file brings back.
    again = Diarization.from_bytes(found.to_bytes())
    assert again.turns() == turns
    assert again.turns(3, 3) == found.turns(3, 3)
    assert again.voices(turns)["S2"].as_json() == found.voices(turns)["S2"].as_json()


def test_little_of_the_stream_is_held(interview: NDArray[np.float32]) -> None:
    diarizer = Diarizer()
    most = 0
    for _ in range(3):
        for first in range(0, len(interview), RATE):
            diarizer.add(interview[first : first + RATE])
            most = max(most, len(diarizer._samples))
    # A window, those that wait to be segmented with it, and the longest region.
    assert most <= WINDOW + 4 * HOP + 12 * RATE
