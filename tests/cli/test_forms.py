"""Every form of a transcript, as those read it who know the form; and several at once."""

from __future__ import annotations

import io
import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pysubs2
import pytest
import webvtt
from hypothesis import given, settings
from test_subtitles import spoken, transcripts
from test_writers import NOTHING, TALK, render
from tiny_model import SAID, TinyModel, play

from fls_cli.media.ffmpeg.locate import find_ffmpeg
from fls_cli.writers.results import ffmetadata
from fls_cli.writers.transcripts.cues import Screen, cues
from fls_cli.writers.transcripts.forms import FORMATS
from fls_cli.writers.transcripts.timed_words import columns
from fls_models.core.results import Chapter, Sentence, Transcript, Word
from fls_models.speakers.assignment import with_speakers
from fls_models.speakers.turn import SpeakerTurn

Capture = pytest.CaptureFixture[str]
NAMED = with_speakers(TALK, [SpeakerTurn(0, 5, "Anna"), SpeakerTurn(5.5, 8, "S2")])


@given(transcripts())
@settings(max_examples=60, deadline=None)
def test_strict_readers_read_what_is_written(transcript: Transcript) -> None:
    found = cues(transcript)
    subrip = pysubs2.SSAFile.from_string(render(transcript, "a", "srt"), format_="srt")
    assert [(event.start, event.end) for event in subrip] == [(c.start, c.end) for c in found]
    for words in (False, True):
        captions = webvtt.from_string(render(transcript, "a", "vtt", words=words)).captions
        assert len(captions) == len(found)
        times = [(c.start_in_seconds, c.end_in_seconds) for c in captions]
        assert times == [(c.start // 1000, c.end // 1000) for c in found]


def test_voices_are_read_as_voices() -> None:
    captions = webvtt.from_string(render(NAMED, "a", "vtt")).captions
    assert [caption.voice for caption in captions] == ["Anna", "Anna", "S2"]
    assert captions[0].text == "Good evening."


@pytest.mark.parametrize(("width", "lines"), [(8, 1), (20, 3), (42, 2), (100, 1), (37, 4)])
@given(transcript=transcripts())
@settings(max_examples=25, deadline=None)
def test_lines_are_as_many_and_as_wide_as_is_asked(
    width: int, lines: int, transcript: Transcript
) -> None:
    for cue in cues(transcript, Screen(width, lines)):
        shown = cue.text.split("\n")
        assert len(shown) <= lines
        assert max(map(columns, shown)) <= width
        # No line is left out that would be needed.
        assert all(shown)


def test_three_lines_are_balanced() -> None:
    text = "one two three four five six seven eight nine ten eleven twelve"
    [cue] = cues(spoken(text, each=0.2), Screen(24, 3))
    assert cue.text == "one two three four\nfive six seven eight\nnine ten eleven twelve"


def test_scripts_without_blanks_are_cut_between_phrases() -> None:
    text = "私たちのパンは寒い部屋で十四時間休ませてから焼きます"
    found = cues(spoken(text, "ja", each=0.1, spaces=False), Screen(24, 2))
    lines = [line for cue in found for line in cue.text.split("\n")]
    assert "".join(lines) == text
    starts = {text.index(phrase) for phrase in ("パンは", "寒い", "部屋で", "十四時間", "焼きます")}
    place = 0
    for line in lines[:-1]:
        place += len(line)
        assert place in starts, lines


def test_cues_are_as_a_guideline_asks() -> None:
    """At 2.5 words a second: 17 characters a second, 834 ms to 7 s, 84 ms between two."""
    text = " ".join(["Today we have three hundred and forty, and most want the machine."] * 12)
    found = cues(spoken(text, each=0.4))
    for cue, following in pairwise(found):
        seconds = (cue.end - cue.start) / 1000
        assert 0.834 <= seconds <= 7
        assert sum(map(columns, cue.text.split("\n"))) <= 17 * seconds
        assert following.start - cue.end >= 84


def test_tsv_is_that_of_whisper() -> None:
    assert render(TALK, "a", "tsv").startswith("start\tend\ttext\n500\t1100\tGood evening.\n")
    assert render(NAMED, "a", "tsv").splitlines()[0:2] == [
        "start\tend\ttext\tspeaker",
        "500\t1100\tGood evening.\tAnna",
    ]
    assert render(TALK, "a", "tsv", words=True).splitlines()[1] == "500\t800\tGood"
    assert render(NOTHING, "a", "tsv") == "start\tend\ttext\n"


def test_lrc() -> None:
    assert render(NAMED, "a", "lrc").splitlines() == [
        "[length:00:08.00]",
        "[00:00.50]Anna: Good evening.",
        "[00:01.50]We began with one drill.",
        "[00:03.00]",
        "[00:06.00]S2: It was lent.",
        "[00:07.00]",
    ]
    assert "[00:00.50]<00:00.50> Good <00:00.80> evening." in render(TALK, "a", "lrc", words=True)
    hours = Transcript("en", (Sentence((Word(6000, 6001, " Late.", 1),)),), 6010)
    assert "[100:00.00]Late." in render(hours, "a", "lrc")


def test_markdown() -> None:
    assert render(NAMED, "talks/one.mp3", "md", date="2026-11-30") == (
        '---\ntitle: "one"\nsource: "talks/one.mp3"\ndate: "2026-11-30"\nduration: "0:00:08"\n'
        'language: "en"\nspeakers: ["Anna", "S2"]\n---\n\n'
        "**Anna** [0:00]\nGood evening. We began with one drill.\n\n**S2** [0:06]\nIt was lent.\n"
    )
    assert render(TALK, "a", "md").count("\n[0:0") == 2


def test_markdown_shows_what_was_said() -> None:
    words = ["1.", "#", "*not*", "<b>a</b>", "[link](x)", "&", "`code`", "|", "~no~"]
    said = tuple(Word(n, n + 1, f" {word}", 1) for n, word in enumerate(words))
    talk = Transcript("en", (Sentence(said),), 9)
    text = render(talk, "a", "md").split("[0:00]\n")[1]
    assert text == ("\\1. # \\*not\\* \\<b\\>a\\</b\\> \\[link\\](x) \\& \\`code\\` \\| \\~no\\~\n")


def test_ffmpeg_reads_the_chapters(tmp_path: Path, talk: Path) -> None:
    titles = ["One = two; #3 \\ four", "Über [all]"]
    chapters = [Chapter(at, at + 1.5, title, ()) for at, title in enumerate(titles)]
    place = tmp_path / "chapters.ffmetadata"
    place.write_text(ffmetadata(chapters), "utf-8")
    out = tmp_path / "out.mka"
    command = [
        find_ffmpeg(),
        "-v",
        "error",
        "-i",
        str(talk),
        "-i",
        str(place),
        "-map_chapters",
        "1",
    ]
    subprocess.run([*command, str(out)], check=True)
    shown = subprocess.run(
        [find_ffmpeg(), "-i", str(out), "-f", "ffmetadata", "-"], capture_output=True, check=True
    ).stdout.decode()
    assert "START=1000000000" in shown or "START=1000" in shown
    assert "title=One \\= two\\; \\#3 \\\\ four" in shown
    assert "title=Über [all]" in shown


def test_a_chapter_lasts_until_the_next_one() -> None:
    text = ffmetadata([Chapter(0.2, 4.0, "One", ()), Chapter(5.5, 9.25, "Two", ())])
    found = [line for line in text.splitlines() if line.startswith(("START", "END"))]
    assert found == ["START=200", "END=5500", "START=5500", "END=9250"]


def test_chapters_as_ffmetadata(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    asked = ["summarize", str(talk), "--style", "ffmetadata", "--max-tokens", "2"]
    played = play(capfd, *asked)
    assert played.code == 0, played.err
    assert played.lines[:3] == [";FFMETADATA1", "[CHAPTER]", "TIMEBASE=1/1000"]
    assert play(capfd, *asked, "--json").code == 2


@pytest.fixture
def several(tmp_path: Path) -> list[str]:
    return ["-f", "all", "-o", f"{tmp_path}/out/"]


def test_several_forms_are_several_files(
    tiny: TinyModel, talk: Path, several: list[str], tmp_path: Path, capfd: Capture
) -> None:
    played = play(capfd, "transcribe", str(talk), *several)
    assert (played.code, played.out, played.err) == (0, "", "")
    files = {file.suffix[1:]: file.read_text("utf-8") for file in (tmp_path / "out").glob("talk.*")}
    assert set(files) == set(FORMATS)
    assert files["txt"].splitlines() == list(SAID)
    assert json.loads(files["json"])["source"] == str(talk)
    assert len(tiny.transcriber.efforts) == 1
    # All of them are there, so nothing is to be done.
    assert "1 of 1 were finished before" in play(capfd, "transcribe", str(talk), *several).err
    (tmp_path / "out" / "talk.vtt").unlink()
    assert play(capfd, "transcribe", str(talk), *several).err == ""
    assert (tmp_path / "out" / "talk.vtt").read_text("utf-8") == files["vtt"]


def test_what_fls_did_not_write_is_not_written_over(
    tiny: TinyModel, talk: Path, several: list[str], tmp_path: Path, capfd: Capture
) -> None:
    (tmp_path / "out").mkdir()
    own = tmp_path / "out" / "talk.srt"
    own.write_text("mine")
    played = play(capfd, "transcribe", str(talk), *several)
    assert played.code == 1
    assert "talk.srt is there already and fls did not write it" in played.err
    assert own.read_text() == "mine"
    assert play(capfd, "transcribe", str(talk), *several, "--force").code == 0
    assert own.read_text("utf-8").startswith("1\n")


@pytest.mark.parametrize(
    ("output", "folder"), [([], "texts"), (["-o", "notes"], "notes"), (["-o", "b.txt"], "b")]
)
def test_several_forms_need_a_folder(
    tiny: TinyModel, talk: Path, output: list[str], folder: str, capfd: Capture
) -> None:
    played = play(capfd, "transcribe", str(talk), "-f", "txt,srt", *output)
    assert (played.code, played.out) == (2, "")
    assert f"write them to a folder: -o {folder}/" in played.err
    assert tiny.transcriber.efforts == []


def test_other_screens_are_other_results(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    asked: list[Any] = ["transcribe", str(talk), "-f", "srt", "-o", f"{tmp_path}/out/"]
    play(capfd, *asked)
    wide = (tmp_path / "out" / "talk.srt").read_text()
    play(capfd, *asked, "--max-line-width", "10", "--max-line-count", "1")
    narrow = (tmp_path / "out" / "talk.srt").read_text()
    assert max(map(len, narrow.split("\n\n")[0].split("\n")[2:])) <= 10
    assert narrow.count("-->") > wide.count("-->")
    assert play(capfd, *asked, "--max-line-width", "2").code == 2
    assert io.StringIO(narrow).readline() == "1\n"


@pytest.mark.parametrize(
    ("name", "more", "begin"),
    [
        ("a.srt", [], "1\n00:00:00,000"),
        ("a.VTT", [], "WEBVTT"),
        ("a.txt", ["-f", "srt"], "1\n00:00:00,000"),
        ("a.text", [], SAID[0]),
    ],
)
def test_a_file_has_the_form_of_its_name(
    tiny: TinyModel, talk: Path, tmp_path: Path, name: str, more: list[str], begin: str,
    capfd: Capture,
) -> None:  # fmt: skip
    assert play(capfd, "transcribe", str(talk), "-o", str(tmp_path / name), *more).code == 0
    assert (tmp_path / name).read_text("utf-8").startswith(begin)


def test_an_arrow_in_a_text_is_no_time() -> None:
    words = (Word(0, 1, " a", 1), Word(1, 2, " -->", 1), Word(2, 3, " b", 1))
    talk = Transcript("en", (Sentence(words),), 4)
    assert render(talk, "a", "srt").count("-->") == 1
