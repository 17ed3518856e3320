"""Where an answer comes from: as times, as clips, as a page."""

from __future__ import annotations

import io
import json
import re
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from media_files import tone, write_wav
from tiny_model import FOREIGN, SAID, TinyModel, play

from fls_cli.options.optional_numbers import with_numbers
from fls_cli.writers.results import between
from fls_models.core.results import NOT_SAID, Span

Capture = pytest.CaptureFixture[str]

WHAT = "What stands along the streets?"
WHO = f"Who is the {FOREIGN}?"
LINE = re.compile(r"\[(\d+:\d\d)-(\d+:\d\d)\] (.+)")
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["--evidence"], ["--evidence", "3"]),
        (["--evidence", "a.mp3", "Who?"], ["--evidence", "3", "a.mp3", "Who?"]),
        (["--evidence", "5", "a.mp3"], ["--evidence", "5", "a.mp3"]),
        (["--evidence", "--json"], ["--evidence", "3", "--json"]),
        (["--evidence=2", "a.mp3"], ["--evidence=2", "a.mp3"]),
        (["a.mp3", "--", "--evidence"], ["a.mp3", "--", "--evidence"]),
        (["--evidence", "--", "5"], ["--evidence", "3", "--", "5"]),
        (["--evidence", "-1"], ["--evidence", "-1"]),
    ],
)
def test_the_number_may_be_left_out(typed: list[str], meant: list[str]) -> None:
    assert with_numbers(typed) == meant


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        (751.4, 777.2, "12:31-12:58"),
        (0.0, 5.0, "0:00-0:05"),
        (59.99, 60.01, "0:59-1:01"),
        (3590.0, 3725.0, "59:50-1:02:05"),
        (36_000.0, 36_001.0, "10:00:00-10:00:01"),
    ],
)
def test_shown_times_hold_all_of_it(start: float, end: float, shown: str) -> None:
    assert between(Span(start, end)) == shown


def test_an_answer_is_followed_by_its_evidence(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    plain = play(capfd, "ask", str(talk), WHAT).lines
    shown = play(capfd, "ask", str(talk), WHAT, "--evidence").lines
    assert shown[: len(plain)] == plain
    found = [LINE.fullmatch(line) for line in shown[len(plain) :]]
    assert 1 <= len(found) <= 3
    for one in found:
        assert one is not None
        assert any(sentence in one[3] for sentence in SAID)


def test_evidence_may_stand_before_the_recording(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    behind = play(capfd, "ask", str(talk), WHAT, "--evidence")
    before = play(capfd, "ask", "--evidence", str(talk), WHAT)
    assert before == behind


def test_json_has_it_anyway(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    told = json.loads(play(capfd, "ask", str(talk), WHAT, "--json").out)
    assert 1 <= len(told["evidence"]) <= 3
    for passage in told["evidence"]:
        assert list(passage) == ["start", "end", "share", "text"]
        assert 0 <= passage["start"] < passage["end"] <= 4
        assert 0 < passage["share"] <= 1
        assert any(sentence in passage["text"] for sentence in SAID)
    assert told["usage"]["seconds"]["evidence"] >= 0
    [one] = json.loads(play(capfd, "ask", str(talk), WHAT, "--json", "--evidence", "1").out)[
        "evidence"
    ]
    assert one == told["evidence"][0]


def test_none_is_looked_for_where_none_is_wanted(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    told = json.loads(play(capfd, "ask", str(talk), WHAT, "--json", "--evidence", "0").out)
    assert told["evidence"] == []
    assert "evidence" not in told["usage"]["seconds"]


def test_what_is_not_said_has_no_evidence(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    clips = tmp_path / "clips"
    played = play(capfd, "ask", str(talk), WHO, "--evidence", "--clips", str(clips))
    assert played.lines == [NOT_SAID]
    assert not clips.exists()


def test_times_are_those_of_the_recording(tiny: TinyModel, tmp_path: Path, capfd: Capture) -> None:
    talk = write_wav(tmp_path / "talk.wav", tone(440, 20))
    told = json.loads(play(capfd, "ask", str(talk), WHAT, "--json", "--start", "10").out)
    assert all(10 <= passage["start"] <= 14 for passage in told["evidence"])


def test_a_number_below_nothing_is_refused(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "ask", str(talk), WHAT, "--evidence", "-1")
    assert played.code == 2
    assert "--evidence" in played.err


def test_chat_shows_it_too(
    tiny: TinyModel, talk: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chat(*options: str) -> list[str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WHAT.encode())))
        return play(capfd, "chat", str(talk), *options).lines

    *_, last = chat("--evidence")
    assert LINE.fullmatch(last)
    [line] = chat("--json")
    assert json.loads(line)["evidence"]


def samples(clip: Path) -> np.ndarray:
    with wave.open(str(clip), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def test_clips_are_the_passages(tiny: TinyModel, tmp_path: Path, capfd: Capture) -> None:
    # A louder second for each sentence, so that it shows which was cut out.
    sound = np.concatenate([tone(440, 1) * (0.2 + 0.2 * i) for i in range(4)]).astype(np.float32)
    talk = write_wav(tmp_path / "talk.wav", sound)
    clips = tmp_path / "clips" / "here"
    played = play(capfd, "ask", str(talk), WHAT, "--json", "--clips", str(clips))
    passages = json.loads(played.out)["evidence"]
    assert passages
    found = sorted(clips.iterdir())
    assert played.err.count("wrote") == len(found) == len(passages)
    for passage, clip in zip(sorted(passages, key=lambda one: one["start"]), found, strict=True):
        start, end = passage["start"], passage["end"]
        assert re.fullmatch(r"talk\.0h00m0\ds-0h00m0\ds\.wav", clip.name)
        heard = samples(clip)
        assert len(heard) == pytest.approx((end - start) * 16_000, abs=2)
        middle = round((start + end) / 2 * 16_000)
        expected = np.abs(sound[middle - 500 : middle + 500]).max()
        half = len(heard) // 2
        assert np.abs(heard[half - 500 : half + 500]).max() == pytest.approx(expected, abs=0.02)
        # Cut without a click.
        assert abs(heard[0]) < 0.001


def test_stdout_is_the_answer_unless_evidence_is_asked_for(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    plain = play(capfd, "ask", str(talk), WHAT).out
    shown = ("--clips", str(tmp_path / "clips"), "--report", str(tmp_path / "page.html"))
    assert play(capfd, "ask", str(talk), WHAT, *shown).out == plain
    assert len(play(capfd, "ask", str(talk), WHAT, *shown, "--evidence").out) > len(plain)


def test_clips_of_several_recordings_do_not_mix(
    tiny: TinyModel, tmp_path: Path, capfd: Capture
) -> None:
    for folder in ("monday", "tuesday"):
        (tmp_path / folder).mkdir()
        write_wav(tmp_path / folder / "talk.wav", tone(440, 4))
    talks = [str(tmp_path / folder / "talk.wav") for folder in ("monday", "tuesday")]
    clips = tmp_path / "clips"
    played = play(capfd, "ask", *talks, "-q", WHAT, "-q", WHAT + " Where?", "--clips", str(clips))
    assert played.code == 0
    found = sorted(path.relative_to(clips) for path in clips.rglob("*.wav"))
    assert {path.parts[0] for path in found} == {"monday", "tuesday"}


def test_a_clip_keeps_a_long_name_short(tiny: TinyModel, tmp_path: Path, capfd: Capture) -> None:
    talk = write_wav(tmp_path / f"{'t' * 240}.wav", tone(440, 4))
    clips = tmp_path / "clips"
    assert play(capfd, "ask", str(talk), WHAT, "--clips", str(clips)).code == 0
    assert all(len(clip.name.encode()) <= 255 for clip in clips.iterdir())


def test_no_folder_for_clips_is_said_before_the_work(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    played = play(capfd, "ask", str(talk), WHAT, "--clips", str(talk))
    assert played.code == 2
    assert "is no folder" in played.err
    assert tiny.transcriber.asked == []


def test_a_report_holds_answers_and_passages(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    page = tmp_path / "page.html"
    played = play(capfd, "ask", str(talk), "-q", WHAT, "-q", WHO, "--report", str(page), "--json")
    assert played.code == 0
    assert f"wrote {page}" in played.err
    told = [json.loads(line) for line in played.lines]
    written = page.read_text("utf-8")
    assert WHAT in written
    assert told[0]["answer"].splitlines()[0] in written
    assert NOT_SAID in written
    for passage in told[0]["evidence"]:
        assert between(Span(passage["start"], passage["end"])) in written
    assert "data:audio/mpeg;base64," in written


def test_recordings_have_a_page_each(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    other = write_wav(tmp_path / "other.wav", tone(300, 4))
    pages = tmp_path / "pages"
    one = play(capfd, "ask", str(talk), str(other), WHAT, "--report", str(tmp_path / "page.html"))
    assert one.code == 2
    assert "name a folder" in one.err
    assert tiny.transcriber.asked == []
    played = play(capfd, "ask", str(talk), str(other), WHAT, "--report", f"{pages}/")
    assert played.code == 0
    assert sorted(path.name for path in pages.iterdir()) == ["other.html", "talk.html"]


@pytest.mark.parametrize("place", ["page.pdf", "nowhere/page.html"])
def test_a_page_that_cannot_be_is_said_before_the_work(
    tiny: TinyModel, talk: Path, tmp_path: Path, place: str, capfd: Capture
) -> None:
    played = play(capfd, "ask", str(talk), WHAT, "--report", str(tmp_path / place))
    assert played.code == 2
    assert tiny.transcriber.asked == []


@pytest.mark.weights
def test_a_talk_is_quoted_where_it_speaks(capfd: Capture) -> None:
    played = play(
        capfd,
        *("ask", str(EXAMPLES / "talk.mp4"), "How many tools does the library have?"),
        *("--end", "0:35", "--evidence", "1", "--quiet"),
    )
    answer, line = played.lines
    assert "340" in answer
    found = LINE.fullmatch(line)
    assert found is not None
    assert (found[1], "340 tools" in found[3]) == ("0:22", True)
