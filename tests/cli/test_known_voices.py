"""`fls speakers`: voices with a name, and recordings in which they are known again."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from test_speakers import VOICES, Scripted, voice
from tiny_model import SAID, TinyModel, play

from fls_cli.storage.voices import keep_voice, known_voices
from fls_models.speakers.turn import SpeakerTurn

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("FLS_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr("fls_models.speakers.diarizer.Diarizer", Scripted)
    monkeypatch.setattr("fls_models.speakers.diarization.Diarization", Scripted)
    return tmp_path / "voices"


def test_a_voice_is_learnt_and_known_again_in_every_recording(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    learnt = play(capfd, "speakers", "add", "Anna  Wells", str(talk), "--speaker", "S2")
    assert (learnt.code, learnt.err) == (0, "")
    assert learnt.lines == [f"Anna Wells: 12 s of {talk}; 12 s are known"]
    # Not unless speakers are asked for.
    assert play(capfd, "transcribe", str(talk)).lines == list(SAID)
    other = shutil.copy(talk, tmp_path / "other.wav")
    heard = play(capfd, "transcribe", str(talk), str(other), "--speakers", "auto")
    assert heard.out.count(f"Anna Wells: {SAID[1]}") == 2
    assert heard.err.count("S2 sounds like Anna Wells (1.0") == 2
    # What the user says of this recording counts more.
    said = play(capfd, "transcribe", str(talk), "--speaker-name", "S1=Anna Wells")
    assert said.lines == [f"Anna Wells: {SAID[0]}", f"S2: {SAID[1]}", f"Anna Wells: {SAID[2]}"]


def test_finished_results_are_done_again_for_a_voice_that_is_new(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    asked = ["transcribe", str(talk), "--speakers", "auto", "-o", f"{tmp_path}/out/"]
    play(capfd, *asked)
    [result] = (tmp_path / "out").glob("*.txt")
    assert "1 of 1 were finished before" in play(capfd, *asked).err
    play(capfd, "speakers", "add", "Anna", str(talk), "--speaker", "0:01.5")
    play(capfd, *asked)
    assert f"Anna: {SAID[1]}" in result.read_text("utf-8")


def test_the_list_grows_and_shrinks(talk: Path, folder: Path, capfd: Capture) -> None:
    assert play(capfd, "speakers", "list").out == ""
    play(capfd, "speakers", "add", "Bo", str(talk), "--speaker", "S1")
    for who in ("S2", "S1", "S1"):
        play(capfd, "speakers", "add", "anna", str(talk), "--speaker", who)
    assert play(capfd, "speakers", "list").lines == [
        "anna      24 s  2 samples",
        "Bo        12 s  1 sample",
    ]
    rows = json.loads(play(capfd, "speakers", "list", "--json").out)
    assert rows[0] == {"name": "anna", "seconds": 24.0, "samples": 2}
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    refused = play(capfd, "speakers", "remove", "Bo", "Cy")
    assert refused.code == 2
    assert "No voice of Cy is known; there are: anna, Bo." in refused.err
    assert "No voice of S1 is known" in play(capfd, "speakers", "remove", "S1").err
    assert play(capfd, "speakers", "remove", "Bo", "anna").code == 0
    assert list(folder.iterdir()) == []
    none = play(capfd, "speakers", "list")
    assert (none.code, none.out) == (0, "")
    assert "no voice has a name yet" in none.err


def test_a_sample_of_several_voices_is_none(talk: Path, capfd: Capture) -> None:
    played = play(capfd, "speakers", "add", "Anna", str(talk))
    assert (played.code, known_voices().voices) == (1, ())
    assert "holds 2 voices (S1 from 0:00, S2 from 0:01); say with --speaker which" in played.err
    nobody = play(capfd, "speakers", "add", "Anna", str(talk), "--speaker", "S4")
    assert "there is no S4; there is S1, S2" in nobody.err
    late = play(capfd, "speakers", "add", "Anna", str(talk), "--speaker", "5:00")
    assert "nobody speaks at 5:00; there is S1, S2" in late.err


def test_a_sample_of_too_little_is_none(
    talk: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scripted, "speakers", [])
    silent = play(capfd, "speakers", "add", "Anna", str(talk), "--no-cache")
    assert silent.code == 1
    assert "no voice is heard in it; take a sample of Anna alone" in silent.err
    monkeypatch.setattr(Scripted, "speakers", ["S1"])
    monkeypatch.setitem(VOICES, "S1", voice(1, 0, 0, seconds=3.96))
    short = play(capfd, "speakers", "add", "Anna", str(talk), "--no-cache")
    assert "3.9 s of a single voice were heard; 4 are needed" in short.err
    assert known_voices().voices == ()


def test_one_of_several_samples_may_fail(talk: Path, tmp_path: Path, capfd: Capture) -> None:
    played = play(capfd, "speakers", "add", "Bo", f"{tmp_path}/no.wav", str(talk), "--speaker=S1")
    assert played.code == 1
    assert "no.wav" in played.err
    assert [each.name for each in known_voices().voices] == ["Bo"]


def test_voices_that_may_be_mistaken_are_told(talk: Path, capfd: Capture) -> None:
    keep_voice("Bo", VOICES["S1"])
    keep_voice("Cy", VOICES["S2"])
    played = play(capfd, "speakers", "add", "Bo", str(talk), "--speaker", "S2")
    assert "does not sound like Bo so far (0." in played.err
    assert len(known_voices().voices[0].samples) == 2
    assert "sounds like Cy, too (1." in played.err


@pytest.mark.parametrize("name", ["S3", " ", "x" * 61])
def test_names_that_are_refused(talk: Path, name: str, capfd: Capture) -> None:
    played = play(capfd, "speakers", "add", name, str(talk))
    assert (played.code, known_voices().voices) == (2, ())


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"schema": "fls.voice/1", "name": "Bo"}', "\xff"]
)
def test_a_damaged_file_is_named_and_takes_nothing_else_away(
    tiny: TinyModel, folder: Path, talk: Path, content: str, capfd: Capture
) -> None:
    keep_voice("Cy", VOICES["S2"])
    (folder / "Bo.json").write_text(content, "latin-1")
    problem = "Bo.json holds no voice that this version knows; remove the file"
    listed = play(capfd, "speakers", "list")
    assert (listed.code, listed.lines) == (0, ["Cy      12 s  1 sample"])
    assert problem in listed.err
    played = play(capfd, "transcribe", str(talk), str(talk), "--speakers", "auto")
    assert played.code == 0
    # Once, of however many recordings.
    assert played.err.count(problem) == 1
    assert "S2 sounds like Cy (1.00)" in played.err
    played = play(capfd, "speakers", "add", "Di", str(talk), "--speaker", "S1")
    assert (played.code, played.err.count(problem)) == (0, 1)
    assert play(capfd, "speakers", "remove", "Di", "Cy").code == 0


def test_nothing_is_added_to_a_damaged_file(folder: Path, talk: Path, capfd: Capture) -> None:
    keep_voice("Cy", VOICES["S2"])
    [file] = folder.glob("*.json")
    file.write_text("{}")
    played = play(capfd, "speakers", "add", "Cy", str(talk), "--speaker", "S1")
    assert (played.code, played.out, played.err.count("\n")) == (2, "", 1)
    assert f"{file.name} holds no voice that this version knows; remove the file" in played.err
    assert file.read_text() == "{}"


def test_a_name_may_be_anything_on_a_line(talk: Path, folder: Path, capfd: Capture) -> None:
    for name in ("../../up", "a/b", "-", "Ünïcødé", "CON", "."):
        assert play(capfd, "speakers", "add", "--speaker", "S1", "--", name, str(talk)).code == 0
    assert len(known_voices().voices) == 6
    assert len(list(folder.iterdir())) == 6


def test_no_folder_to_keep_them_in(
    talk: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fls_cli.storage.voices.config_file", lambda: None)
    played = play(capfd, "speakers", "add", "Bo", str(talk), "--speaker", "S1")
    assert played.code == 3
    assert "set FLS_CONFIG" in played.err
    assert play(capfd, "speakers", "list").code == 0


def test_what_is_kept_is_what_was_heard() -> None:
    known = keep_voice("Bo", voice(0.5, 0.1, 0.8))
    assert known.voices[0].likeness(voice(0.5, 0.1, 0.8)) == pytest.approx(1.0, abs=0.05)
    assert known.seconds == pytest.approx(12)


def test_who_may_be_two_is_neither_and_that_is_told(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    for name in ("Anna", "Bo"):
        keep_voice(name, VOICES["S2"])
    played = play(capfd, "transcribe", str(talk), "--speakers", "auto")
    assert played.lines[1] == f"S2: {SAID[1]}"
    assert "S2 sounds like Anna (1.00) or Bo (1.00); nobody is named" in played.err


def test_a_time_is_a_second_as_clocks_show_it(
    tiny: TinyModel, talk: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turns(self: Scripted, fewest: int = 1, most: int | None = None) -> list[SpeakerTurn]:
        return [SpeakerTurn(0.0, 1.2, "S1"), SpeakerTurn(1.7, 3.0, "S2")]

    monkeypatch.setattr(Scripted, "turns", turns)
    played = play(capfd, "speakers", "add", "Bo", str(talk), "--speaker", "0:02")
    assert (played.code, played.err) == (0, "")
    refused = play(capfd, "speakers", "add", "Cy", str(talk))
    assert "S2 from 0:01" in refused.err
    assert play(capfd, "speakers", "add", "Cy", str(talk), "--speaker", "0:01").code == 0
    inside = play(capfd, "speakers", "add", "Di", str(talk), "--speaker", "0:01.3")
    assert "nobody speaks" not in inside.err
