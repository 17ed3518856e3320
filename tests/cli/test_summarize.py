"""`fls summarize` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from media_files import tone, write_wav
from tiny_model import SAID, TinyModel, play

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


def test_quotes_are_what_is_said_and_when(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    asked = ["summarize", str(talk), "--style", "quotes", "-b", "accurate"]
    played = play(capfd, *asked)
    assert (played.code, played.err) == (0, "")
    assert played.lines == [f"[0:0{second}] “{said}”" for second, said in enumerate(SAID)]
    told = json.loads(play(capfd, *asked, "--json").out)
    [chapter] = told["chapters"]
    assert [each["quoted"] for each in chapter["statements"]] == [True] * len(SAID)
    assert chapter["statements"][0]["evidence"][0]["text"] == SAID[0]


def test_fewer_sentences_than_are_asked_for(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    asked = ["summarize", str(talk), "--style", "quotes", "-b", "accurate", "--length"]
    played = play(capfd, *asked, "10")
    assert (played.code, len(played.lines)) == (0, len(SAID))
    assert played.err == f"fls: {talk}: there is matter for {len(SAID)} of 10 sentences\n"
    assert len(play(capfd, *asked, "1").lines) == 1
    assert play(capfd, *asked, "0").code == 2


def test_evidence_is_shown_and_can_be_played(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    asked = ["summarize", str(talk), "--style", "quotes", "--length", "1", "--evidence"]
    page, clips = tmp_path / "page.html", tmp_path / "clips"
    played = play(capfd, *asked, "--report", str(page), "--clips", str(clips))
    assert played.code == 0, played.err
    quote, place = played.lines
    text = quote.split("“")[1].rstrip("”")
    assert place.startswith("  [0:0")
    assert place.endswith(text)
    html = page.read_text("utf-8")
    assert "This recording in short" in html
    assert text in html
    assert len(list(clips.iterdir())) == 1


def test_a_prompt_is_asked_instead(
    tiny: TinyModel,
    talk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    requests: list[str] = []

    def generate(_: object, context: object, request: str, **how: object) -> Iterator[str]:
        requests.append(request)
        # What was not said is left out.
        yield "- trees\n- 31 bees\n- streets\n"

    monkeypatch.setattr(type(tiny.language_model), "generate", generate)
    file = tmp_path / "prompt.txt"
    file.write_text("\ufeffList the tools.\n", "utf-8")
    asked = ["summarize", str(talk), "--prompt-file", str(file)]
    played = play(capfd, *asked, "--style", "bullets")
    assert (played.code, played.lines) == (0, ["- trees", "- streets"])
    assert play(capfd, *asked).lines == ["trees", "streets"]
    config = tmp_path / "config.toml"
    config.write_text('budget = "fast"\n[prompts]\nminutes = "Write minutes."\n')
    monkeypatch.setenv("FLS_CONFIG", str(config))
    assert play(capfd, "summarize", str(talk), "--prompt", "minutes").code == 0
    assert requests == ["\n\nList the tools."] * 2 + ["\n\nWrite minutes."]
    for flags, reason in (
        (["--prompt", "minuets"], "no prompt 'minuets'; did you mean minutes?"),
        (["--prompt", "x", "--prompt-file", str(file)], "not both"),
        (["--prompt", "minutes", "--style", "quotes"], "--style quotes has nothing to ask"),
    ):
        refused = play(capfd, "summarize", str(talk), *flags)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert reason in refused.err
    for content, reason in (
        ("[prompts]\nminutes = 3\n", "[prompts] is a table of texts"),
        ("", "the settings have no [prompts]"),
    ):
        config.write_text(content)
        assert reason in play(capfd, "summarize", str(talk), "--prompt", "a").err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        ("für".encode("latin-1"), "is no text in UTF-8"),
        (b"x" * 5000, "5000 characters are more than 4000"),
        (None, "cannot be read"),
    ],
)
def test_files_that_hold_no_prompt(
    talk: Path, tmp_path: Path, content: bytes | None, reason: str, capfd: Capture
) -> None:
    file = tmp_path / "prompt.txt"
    if content is not None:
        file.write_bytes(content)
    played = play(capfd, "summarize", str(talk), "--prompt-file", str(file))
    assert (played.code, played.out, played.err.count("\n")) == (2, "", 1)
    assert reason in played.err
