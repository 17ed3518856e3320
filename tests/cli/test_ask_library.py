"""`fls ask` over many recordings reads those that promise an answer."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from media_files import tone, write_wav
from tiny_model import TinyModel, play

Capture = pytest.CaptureFixture[str]

SUBJECTS = (
    "honey bridges trains bread rivers clocks trees boats lamps sheep glass stones".split()  # noqa: SIM905
)


@pytest.fixture
def talks(tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve recordings, each about something else; the first two mention honey."""
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("FLS_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "talks"
    folder.mkdir()
    coming = iter(SUBJECTS)

    def begins() -> None:
        subject = next(coming)
        honey = " They smell of honey." if subject == "bridges" else ""
        tiny.transcriber.said = (f"This talk is about {subject}.{honey}",)

    tiny.transcriber.begins = begins
    for number in range(len(SUBJECTS)):
        write_wav(folder / f"talk-{number:02}.wav", tone(300 + 10 * number, 2))
    return folder


def test_recordings_that_promise_an_answer_are_read(
    tiny: TinyModel, talks: Path, capfd: Capture
) -> None:
    asked = ["ask", "--cache", str(talks), "What is said of honey?"]
    played = play(capfd, *asked)
    assert played.code == 0
    assert "reading 2 of 12 recordings" in played.err
    assert "--all reads every one" in played.err
    headings = [line for line in played.lines if line.startswith("==> ")]
    assert [Path(line.strip("=> <")).name for line in headings] == [
        "talk-00.wav",
        "talk-01.wav",
        "all recordings",
    ]
    # All were heard for that, once.
    assert len(tiny.transcriber.efforts) == 12
    everything = play(capfd, *asked, "--all")
    assert "reading" not in everything.err
    assert everything.out.count("==> ") == 13
    assert len(tiny.transcriber.efforts) == 12


def test_json_says_how_many_were_read(tiny: TinyModel, talks: Path, capfd: Capture) -> None:
    played = play(capfd, "ask", "--cache", str(talks), "Is there honey?", "--json")
    over_all = json.loads(played.lines[-1])
    assert over_all["recordings"] == {"read": 2, "of": 12}
    assert len(played.lines) == 3
    whole = play(capfd, "ask", "--cache", str(talks), "Is there honey?", "--json", "--all")
    assert "recordings" not in json.loads(whole.lines[-1])


def test_several_questions_are_asked_of_what_is_read_for_any(
    tiny: TinyModel, talks: Path, capfd: Capture
) -> None:
    asked = ["-q", "What is said of trains?", "-q", "What is said of lamps?"]
    played = play(capfd, "ask", "--cache", str(talks), *asked)
    assert "reading 2 of 12 recordings" in played.err
    assert "talk-02.wav" in played.out
    assert "talk-08.wav" in played.out


def test_where_no_word_was_said_all_are_read(tiny: TinyModel, talks: Path, capfd: Capture) -> None:
    played = play(capfd, "ask", "--cache", str(talks), "Zeppelin?")
    assert "no word of the question was said in any recording" in played.err
    assert played.out.count("==> ") == 13


@pytest.mark.parametrize("how", ["few", "folder", "part", "no cache"])
def test_else_all_are_read(tiny: TinyModel, talks: Path, capfd: Capture, how: str) -> None:
    asked = {
        "few": ["--cache", *map(str, sorted(talks.iterdir())[:10])],
        "folder": ["--cache", str(talks), "-o", str(talks.parent / "notes")],
        "part": ["--cache", str(talks), "--start", "0:01"],
        "no cache": ["--no-cache", str(talks)],
    }[how]
    played = play(capfd, "ask", *asked, "What is said of honey?")
    assert played.code == 0
    assert "reading" not in played.err
    assert len(tiny.transcriber.efforts) == (10 if how == "few" else 12)


def test_a_pipe_with_a_name_is_read_once(tiny: TinyModel, talks: Path, capfd: Capture) -> None:
    fifo = talks.parent / "fifo"
    os.mkfifo(fifo)
    sound = (talks / "talk-00.wav").read_bytes()
    writer = threading.Thread(target=fifo.write_bytes, args=(sound,), daemon=True)
    writer.start()
    asked = ["ask", "--cache", str(fifo), *map(str, sorted(talks.iterdir())), "What of honey?"]
    played = play(capfd, *asked)
    writer.join(10)
    assert played.code == 0
    assert "reading" not in played.err
    assert played.out.count("==> ") == 14


def test_what_cannot_be_heard_is_said_once(tiny: TinyModel, talks: Path, capfd: Capture) -> None:
    (talks / "talk-05.wav").write_bytes(b"RIFF no sound")
    played = play(capfd, "ask", "--cache", str(talks), "nowhere.wav", "What is said of honey?")
    assert played.code == 1
    assert "reading 2 of 11 recordings" in played.err
    assert played.err.count("nowhere.wav: ") == 2
    assert "talk-05.wav" in played.err
