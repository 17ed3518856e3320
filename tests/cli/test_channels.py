"""`--channels each`: a speaker a channel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from media_files import write_wav
from tiny_model import SAID, TinyModel, play

Capture = pytest.CaptureFixture[str]
RATE = 16_000


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))


def noise(seed: int, seconds: float = 4.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.uniform(-0.3, 0.3, round(seconds * RATE))


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """Two who speak at once, and a channel on which nobody does."""
    sides = [noise(1), noise(2) * 0.2, np.zeros(4 * RATE)]
    return write_wav(tmp_path / "call.wav", np.stack(sides, axis=1))


def test_each_channel_is_a_speaker(tiny: TinyModel, call: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(call), "--channels", "each")
    assert (played.code, played.err) == (0, "")
    expected = [f"S{channel}: {sentence}" for sentence in SAID for channel in (1, 2)]
    assert played.lines == expected
    # Each was heard alone.
    assert len(tiny.transcriber.efforts) == 3


def test_names_and_json(tiny: TinyModel, call: Path, capfd: Capture) -> None:
    asked = ["transcribe", str(call), "--channels", "each", "-f", "json", "--speaker-name"]
    payload = json.loads(play(capfd, *asked, "S2=Anna").out)
    assert [each["speaker"] for each in payload["sentences"]] == ["S1", "Anna"] * 3
    assert payload["duration"] == 4.0
    assert [turn["speaker"] for turn in payload["turns"]] == ["S1", "Anna"]
    wrong = play(capfd, *asked, "S3=Bo")
    assert "Bo names nobody: there is no S3 (there are S1, S2)" in wrong.err


def test_what_was_heard_is_kept(tiny: TinyModel, call: Path, capfd: Capture) -> None:
    asked = ["transcribe", str(call), "--cache", "--channels"]
    first = play(capfd, *asked, "each")
    assert play(capfd, *asked, "each").lines == first.lines
    assert len(tiny.transcriber.efforts) == 3
    # And each channel for itself.
    assert play(capfd, *asked, "2").lines == list(SAID)
    assert len(tiny.transcriber.efforts) == 3


def test_leakage_is_left_out(tiny: TinyModel, tmp_path: Path, capfd: Capture) -> None:
    one, other = noise(1), noise(2)
    one[2 * RATE :] = 0
    other[: 2 * RATE] = 0
    sides = [one + 0.1 * np.roll(other, 40), other + 0.1 * np.roll(one, 40)]
    place = write_wav(tmp_path / "leaking.wav", np.stack(sides, axis=1))
    played = play(capfd, "transcribe", str(place), "--channels", "each")
    # The tiny model says the same on both, a sentence a second; the second sentence is of either.
    assert played.lines[0] == f"S1: {SAID[0]}"
    assert played.lines[-1] == f"S2: {SAID[2]}"
    assert played.out.count("Copper") == played.out.count("Nobody") == 1


def test_who_is_alone_in_a_part_is_who_they_are(
    tiny: TinyModel, tmp_path: Path, capfd: Capture
) -> None:
    other = noise(2)
    sides = np.stack([0.1 * np.roll(other, 40), other], axis=1)
    sides = np.concatenate([np.stack([noise(1), 0.1 * noise(1)], axis=1), sides])
    place = write_wav(tmp_path / "leaking.wav", sides)
    asked = ["transcribe", str(place), "--channels", "each", "--start", "4"]
    played = play(capfd, *asked, "--speaker-name", "S2=Bo")
    assert {line.split(":")[0] for line in played.lines} <= {"S1", "Bo"}
    assert "hold the same sound" not in played.err


def test_one_sound_on_all_channels_tells_nobody_apart(
    tiny: TinyModel, tmp_path: Path, capfd: Capture
) -> None:
    place = write_wav(tmp_path / "same.wav", np.stack([noise(1)] * 2, axis=1))
    played = play(capfd, "transcribe", str(place), "--channels", "each")
    assert (played.code, played.lines) == (0, list(SAID))
    assert "its channels hold the same sound, so they tell nobody apart" in played.err


def test_questions_know_who_speaks(tiny: TinyModel, call: Path, capfd: Capture) -> None:
    asked = ["ask", str(call), "Who?", "--json", "--max-tokens", "2", "--channels", "each"]
    played = play(capfd, *asked)
    assert played.code == 0, played.err
    texts = [passage["text"] for passage in json.loads(played.out)["evidence"]]
    assert any(text.startswith(("S1: ", "S2: ")) for text in texts)


def test_one_channel_is_no_each(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(talk), "--channels", "each")
    assert (played.code, played.out) == (1, "")
    assert "has one channel; --channels each is for 2 to 32" in played.err


def test_a_channel_that_one_of_several_has_not(
    tiny: TinyModel, talk: Path, call: Path, capfd: Capture
) -> None:
    played = play(capfd, "transcribe", str(talk), str(call), "--channels", "right")
    assert played.code == 1
    assert "there is no channel 2; it has one channel, which are heard" in played.err
    assert f"==> {call} <==" in played.out


def test_one_of_several_may_have_one_channel(
    tiny: TinyModel, talk: Path, call: Path, tmp_path: Path, capfd: Capture
) -> None:
    asked = ["--channels", "each", "-o", f"{tmp_path}/out/"]
    played = play(capfd, "transcribe", str(talk), str(call), *asked)
    assert played.code == 1
    assert [file.name for file in (tmp_path / "out").glob("*.txt")] == ["call.txt"]


def test_channels_are_not_counted_twice(tiny: TinyModel, call: Path, capfd: Capture) -> None:
    refused = play(capfd, "transcribe", str(call), "--channels", "each", "--speakers", "3")
    assert refused.code == 2
    assert "a speaker a channel; leave the number of --speakers out" in refused.err
    plain = play(capfd, "transcribe", str(call), "--channels", "each", "--speakers", "auto")
    assert (plain.code, len(plain.lines)) == (0, 6)


def test_frames_have_no_speakers(
    tiny: TinyModel, call: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyModel, "reads_by", "frames")
    played = play(capfd, "ask", str(call), "Who?", "--channels", "each")
    assert played.code == 2
    assert "in which nobody has a name" in played.err


def test_silence_has_no_speakers(tiny: TinyModel, tmp_path: Path, capfd: Capture) -> None:
    place = write_wav(tmp_path / "hush.wav", np.zeros((2 * RATE, 2)))
    played = play(capfd, "transcribe", str(place), "--channels", "each")
    assert (played.code, played.out) == (0, "")
    assert "no speech was found in it" in played.err


def test_of_a_silent_channel_the_way_out_is_told_once(
    tiny: TinyModel, tmp_path: Path, capfd: Capture
) -> None:
    sides = np.zeros((2 * RATE, 2))
    sides[:, 0] = np.sin(np.arange(2 * RATE))
    place = write_wav(tmp_path / "half.wav", sides)
    played = play(capfd, "transcribe", str(place), "--channels", "right")
    assert played.err.count("try --channels") == 1


def test_a_part_of_it(tiny: TinyModel, call: Path, capfd: Capture) -> None:
    asked = ["transcribe", str(call), "--channels", "each", "--start", "1", "-f", "json"]
    payload = json.loads(play(capfd, *asked).out)
    assert payload["sentences"][0]["start"] == 1.0
    assert {each["speaker"] for each in payload["sentences"]} == {"S1", "S2"}
