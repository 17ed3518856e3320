"""Cutting at pauses: pieces a recogniser can hold, with all the speech in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fls_cli.media.stream import stream
from fls_cli.sources.resolve import open_sources
from fls_models.audio import vad as pauses
from fls_models.audio.vad import Piece, SpeechChunk, cut_at_pauses
from fls_models.audio.windows import SAMPLE_RATE, WINDOW_SAMPLES

Samples = NDArray[np.float32]
TALK = Path(__file__).parents[2] / "examples" / "talk.mp4"


@pytest.fixture(scope="module")
def talk() -> Samples:
    """Some 100 s of speech: the talk twice, with a pause between."""
    with open_sources([str(TALK)]) as [source]:
        once = np.concatenate(list(stream(source)))
    return np.concatenate([once, np.zeros(SAMPLE_RATE, np.float32), once])


def blocks(samples: Samples, size: int) -> Iterator[Samples]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


@pytest.fixture(scope="module")
def heard(talk: Samples) -> list[SpeechChunk]:
    return list(cut_at_pauses(blocks(talk, SAMPLE_RATE)))


def test_no_piece_is_longer_than_a_window(heard: list[SpeechChunk], talk: Samples) -> None:
    pieces = [one.piece for one in heard if one.piece]
    assert len(pieces) >= 4
    assert all(0 < len(piece.samples) <= WINDOW_SAMPLES for piece in pieces)
    assert heard[-1].until == pytest.approx(len(talk) / SAMPLE_RATE)


def test_a_piece_is_the_audio_at_its_time(heard: list[SpeechChunk], talk: Samples) -> None:
    for one in heard:
        assert one.piece
        first = round(one.piece.start * SAMPLE_RATE)
        end = first + len(one.piece.samples)
        assert end <= round(one.until * SAMPLE_RATE)
        np.testing.assert_array_equal(one.piece.samples, talk[first:end])


def test_pieces_follow_each_other_and_leave_out_only_quiet(
    heard: list[SpeechChunk], talk: Samples
) -> None:
    covered = np.zeros(len(talk), bool)
    for one in heard:
        assert one.piece
        first = round(one.piece.start * SAMPLE_RATE)
        stretch = slice(first, first + len(one.piece.samples))
        assert not covered[stretch].any()
        covered[stretch] = True
    assert covered.mean() > 0.9
    loudest = np.abs(talk).max()
    assert np.abs(talk[~covered]).max() < 0.05 * loudest


def test_cuts_are_made_where_nobody_speaks(heard: list[SpeechChunk], talk: Samples) -> None:
    loudness = float(np.sqrt(np.mean(talk**2)))
    for one in heard[:-1]:
        cut = round(one.until * SAMPLE_RATE)
        around = talk[cut - SAMPLE_RATE // 20 : cut + SAMPLE_RATE // 20]
        assert float(np.sqrt(np.mean(around**2))) < 0.1 * loudness


@pytest.mark.parametrize("size", [1600, 7 * SAMPLE_RATE + 1, 10**9])
def test_the_size_of_blocks_changes_nothing(
    heard: list[SpeechChunk], talk: Samples, size: int
) -> None:
    again = list(cut_at_pauses(blocks(talk, size)))
    assert [one.until for one in again] == [one.until for one in heard]
    for one, other in zip(again, heard, strict=True):
        assert one.piece
        assert other.piece
        assert one.piece.start == other.piece.start
        np.testing.assert_array_equal(one.piece.samples, other.piece.samples)


def test_what_is_no_speech_has_no_piece() -> None:
    dice = np.random.default_rng(0)
    noise = dice.normal(0, 0.05, 70 * SAMPLE_RATE).astype(np.float32)
    hold = on_the_telephone(music(70))
    for sound in (np.zeros(70 * SAMPLE_RATE, np.float32), noise, hold):
        found = list(cut_at_pauses(blocks(sound, SAMPLE_RATE)))
        assert [one.piece for one in found] == [None] * len(found)
        assert found[-1].until == 70.0


def test_silence_around_speech_is_left_out(talk: Samples) -> None:
    hush = np.zeros(40 * SAMPLE_RATE, np.float32)
    sound = np.concatenate([hush, talk[: 10 * SAMPLE_RATE], hush])
    pieces = [one.piece for one in cut_at_pauses(blocks(sound, SAMPLE_RATE)) if one.piece]
    assert sum(len(piece.samples) for piece in pieces) < 12 * SAMPLE_RATE
    assert all(39 <= piece.start <= 51 for piece in pieces)


@pytest.mark.parametrize("length", [0, 1, 100, 512, SAMPLE_RATE // 10])
def test_a_moment_is_no_crash(length: int) -> None:
    sound = np.full(length, 0.1, np.float32)
    found = list(cut_at_pauses([sound]))
    assert len(found) == (1 if length else 0)
    assert all(one.piece is None for one in found)


def test_nothing_at_all_is_nothing() -> None:
    assert list(cut_at_pauses([])) == []


def test_without_a_pause_the_quietest_late_moment_is_the_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def all_speech(samples: Samples) -> list[tuple[int, int]]:
        return [(0, len(samples))]

    monkeypatch.setattr(pauses, "_speech", all_speech)
    dice = np.random.default_rng(0)
    sound = dice.normal(0, 0.2, 50 * SAMPLE_RATE).astype(np.float32)
    quiet = slice(27 * SAMPLE_RATE, 27 * SAMPLE_RATE + SAMPLE_RATE // 5)
    sound[quiet] *= 0.01
    found = list(cut_at_pauses(blocks(sound, SAMPLE_RATE)))
    assert len(found) == 2
    assert 27.0 <= found[0].until <= 27.2
    kept = np.concatenate([one.piece.samples for one in found if one.piece])
    np.testing.assert_array_equal(kept, sound)


def test_a_late_pause_is_preferred_to_a_longer_early_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoken = [(0, 5), (9, 22), (23, 30)]
    monkeypatch.setattr(
        pauses,
        "_speech",
        lambda samples: [
            (a * SAMPLE_RATE, b * SAMPLE_RATE) for a, b in spoken if b * SAMPLE_RATE <= len(samples)
        ],
    )
    sound = np.ones(WINDOW_SAMPLES, np.float32)
    assert next(cut_at_pauses([sound])).until == 22.5


def music(seconds: float) -> Samples:
    """A melody over a hum, as while one waits on the telephone."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    note, since = 220 + 55 * np.floor((time * 2) % 8), (time * 2) % 1
    melody = 0.2 * np.sin(2 * np.pi * note * time) * np.exp(-3 * since)
    return (melody + 0.1 * np.sin(2 * np.pi * 110 * time)).astype(np.float32)


def on_the_telephone(sound: Samples) -> Samples:
    spectrum = np.fft.rfft(sound)
    pitch = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    spectrum[(pitch < 300) | (pitch > 3400)] = 0
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)


@pytest.mark.parametrize("seconds", [10, 25, 35, 50])
def test_the_first_words_after_music_are_heard(talk: Samples, seconds: float) -> None:
    spoken = talk[: 10 * SAMPLE_RATE]
    alone = next(cut_at_pauses([on_the_telephone(spoken)])).piece
    sound = on_the_telephone(np.concatenate([music(seconds), spoken]))
    pieces = [one.piece for one in cut_at_pauses(blocks(sound, SAMPLE_RATE)) if one.piece]
    assert alone
    assert pieces[0].start - seconds == pytest.approx(alone.start, abs=0.15)


def test_the_first_words_after_music_within_a_piece_are_heard(talk: Samples) -> None:
    spoken = talk[: 8 * SAMPLE_RATE]
    sound = on_the_telephone(np.concatenate([spoken, music(8), spoken]))
    [piece] = [one.piece for one in cut_at_pauses([sound]) if one.piece]
    after = [a for a, _ in piece.speech if a / SAMPLE_RATE + piece.start > 12]
    assert after[0] / SAMPLE_RATE + piece.start < 16.6


def test_where_speech_is_in_a_piece(heard: list[SpeechChunk]) -> None:
    for one in heard:
        assert one.piece
        edges = [edge for stretch in one.piece.speech for edge in stretch]
        assert edges == sorted(edges)
        assert 0 <= edges[0] < SAMPLE_RATE
        assert len(one.piece.samples) - SAMPLE_RATE < edges[-1] <= len(one.piece.samples)
    assert Piece(np.zeros(9, np.float32), 0.0).speech == ((0, 9),)
