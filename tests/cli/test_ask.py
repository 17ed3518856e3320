"""`fls ask` as it is typed: what it prints where, and what it leaves with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from media_files import Site
from tiny_model import FOREIGN, TinyModel, play

from fls_cli.session.session import Session
from fls_models.core.results import NO_SPEECH, NONE_SAYS, NOT_SAID

Capture = pytest.CaptureFixture[str]

WHAT = "What stands along the streets?"
WHO = f"Who is the {FOREIGN}?"
KEYS = [
    "schema",
    "source",
    "question",
    "answered",
    "answer",
    "evidence",
    "spans",
    "usage",
    "warnings",
]
USAGE = {
    "audio_seconds",
    "frames_before",
    "frames_after",
    "ratio",
    "sections",
    "seconds",
    "prompt_tokens",
    "answer_tokens",
    "model",
    "budget",
    "reader",
}
# What a terminal would obey: a title, a colour in one byte, reversed text, a bell.
HOSTILE = "\x1b]0;owned\x07a\x9b31mb\u202ec\x07\x7f\rd"
HARMLESS = "]0;owneda31mbcd"


@pytest.fixture
def hostile(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        type(tiny.language_model), "generate", lambda *_, **__: iter([HOSTILE[:6], HOSTILE[6:]])
    )


def test_one_question_of_one_recording_prints_the_answer_alone(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    played = play(capfd, "ask", str(talk), WHAT)
    assert played.code == 0
    assert played.err == ""
    told = json.loads(play(capfd, "ask", str(talk), WHAT, "--json").out)
    assert told["answer"]
    assert played.out.splitlines() == told["answer"].splitlines()


def test_json_has_the_documented_keys(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "ask", str(talk), WHAT, "--json", "-b", "accurate")
    assert played.out.count("\n") == 1
    told = json.loads(played.out)
    assert list(told) == KEYS
    assert told["schema"] == "fls.answer/1"
    assert told["source"] == str(talk)
    assert told["question"] == WHAT
    assert told["answered"] is True
    assert told["spans"] == [[0.0, 3.0]]
    usage = told["usage"]
    assert set(usage) == USAGE
    assert usage["audio_seconds"] == 4.0
    assert usage["frames_before"] == 100
    assert usage["ratio"] == pytest.approx(100 / usage["frames_after"], abs=0.001)
    assert (usage["model"], usage["budget"], usage["reader"]) == ("mini", "accurate", "text")
    assert set(usage["seconds"]) == {"load", "listen", "check", "read", "answer", "evidence"}


def test_a_recording_that_is_cut_off_says_so_where_it_does_not_answer(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    talk.write_bytes(talk.read_bytes()[:-32_000])
    played = play(capfd, "ask", str(talk), WHO, "--quiet")
    said = "The recording is cut off at 0:03; up to there it does not say."
    assert (played.code, played.out, played.err) == (1, said + "\n", "")
    told = json.loads(play(capfd, "ask", str(talk), WHO, "--json", "--quiet").out)
    assert (told["answer"], told["answered"]) == (said, False)
    [flaw] = told["warnings"]
    assert (flaw["kind"], flaw["start"], flaw["seconds"]) == ("cut off", 3.0, 1.0)
    page = talk.with_suffix(".html")
    play(capfd, "ask", str(talk), WHAT, "--report", str(page))
    assert "this recording is cut off: 3.0 s of 4.0 s could be read" in page.read_text("utf-8")


def test_several_recordings_and_questions_have_headings(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("b.wav", "a.wav"):
        (folder / name).write_bytes(talk.read_bytes())
    played = play(capfd, "ask", str(folder), "-q", WHO, "-q", WHO + " Really?")
    assert played.code == 0
    headings = [f"==> {folder / name} <==" for name in ("a.wav", "b.wav")]
    assert played.lines == [
        *(headings[0], f"> {WHO}", NOT_SAID, f"> {WHO} Really?", NOT_SAID),
        *(headings[1], f"> {WHO}", NOT_SAID, f"> {WHO} Really?", NOT_SAID),
        *("==> all recordings <==", f"> {WHO}", NONE_SAYS, f"> {WHO} Really?", NONE_SAYS),
    ]


def test_several_answers_as_json_are_a_line_each(
    tiny: TinyModel, talk: Path, hush: Path, capfd: Capture
) -> None:
    played = play(capfd, "ask", str(talk), str(hush), "-q", WHAT, "-q", WHO, "--json")
    told = [json.loads(line) for line in played.lines]
    assert [(one["source"], one["question"]) for one in told] == [
        (str(talk), WHAT),
        (str(talk), WHO),
        (str(hush), WHAT),
        (str(hush), WHO),
        (None, WHAT),
        (None, WHO),
    ]
    assert [one["answered"] for one in told] == [True, False, False, False, True, False]
    # One recording knows: its answer is the answer over all.
    assert (told[4]["answer"], told[4]["sources"]) == (told[0]["answer"], [str(talk)])
    assert (told[5]["answer"], told[5]["sources"]) == (NONE_SAYS, [])


def test_a_recording_is_heard_once_for_all_questions(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    play(capfd, "ask", str(talk), "-q", WHAT, "-q", WHO, "-q", WHAT)
    assert len(tiny.transcriber.asked) == 1


def test_what_the_recording_does_not_say_is_said_so(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    played = play(capfd, "ask", str(talk), WHO)
    assert (played.code, played.out, played.err) == (0, NOT_SAID + "\n", "")
    told = json.loads(play(capfd, "ask", str(talk), WHO, "--json").out)
    assert (told["answered"], told["answer"], told["spans"]) == (False, NOT_SAID, [])


def test_silence_is_no_failure(tiny: TinyModel, hush: Path, capfd: Capture) -> None:
    played = play(capfd, "ask", str(hush), WHAT)
    assert (played.code, played.out, played.err) == (0, NO_SPEECH + "\n", "")
    told = json.loads(play(capfd, "ask", str(hush), WHAT, "--json").out)
    assert (told["answered"], told["answer"], told["spans"]) == (False, NO_SPEECH, [])
    assert told["usage"]["ratio"] is None
    assert told["usage"]["audio_seconds"] == 3.0


def test_an_output_file_gets_all_and_stdout_nothing(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    plain = play(capfd, "ask", str(talk), "-q", WHAT, "-q", WHO).out
    place = tmp_path / "out"
    place.mkdir()
    (place / "answers.txt").write_text("older")
    played = play(capfd, "ask", str(talk), "-q", WHAT, "-q", WHO, "-o", str(place / "answers.txt"))
    assert (played.code, played.out, played.err) == (0, "", "")
    assert (place / "answers.txt").read_text() == plain
    assert [path.name for path in place.iterdir()] == ["answers.txt"]


def test_the_same_command_gives_the_same_text(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    said = [play(capfd, "ask", str(talk), WHAT).out for _ in range(2)]
    assert said[0] == said[1]
    free = ("--temperature", "2", "--max-tokens", "12")
    drawn = [
        play(capfd, "ask", str(talk), WHAT, *free, "--seed", seed).out for seed in ("1", "1", "2")
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_watched_answer_is_the_same_answer(
    tiny: TinyModel, talk: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    questions = ("-q", WHAT, "-q", WHO)
    whole = play(capfd, "ask", str(talk), *questions).out
    shown: list[str] = []
    show: Callable[[Session, str], None] = Session.show
    monkeypatch.setattr(Session, "streams", True)
    monkeypatch.setattr(Session, "show", lambda self, text: (shown.append(text), show(self, text)))
    streamed = play(capfd, "ask", str(talk), *questions).out
    assert [line.strip() for line in streamed.split("\n")] == [
        line.strip() for line in whole.split("\n")
    ]
    assert len(shown) > len(whole.splitlines())


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("streams", [False, True])
def test_control_characters_never_reach_stdout(
    tiny: TinyModel,
    talk: Path,
    streams: bool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    monkeypatch.setattr(Session, "streams", streams)
    assert play(capfd, "ask", str(talk), WHAT).out == HARMLESS + "\n"


@pytest.mark.usefixtures("hostile")
def test_control_characters_never_reach_json(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "ask", str(talk), "What\x9b31m\x1b[2J?", "--json")
    told = json.loads(played.out)
    assert told["answer"] == HARMLESS
    assert told["question"] == "What31m[2J?"


def test_a_question_in_another_encoding_is_no_crash(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    latin = "Wer spricht f\udcfcr die Stra\udcdfe?"
    for options in ([], ["--json"], ["-q", WHAT]):
        played = play(capfd, "ask", str(talk), "-q", latin, *options)
        assert played.code == 0
        assert played.out


def test_budget_and_language_reach_the_recogniser(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    play(capfd, "ask", str(talk), WHO, "-b", "accurate", "--language", "de")
    assert tiny.transcriber.efforts == ["accurate"]
    assert tiny.transcriber.asked == ["de"]


def test_a_smaller_budget_reads_less(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    def usage(*options: str) -> dict[str, object]:
        told: dict[str, dict[str, object]] = json.loads(
            play(capfd, "ask", str(talk), WHAT, "--json", *options).out
        )
        return told["usage"]

    whole = usage("-b", "accurate")
    part = usage("--target-length", "30")
    assert part["budget"] == "L=30"
    assert 0 < part["frames_after"] <= 30 < whole["frames_after"]  # type: ignore[operator]


def test_a_stretch_keeps_the_times_of_the_whole(
    tiny: TinyModel, talk: Path, capfd: Capture
) -> None:
    stretch = ("--start", "1.5", "--end", "0:03")
    played = play(capfd, "ask", str(talk), WHAT, "--json", "-b", "accurate", *stretch)
    told = json.loads(played.out)
    assert told["spans"] == [[1.5, 3.75]]
    assert told["usage"]["audio_seconds"] == 1.5


def test_a_web_address_is_a_recording(
    tiny: TinyModel, talk: Path, site: Site, capfd: Capture
) -> None:
    (site.folder / "talk.wav").write_bytes(talk.read_bytes())
    played = play(capfd, "ask", f"{site.address}/talk.wav?token=s3cret", WHAT, "--json")
    assert json.loads(played.out)["source"] == f"{site.address}/talk.wav"
    assert "s3cret" not in played.out + played.err


def test_a_name_that_begins_with_a_dash(
    tiny: TinyModel, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    talk.rename(tmp_path / "-x.wav")
    monkeypatch.chdir(tmp_path)
    assert play(capfd, "ask", "--", "-x.wav", WHO).out == NOT_SAID + "\n"
    assert play(capfd, "ask", "-q", WHO, "--", "-x.wav").out == NOT_SAID + "\n"


def test_a_name_with_escape_sequences_is_shown_harmless(
    tiny: TinyModel, talk: Path, hush: Path, capfd: Capture
) -> None:
    nasty = talk.rename(talk.with_name("a\x1b[31m\nb.wav"))
    played = play(capfd, "ask", str(nasty), str(hush), WHO)
    assert played.code == 0
    assert "\x1b" not in played.out
    assert "a?[31m?b.wav <==" in played.lines[0]


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_missing_recording_among_good_ones(
    tiny: TinyModel, talk: Path, as_json: list[str], capfd: Capture
) -> None:
    played = play(capfd, "ask", "gone.mp3", str(talk), "-q", WHO, *as_json)
    assert played.code == 1
    reason = "gone.mp3: there is no such file; check the spelling."
    assert played.err == f"fls: {reason}\nfls: 1 of 2 failed:\nfls:   {reason}\n"
    assert NOT_SAID in played.out
    if as_json:
        told = json.loads(played.lines[0])
        assert told == {"schema": "fls.error/1", "source": "gone.mp3", "error": reason}
    else:
        assert "gone.mp3" not in played.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["talk.wav"],
        ["talk.wav", "  "],
        ["-q", "", "talk.wav"],
        ["talk.wav", "-q", WHAT, "-q", "\n"],
    ],
)
def test_without_a_question_it_is_wrong_usage(arguments: list[str], capfd: Capture) -> None:
    played = play(capfd, "ask", *arguments)
    assert played.code == 2
    assert played.out == ""
    assert "question" in played.err


def test_a_forgotten_question_is_noticed(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "ask", str(talk), str(talk))
    assert (played.code, played.out) == (2, "")
    assert "question" in played.err


@pytest.mark.parametrize(
    "extra", ["Who is speaking?", "What is it about", "Is it 1/2?", "Wer spricht, und wo?"]
)
@pytest.mark.parametrize("given", [["What about?"], ["-q", "What about?"]])
def test_two_questions_without_q_are_told_so(
    tiny: TinyModel, talk: Path, extra: str, given: list[str], capfd: Capture
) -> None:
    played = play(capfd, "ask", str(talk), extra, *given)
    assert (played.code, played.out) == (2, "")
    assert f"There is no recording {extra!r}" in played.err
    assert '-q "Who speaks?" -q' in played.err
    assert tiny.transcriber.asked == []


def test_names_that_read_like_questions_are_names(
    tiny: TinyModel, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("who speaks?", "my talk one.wav"):
        (tmp_path / name).hardlink_to(talk)
    for named in ("who speaks?", "my talk on?.wav", "who speak??"):
        assert play(capfd, "ask", named, "What about?").code == 0, named
    # What is only misspelt fails as ever.
    assert "no such file" in play(capfd, "ask", "my tlak.wav", "What about?").err
