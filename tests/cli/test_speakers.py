"""`--speakers`: who says what, in every form; and what goes wrong costs no words."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from media_files import run_ffmpeg
from tiny_model import SAID, TinyModel, play

from fls_cli.session.hearing.speaker_wish import SpeakerWish
from fls_cli.writers.transcripts.cues import cues
from fls_models.core.results import Sentence, Transcript, Word
from fls_models.errors import UsageError
from fls_models.speakers.assignment import with_speakers
from fls_models.speakers.clustering import Clusters
from fls_models.speakers.identification import Voice
from fls_models.speakers.turn import SpeakerTurn

Capture = pytest.CaptureFixture[str]


def voice(*numbers: float, seconds: float = 12.0) -> Voice:
    """One that was heard in four stretches, all alike."""
    mean = np.array(numbers) / np.linalg.norm(numbers)
    each = np.full(4, seconds / 4)
    return Voice(Clusters.of(np.tile(mean, (4, 1)), each).grouped(np.zeros(4, np.int64), 1))


VOICES = {"S1": voice(1, 0, 0), "S2": voice(0, 1, 0.2)}


class Scripted:
    """Says that two take turns, a second each, if that is not asked otherwise."""

    heard: ClassVar[list[int]] = []
    fails: ClassVar[str] = ""
    speakers: ClassVar[list[str]] = ["S1", "S2", "S1"]

    def __init__(self) -> None:
        self.heard.append(0)

    def add(self, block: np.ndarray) -> None:
        if self.fails:
            raise RuntimeError(self.fails)
        self.heard[-1] += len(block)

    def finish(self) -> Scripted:
        return self

    def to_bytes(self) -> bytes:
        return b""

    @classmethod
    def from_bytes(cls, content: bytes) -> Scripted:
        return cls.__new__(cls)

    def turns(self, fewest: int = 1, most: int | None = None) -> list[SpeakerTurn]:
        names = self.speakers if most != 1 else ["S1"] * len(self.speakers)
        return [SpeakerTurn(at, at + 1, name) for at, name in enumerate(names)]

    def voices(self, turns: list[SpeakerTurn]) -> dict[str, Voice]:
        names = dict.fromkeys(turn.speaker for turn in turns)
        return {name: VOICES[name] for name in names if name in VOICES}


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Scripted, "heard", [])
    monkeypatch.setattr("fls_models.speakers.diarizer.Diarizer", Scripted)
    monkeypatch.setattr("fls_models.speakers.diarization.Diarization", Scripted)


def test_each_sentence_has_its_speaker(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(talk), "--speakers", "auto")
    assert (played.code, played.err) == (0, "")
    assert played.lines == [f"S1: {SAID[0]}", f"S2: {SAID[1]}", f"S1: {SAID[2]}"]
    # While it is decoded once.
    assert Scripted.heard == [4 * 16000]


def test_what_is_known_is_not_heard_again(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    asked = ["transcribe", str(talk), "--cache", "--speakers"]
    first = play(capfd, *asked, "auto")
    assert play(capfd, *asked, "auto").lines == first.lines
    assert len(Scripted.heard) == 1
    # For another number of speakers, neither.
    one = play(capfd, *asked, "1")
    assert one.lines == [f"S1: {sentence}" for sentence in SAID]
    assert len(Scripted.heard) == 1
    assert len(tiny.transcriber.efforts) == 1


def test_names(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    names = ["--speaker-name", "s1=Anna  Wells", "--speaker-name", "0:01.5=Bo"]
    played = play(capfd, "transcribe", str(talk), *names)
    assert played.lines == [f"Anna Wells: {SAID[0]}", f"Bo: {SAID[1]}", f"Anna Wells: {SAID[2]}"]
    assert played.err == ""
    wrong = ["--speaker-name", "S7=Bo", "--speaker-name", "1h=Cy"]
    played = play(capfd, "transcribe", str(talk), *wrong)
    assert played.code == 0
    assert played.lines[0] == f"S1: {SAID[0]}"
    assert "Bo names nobody: there is no S7 (there are S1, S2)" in played.err
    assert "Cy names nobody: nobody speaks at 1:00:00 (there are S1, S2)" in played.err


def test_names_that_are_not_clear(
    tiny: TinyModel, talk: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["transcribe", str(talk), "--quiet", "--speaker-name"]
    both = play(capfd, *asked[:2], *asked[3:], "S1=Anna", "--speaker-name", "S2=Anna")
    assert both.lines == [f"Anna: {sentence}" for sentence in SAID]
    assert "S1 and S2 are both Anna" in both.err
    again = play(capfd, *asked[:2], *asked[3:], "S2=Anna", "--speaker-name", "0:01.5=Bo")
    assert again.lines[1] == f"Anna: {SAID[1]}"
    assert "0:01 is S2, who is Anna already; Bo names nobody" in again.err
    near = play(capfd, *asked[:2], *asked[3:], "4.5s=Bo")
    assert near.lines[0] == f"Bo: {SAID[0]}"
    assert "nobody speaks at 0:04; taken for S1, who speaks from 0:02 to 0:03" in near.err
    monkeypatch.setattr(Scripted, "speakers", ["S1"])
    alone = play(capfd, *asked[:2], "--no-cache", *asked[3:], "S2=Bo")
    assert "Bo names nobody: there is no S2 (there is S1 only)" in alone.err


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["S1=Anna", "s01=Bo"], "names S1 twice"),
        (["12s=Anna", "0:12=Bo"], "names 0:12 twice"),
        (["S1=S2"], "what nameless speakers are called"),
        (["S1=" + "x" * 61], "60 characters at most"),
    ],
)
def test_names_that_are_refused(talk: Path, names: list[str], reason: str, capfd: Capture) -> None:
    asked = [part for name in names for part in ("--speaker-name", name)]
    played = play(capfd, "transcribe", str(talk), *asked)
    assert played.code == 2
    assert reason in played.err


@pytest.mark.parametrize("command", ["transcribe", "chat"])
def test_a_name_is_of_one_recording(
    tiny: TinyModel, talk: Path, tmp_path: Path, command: str, capfd: Capture
) -> None:
    other = shutil.copy(talk, tmp_path / "other.wav")
    played = play(capfd, command, str(talk), str(other), "--speaker-name", "S1=Anna")
    assert (played.code, played.out) == (2, "")
    assert "in another, S1 is somebody else" in played.err
    assert tiny.transcriber.efforts == []


def test_subtitles(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    asked = ["transcribe", str(talk), "--speaker-name", "S1=A<b>", "-f"]
    srt = play(capfd, *asked, "srt").out
    texts = [" ".join(cue.split("\n")[2:]) for cue in srt.strip().split("\n\n")]
    assert texts == [f"A<b>: {SAID[0]}", f"S2: {SAID[1]}", f"A<b>: {SAID[2]}"]
    vtt = play(capfd, *asked, "vtt").out
    assert f"\n<v A&lt;b&gt;>{SAID[0]}\n" in vtt
    assert vtt.count("<v ") == 3


def test_a_cue_is_of_one_speaker(tiny: TinyModel) -> None:
    words = [Word(at / 4, at / 4 + 0.25, f" {text}", 0.9) for at, text in enumerate("abcdef")]
    # A clause, which would be one cue.
    whole = Transcript("en", (Sentence(tuple(words)),), 2.0)
    assert len(cues(whole)) == 1
    turns = [SpeakerTurn(0, 0.75, "S1"), SpeakerTurn(0.75, 1.5, "S2")]
    found = cues(with_speakers(whole, turns), named=True)
    assert [(cue.text, cue.speaker) for cue in found] == [("S1: a b c", "S1"), ("S2: d e f", "S2")]


def test_json(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    asked = ["transcribe", str(talk), "-f", "json", "--words", "--speakers", "1-3"]
    payload = json.loads(play(capfd, *asked).out)
    assert [each["speaker"] for each in payload["sentences"]] == ["S1", "S2", "S1"]
    assert {word["speaker"] for word in payload["sentences"][1]["words"]} == {"S2"}
    assert payload["turns"][1] == {"start": 1.0, "end": 2.0, "speaker": "S2"}
    plain = json.loads(play(capfd, "transcribe", str(talk), "-f", "json").out)
    assert "turns" not in plain
    assert "speaker" not in plain["sentences"][0]


def test_words_have_a_column_more(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(talk), "--words", "--speakers", "auto")
    assert played.lines[0].split("\t") == ["0.000", "0.250", "S1", "Copper"]


def test_times_are_those_of_the_recording(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    asked = ["transcribe", str(talk), "-f", "json", "--speakers", "auto", "--start", "1"]
    payload = json.loads(play(capfd, *asked).out)
    assert payload["turns"][0] == {"start": 1.0, "end": 2.0, "speaker": "S1"}
    assert payload["sentences"][0]["start"] == 1.0
    assert [each["speaker"] for each in payload["sentences"]] == ["S1", "S2", "S1"]


def test_what_fails_costs_no_words(
    tiny: TinyModel, talk: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scripted, "fails", "no room\nfor this")
    played = play(capfd, "transcribe", str(talk), "--speakers", "auto")
    assert (played.code, played.lines) == (0, list(SAID))
    assert played.err == (
        f"fls: {talk}: who speaks was not found out (no room); the words are all there\n"
    )


def test_fewer_voices_than_asked_for(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(talk), "--speakers", "4")
    assert played.code == 0
    assert "4 speakers were asked for; 2 voices are heard" in played.err


def test_other_counts_than_are_heard(
    tiny: TinyModel, talk: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = play(capfd, "transcribe", str(talk), "--speakers", "1")
    assert (
        "2 voices are heard; the most alike are taken for one, as --speakers asks for 1" in one.err
    )

    def turns(self: Scripted, fewest: int = 1, most: int | None = None) -> list[SpeakerTurn]:
        return [SpeakerTurn(at, at + 1, f"S{at + 1}") for at in range(fewest)]

    monkeypatch.setattr(Scripted, "turns", turns)
    three = play(capfd, "transcribe", str(talk), "--speakers", "3")
    assert "one voice is heard; cut into 3, since 3 were asked for: one person may be" in three.err
    assert {line.split(":")[0] for line in three.lines} == {"S1", "S2", "S3"}
    # More are not to be had.
    monkeypatch.setattr(Scripted, "turns", lambda self, n=1, most=None: turns(self, min(2, n)))
    many = play(capfd, "transcribe", str(talk), "--speakers", "8")
    assert "one voice is heard; cut into 2, since 8 were asked for" in many.err


def test_too_little_to_tell_is_one_speaker(
    tiny: TinyModel, talk: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scripted, "speakers", [])
    played = play(capfd, "transcribe", str(talk), "--speakers", "auto")
    assert played.lines == [f"S1: {sentence}" for sentence in SAID]


def test_silence_has_no_speakers(tiny: TinyModel, hush: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(hush), "--speakers", "auto")
    assert (played.code, played.out) == (0, "")
    assert "no speech was found" in played.err
    asked = ["--speakers", "2", "-f", "json"]
    assert "turns" not in json.loads(play(capfd, "transcribe", str(hush), *asked).out)


def test_several_recordings(tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture) -> None:
    other = tmp_path / "other.wav"
    run_ffmpeg("-i", str(talk), "-af", "volume=0.5", other)
    asked = ["--speakers", "auto", "-o", f"{tmp_path}/out/"]
    played = play(capfd, "transcribe", str(talk), str(other), *asked)
    assert played.code == 0
    texts = [file.read_text("utf-8") for file in sorted((tmp_path / "out").rglob("*.txt"))]
    assert len(texts) == 2
    assert all(text.startswith(f"S1: {SAID[0]}\n") for text in texts)
    shutil.rmtree(tmp_path / "out")


@pytest.mark.parametrize("text", ["0", "auto3", "3-2", "51", "-1", "2-", "1.5", "", "zwei"])
def test_a_count_that_is_none(talk: Path, text: str, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(talk), f"--speakers={text}")
    assert played.code == 2
    assert "--speakers takes auto, a number or a range like 2-4" in played.err


@pytest.mark.parametrize("text", ["Anna", "S1=", "S1= ", "=Anna", "x=Anna", "S=Anna", "-1=Anna"])
def test_a_name_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="--speaker-name takes S1=Anna or 0:12=Anna"):
        SpeakerWish.parse("auto", [text])


def test_wishes() -> None:
    assert SpeakerWish.parse(None) is None
    assert SpeakerWish.parse(" Auto ") == SpeakerWish()
    assert SpeakerWish.parse("3") == SpeakerWish(3, 3)
    assert SpeakerWish.parse("2-4") == SpeakerWish(2, 4)
    assert SpeakerWish.parse(None, ["S2=Bo", "90s=Cy"]) == SpeakerWish(
        names=(("S2", "Bo"), (90.0, "Cy"))
    )


def test_answers_rest_on_who_said_what(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    asked = ["ask", str(talk), "Who?", "--json", "--speaker-name", "S2=Bo", "--max-tokens", "2"]
    played = play(capfd, *asked)
    assert played.code == 0, played.err
    payload = json.loads(played.out)
    [passage] = payload["evidence"]
    assert passage["text"] in (f"S1: {SAID[0]}", f"Bo: {SAID[1]}", f"S1: {SAID[2]}")
    assert "speakers" in payload["usage"]["seconds"]
    # Another answer than without, of the same words.
    play(capfd, "ask", str(talk), "Who?", "--json", "--max-tokens", "2")
    assert Scripted.heard == [4 * 16000]


@pytest.mark.parametrize("command", ["summarize", "chat"])
def test_other_commands_look_for_speakers(
    tiny: TinyModel, talk: Path, command: str, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Who?\n")))
    played = play(capfd, command, str(talk), "--speakers", "9", "--max-tokens", "2")
    assert played.code == 0, played.err
    assert "9 speakers were asked for; 2 voices are heard" in played.err
    assert Scripted.heard == [4 * 16000]


def test_frames_have_no_speakers(
    tiny: TinyModel, talk: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyModel, "reads_by", "frames")
    played = play(capfd, "ask", str(talk), "Who?", "--speakers", "auto")
    assert played.code == 2
    assert "in which nobody has a name" in played.err
