"""`fls transcribe` as it is typed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from media_files import run_ffmpeg, tone, write_wav
from tiny_model import SAID, TinyModel, play

from fls_cli.session.session import Session

Capture = pytest.CaptureFixture[str]

_STAMP = r"\d\d:\d\d:\d\d"
_SRT_TIMES = re.compile(rf"({_STAMP},\d{{3}}) --> ({_STAMP},\d{{3}})")


def test_text_is_a_sentence_a_line(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(talk))
    assert (played.code, played.err) == (0, "")
    assert played.lines == list(SAID)


def test_sentences_appear_as_they_are_understood(
    tiny: TinyModel, talk: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    heard_when_shown: list[float] = []
    show: Callable[[Session, str], None] = Session.show

    def watch(session: Session, text: str) -> None:
        heard_when_shown.append(tiny.transcriber.until)
        show(session, text)

    monkeypatch.setattr(Session, "show", watch)
    play(capfd, "transcribe", str(talk))
    assert heard_when_shown == [0.0, 1.0, 2.0]


def test_a_pause_is_an_empty_line(tiny: TinyModel, tmp_path: Path, capfd: Capture) -> None:
    run_ffmpeg(
        *["-f", "lavfi", "-i", "aevalsrc='0.5*sin(2000*t)*(lt(t,1)+gt(t,5))':d=7:s=16000"],
        tmp_path / "paused.wav",
    )
    played = play(capfd, "transcribe", str(tmp_path / "paused.wav"))
    assert played.lines == [SAID[0], "", SAID[1], SAID[2]]


def test_srt(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(talk), "-f", "srt")
    cues = played.out.strip().split("\n\n")
    for number, cue in enumerate(cues, 1):
        first, times, *text = cue.split("\n")
        assert first == str(number)
        match = _SRT_TIMES.fullmatch(times)
        assert match
        assert match[1] < match[2]
        assert 1 <= len(text) <= 2
    said = " ".join(" ".join(cue.split("\n")[2:]) for cue in cues)
    assert said == " ".join(SAID)


def test_vtt(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(talk), "--format", "vtt")
    assert played.out.startswith("WEBVTT\n\n00:00:00.000 --> ")
    timed = play(capfd, "transcribe", str(talk), "--format", "vtt", "--words").out
    assert "Copper <00:00:00.250>Bay <00:00:00.500>planted" in timed


def test_json_of_one_recording(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    told = json.loads(play(capfd, "transcribe", str(talk), "-f", "json").out)
    assert list(told) == ["schema", "source", "language", "duration", "warnings", "sentences"]
    assert told["schema"] == "fls.transcript/1"
    assert (told["source"], told["language"], told["duration"]) == (str(talk), "en", 4.0)
    assert [one["text"] for one in told["sentences"]] == list(SAID)
    assert list(told["sentences"][0]) == ["start", "end", "text"]
    timed = json.loads(play(capfd, "transcribe", str(talk), "-f", "json", "--words").out)
    assert timed["sentences"][1]["words"][1] == {
        "start": 1.25,
        "end": 1.5,
        "text": " stand",
        "probability": 0.9,
    }


def test_json_of_several_recordings_is_a_line_each(
    tiny: TinyModel, talk: Path, hush: Path, capfd: Capture
) -> None:
    played = play(capfd, "transcribe", str(talk), str(hush), "-f", "json")
    told = [json.loads(line) for line in played.lines]
    assert [one["source"] for one in told] == [str(talk), str(hush)]
    assert [one["language"] for one in told] == ["en", None]


def test_words_are_a_line_each_with_their_times(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    rows = [line.split("\t") for line in play(capfd, "transcribe", str(talk), "--words").lines]
    assert rows[:2] == [["0.000", "0.250", "Copper"], ["0.250", "0.500", "Bay"]]
    assert [word for _, _, word in rows] == " ".join(SAID).split()


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_of_several_recordings_are_wrong_usage(
    tiny: TinyModel, talk: Path, hush: Path, form: str, capfd: Capture
) -> None:
    played = play(capfd, "transcribe", str(talk), str(hush), "-f", form)
    assert (played.code, played.out) == (2, "")
    assert "one recording" in played.err


@pytest.mark.parametrize(("form", "nothing"), [("txt", ""), ("srt", ""), ("vtt", "WEBVTT\n")])
def test_silence_is_no_failure(
    tiny: TinyModel, hush: Path, form: str, nothing: str, capfd: Capture
) -> None:
    played = play(capfd, "transcribe", str(hush), "-f", form)
    assert (played.code, played.out) == (0, nothing)


FORMS = [
    ["-f", form, *words] for form in ("txt", "srt", "vtt", "json") for words in ([], ["--words"])
]


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_silence_is_noted_unless_quiet(
    tiny: TinyModel, hush: Path, talk: Path, tmp_path: Path, form: list[str], capfd: Capture
) -> None:
    told = f"fls: {hush}: no speech was found in it\n"
    played = play(capfd, "transcribe", str(hush), *form)
    assert (played.code, played.err) == (0, told)
    assert play(capfd, "transcribe", str(hush), *form, "--quiet").err == ""
    into = play(capfd, "transcribe", str(hush), str(talk), *form, "-o", f"{tmp_path}/notes/")
    assert (into.code, into.err) == (0, told)
    [written] = (tmp_path / "notes").glob("hush.*")
    assert written.read_text() == played.out


def test_where_no_speech_is_found_other_channels_and_tracks_are_named(
    tiny: TinyModel, tmp_path: Path, hush: Path, capfd: Capture
) -> None:
    hum = write_wav(tmp_path / "hum.wav", np.zeros((48_000, 4)) + 1e-3)
    said = f"fls: {hum}: no speech was found in it; try --channels 1 to 4, each alone\n"
    assert play(capfd, "transcribe", str(hum)).err == said
    assert said in play(capfd, "ask", str(hum), "What is said?").err
    assert said in play(capfd, "summarize", str(hum)).err
    tracks = tmp_path / "tracks.mka"
    run_ffmpeg("-i", hum, "-i", hush, "-map", "0:a", "-map", "1:a", "-c:a", "pcm_s16le", tracks)
    played = play(capfd, "transcribe", str(tracks), "--channels", "left")
    assert "it; try --channels mix, or --track 1\n" in played.err


def test_silence_is_valid_json(tiny: TinyModel, hush: Path, capfd: Capture) -> None:
    told = json.loads(play(capfd, "transcribe", str(hush), "-f", "json").out)
    assert (told["language"], told["duration"], told["sentences"]) == (None, 3.0, [])


def test_several_recordings_have_headings(
    tiny: TinyModel, talk: Path, hush: Path, capfd: Capture
) -> None:
    played = play(capfd, "transcribe", str(talk), str(hush), "gone.mp3")
    assert played.code == 1
    assert played.lines == [f"==> {talk} <==", *SAID, f"==> {hush} <=="]


def test_what_cannot_be_read_has_no_heading(
    tiny: TinyModel, talk: Path, hush: Path, capfd: Capture
) -> None:
    # Known only when the first sample is asked for.
    played = play(capfd, "transcribe", str(hush), str(talk), "--start", "3.5")
    assert played.code == 1
    assert played.lines == [f"==> {talk} <==", SAID[0]]
    assert "hush.wav: the start, 3.5 s, is beyond the end" in played.err


def test_control_characters_never_reach_stdout(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    tiny.transcriber.said = ["\x1b]0;owned\x07a\x9b31m b\u202ec\r."]
    for options in (["-f", "txt"], ["-f", "srt"], ["-f", "vtt"], ["-f", "json"], ["--words"]):
        out = play(capfd, "transcribe", str(talk), *options).out
        assert "owneda31m" in out
        assert all(letter.isprintable() or letter in "\n\t" for letter in out)


def test_an_output_file_gets_all_and_stdout_nothing(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    plain = play(capfd, "transcribe", str(talk), "-f", "srt").out
    played = play(capfd, "transcribe", str(talk), "-f", "srt", "-o", str(tmp_path / "talk.srt"))
    assert (played.code, played.out, played.err) == (0, "", "")
    assert (tmp_path / "talk.srt").read_text() == plain


def test_when_all_fails_no_output_file_appears_and_an_older_one_stays(
    tiny: TinyModel, tmp_path: Path, capfd: Capture
) -> None:
    out = tmp_path / "talk.txt"
    assert play(capfd, "transcribe", "gone.mp3", "-o", str(out)).code == 1
    assert not out.exists()
    out.write_text("older")
    assert play(capfd, "transcribe", "gone.mp3", "-o", str(out)).code == 1
    assert out.read_text() == "older"


@pytest.mark.parametrize("place", ["nowhere/talk.txt", "nowhere/at/all"])
def test_a_place_that_cannot_be_written_to_is_noticed_before_listening(
    tiny: TinyModel, talk: Path, place: str, tmp_path: Path, capfd: Capture
) -> None:
    played = play(capfd, "transcribe", str(talk), "-o", str(tmp_path / place))
    assert (played.code, played.out) == (2, "")
    assert tiny.transcriber.asked == []


def test_one_track_of_several(tiny: TinyModel, videos: Path, capfd: Capture) -> None:
    both = str(videos / "two-tracks.mkv")
    assert play(capfd, "transcribe", both, "--track", "1").lines == list(SAID[:2])
    played = play(capfd, "transcribe", both, "--track", "2")
    assert (played.code, played.out) == (1, "")
    assert "it has audio tracks 0 to 1" in played.err


def test_stereo_is_heard(tiny: TinyModel, tmp_path: Path, capfd: Capture) -> None:
    left = tone(440, 3)
    both = write_wav(tmp_path / "stereo.wav", np.stack([left, np.zeros_like(left)], axis=1))
    assert play(capfd, "transcribe", str(both)).lines == list(SAID)


def test_an_unknown_format_names_the_known_ones(talk: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(talk), "-f", "docx")
    assert (played.code, played.out) == (2, "")
    assert "txt, srt, vtt, tsv, lrc, md, json, and all" in played.err


@pytest.mark.parametrize("name", ["de", "DE", "German", " german", "de-AT"])
def test_language_is_what_was_asked_for(
    tiny: TinyModel, talk: Path, name: str, capfd: Capture
) -> None:
    told = json.loads(play(capfd, "transcribe", str(talk), "-f", "json", "--language", name).out)
    assert told["language"] == "de"
    assert tiny.transcriber.asked == ["de"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("germann", "did you mean german?"),
        ("klingon,de", "codes or names"),
        ("deutsch", "codes or names"),
    ],
)
def test_a_language_that_has_no_such_name(
    tiny: TinyModel, talk: Path, name: str, hint: str, capfd: Capture
) -> None:
    played = play(capfd, "transcribe", str(talk), "--language", name)
    assert (played.code, played.out, played.err.count("\n")) == (2, "", 1)
    assert f"No language is called '{name.split(',')[0]}'" in played.err
    assert hint in played.err


def test_a_language_may_be_named_in_a_variable(
    tiny: TinyModel, talk: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setenv("FLS_LANGUAGE", "German")
    assert play(capfd, "transcribe", str(talk)).code == 0
    assert tiny.transcriber.asked == ["de"]
    monkeypatch.setenv("FLS_LANGUAGE", "klingon")
    played = play(capfd, "transcribe", str(talk))
    assert (played.code, played.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("language", "said"),
    [(",", "--language is empty"), ("auto,de", "name auto alone, or those spoken")],
)
def test_no_language_is_none_that_can_be_heard(
    talk: Path, capfd: Capture, language: str, said: str
) -> None:
    played = play(capfd, "transcribe", str(talk), "--language", language)
    assert (played.code, said in played.err) == (2, True)


def test_a_comma_at_the_end_names_no_language(
    tiny: TinyModel, talk: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    assert play(capfd, "transcribe", str(talk), "--language", "german,").code == 0
    monkeypatch.setenv("FLS_LANGUAGE", "de,")
    assert play(capfd, "transcribe", str(talk)).code == 0
    assert tiny.transcriber.asked == ["de", "de"]


def test_what_a_variable_sets_is_blamed_on_it(
    tiny: TinyModel, talk: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setenv("FLS_REPLACE", "nowhere.txt")
    set_so = play(capfd, "transcribe", str(talk))
    assert (set_so.code, set_so.err.endswith("(FLS_REPLACE is set.)\n")) == (2, True)
    typed = play(capfd, "transcribe", str(talk), "--replace", "elsewhere.txt")
    assert (typed.code, "FLS_REPLACE" in typed.err) == (2, False)


@pytest.mark.parametrize("variable", ["FLS_JOBS", "FLS_QUIET"])
def test_a_wrong_variable_is_one_sentence_and_a_flag_wins(
    tiny: TinyModel,
    talk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, "maybe")
    played = play(capfd, "transcribe", str(talk))
    assert (played.code, played.err.count("\n")) == (2, 1)
    assert played.err.startswith(f"fls: {variable} takes ")
    flags = ("--jobs", "2") if variable == "FLS_JOBS" else ("--no-quiet",)
    assert play(capfd, "transcribe", str(talk), *flags).code == 0


def test_stdout_has_a_name(
    tiny: TinyModel, talk: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.chdir(talk.parent)
    played = play(capfd, "transcribe", str(talk), "-o", "-")
    assert (played.code, bool(played.out)) == (0, True)
    assert not Path("-").exists()


def test_a_name_with_a_dash_is_no_option(
    tiny: TinyModel, talk: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.chdir(talk.parent)
    talk.rename("-talk.wav")
    played = play(capfd, "transcribe", "-talk.wav")
    assert (played.code, "name that file ./-talk.wav" in played.err) == (2, True)
    assert play(capfd, "transcribe", "./-talk.wav").code == 0
    assert play(capfd, "transcribe", "--", "-talk.wav").code == 0


@pytest.mark.parametrize("command", ["transcribe", "summarize"])
def test_a_recording_is_never_written_over(
    tiny: TinyModel, talk: Path, command: str, tmp_path: Path, capfd: Capture
) -> None:
    other = Path(shutil.copy(talk, tmp_path / "other.wav"))
    unnamed = Path(shutil.copy(talk, tmp_path / "voice"))
    (tmp_path / "link").symlink_to(unnamed)
    before = talk.read_bytes()
    refusals = {talk: "writes text", other: "writes text", unnamed: "would be lost"}
    for output, reason in {**refusals, tmp_path / "link": "would be lost"}.items():
        source = unnamed if reason == "would be lost" else talk
        played = play(capfd, command, str(source), "-o", str(output))
        assert (played.code, played.out, played.err.count("\n")) == (2, "", 1)
        assert reason in played.err
    assert {talk.read_bytes(), other.read_bytes(), unnamed.read_bytes()} == {before}


@pytest.mark.parametrize("command", ["transcribe", "summarize"])
def test_a_file_that_would_not_be_what_its_name_says_is_not_written(
    tiny: TinyModel, talk: Path, command: str, tmp_path: Path, capfd: Capture
) -> None:
    played = play(capfd, command, str(talk), "-o", str(tmp_path / "talk.DOCX"))
    assert (played.code, played.err.count("\n")) == (2, 1)
    assert "fls writes text, no docx files" in played.err
    assert not (tmp_path / "talk.DOCX").exists()
    if command == "transcribe":
        subtitles = str(tmp_path / "talk.vtt")
        refused = play(capfd, command, str(talk), "-f", "srt", "-o", subtitles)
        assert (refused.code, Path(subtitles).exists()) == (2, False)
        assert f"{subtitles} would hold srt, as --format says" in refused.err
        assert play(capfd, command, str(talk), "-f", "md", "-o", f"{tmp_path}/a.txt").code == 0
    (tmp_path / "of.pdf").mkdir()
    assert play(capfd, command, str(talk), "-o", str(tmp_path / "of.pdf")).code == 0
