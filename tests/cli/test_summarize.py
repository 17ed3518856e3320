"""`fls summarize` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from media_files import tone, write_wav
from tiny_model import TinyModel, play

from fls_models.answering.summaries.support import Support
from fls_models.core.results import NO_SPEECH

Capture = pytest.CaptureFixture[str]

HOSTILE = "\x1b]0;owned\x07a\x9b31mb\u202ec\nd\r"
HARMLESS = "]0;owneda31mbc d"
GARDEN = "The garden grows green beans and the garden needs rain number {}."
ENGINE = "Our engine burns diesel oil while that engine turns pistons number {}."


@pytest.fixture
def two_topics(tiny: TinyModel, tmp_path: Path) -> Path:
    """Two minutes about a garden and two about an engine, a sentence a second."""
    said = [GARDEN.format(i) for i in range(60)] + [ENGINE.format(i) for i in range(60)]
    tiny.transcriber.said = said
    return write_wav(tmp_path / "long.wav", tone(440, 120))


def test_one_recording_prints_its_summary_alone(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    played = play(capfd, "summarize", str(talk))
    assert (played.code, played.err) == (0, "")
    told = json.loads(play(capfd, "summarize", str(talk), "--json").out)
    assert told["summary"]
    assert played.out == told["summary"] + "\n"


def test_json_has_the_documented_keys(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "summarize", str(talk), "--json", "--style", "chapters")
    assert played.out.count("\n") == 1
    told = json.loads(played.out)
    assert list(told) == [
        "schema",
        "source",
        "style",
        "answered",
        "summary",
        "chapters",
        "warnings",
        "usage",
    ]
    assert told["schema"] == "fls.summary/1"
    [chapter] = told["chapters"]
    assert list(chapter) == ["start", "end", "title", "summary", "statements"]
    assert (chapter["start"], chapter["end"]) == (0.0, 3.0)
    assert told["usage"]["answer_tokens"] > 0
    bullets = json.loads(play(capfd, "summarize", str(talk), "--json", "--style", "bullets").out)
    assert list(bullets["chapters"][0]) == ["start", "end", "summary", "statements"]


def test_each_topic_is_a_bullet_and_a_chapter(
    tiny: TinyModel, two_topics: Path, capfd: Capture
) -> None:
    bullets = play(capfd, "summarize", str(two_topics), "--style", "bullets", "-b", "fast").lines
    assert len(bullets) >= 2
    assert all(line.startswith("- ") for line in bullets)
    chapters = play(
        capfd, "summarize", str(two_topics), "--style", "chapters", "-b", "fast"
    ).out.split("\n\n")
    assert len(chapters) >= 2
    assert chapters[0].startswith("[0:00:00] ")
    # The engine's first sentence begins the second chapter, to the second.
    assert "[0:01:00] " in "".join(chapters)


def test_several_recordings_have_headings(
    tiny: TinyModel, talk: Path, hush: Path, capfd: Capture
) -> None:
    played = play(capfd, "summarize", str(talk), str(hush))
    assert played.lines[0] == f"==> {talk} <=="
    assert played.lines[-2:] == [f"==> {hush} <==", NO_SPEECH]
    told = play(capfd, "summarize", str(talk), str(hush), "--json")
    assert [json.loads(line)["answered"] for line in told.lines] == [True, False]


@pytest.mark.parametrize("style", ["brief", "bullets", "chapters", "quotes", "actions"])
def test_silence_is_no_failure(tiny: TinyModel, hush: Path, style: str, capfd: Capture) -> None:
    played = play(capfd, "summarize", str(hush), "--style", style)
    assert (played.code, played.out, played.err) == (0, NO_SPEECH + "\n", "")


@pytest.mark.parametrize(
    "options", [[], ["--json"], ["--style", "chapters"], ["--json", "--style", "chapters"]]
)
def test_control_characters_never_reach_stdout(
    tiny: TinyModel,
    talk: Path,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    monkeypatch.setattr(type(tiny.language_model), "generate", lambda *_, **__: iter([HOSTILE]))
    # Not even what was said would bear it out.
    monkeypatch.setattr(Support, "bears_out", lambda *_: True)
    played = play(capfd, "summarize", str(talk), *options)
    assert HARMLESS in played.out
    assert all(letter.isprintable() or letter == "\n" for letter in played.out)
    # Nor escaped, for jq -r to let loose.
    assert "\\u" not in played.out


def test_an_output_file_gets_all_and_stdout_nothing(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    plain = play(capfd, "summarize", str(talk)).out
    played = play(capfd, "summarize", str(talk), "-o", str(tmp_path / "notes.txt"))
    assert (played.code, played.out, played.err) == (0, "", "")
    assert (tmp_path / "notes.txt").read_text() == plain


def test_a_bad_recording_among_good_ones(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "summarize", "gone.mp3", str(talk))
    assert played.code == 1
    reason = "gone.mp3: there is no such file; check the spelling."
    assert played.err == f"fls: {reason}\nfls: 1 of 2 failed:\nfls:   {reason}\n"
    assert played.lines[0] == f"==> {talk} <=="
    assert "gone.mp3" not in played.out


def test_an_unknown_style_names_the_known_ones(talk: Path, capfd: Capture) -> None:
    played = play(capfd, "summarize", str(talk), "--style", "haiku")
    assert (played.code, played.out) == (2, "")
    assert "brief, bullets, chapters" in played.err
