"""`fls chat`: a conversation in a pipe, its commands, and at a terminal that is a real one."""

from __future__ import annotations

import io
import json
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_process import Terminal, serving
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from tiny_model import FOREIGN, HERE, Played, TinyModel, play

from fls_cli.console import prompt as conversation_lines
from fls_cli.session.chat import slash_commands
from fls_models.core.budget import Budget
from fls_models.core.results import NO_SPEECH, NONE_SAYS, NOT_SAID
from fls_models.errors import UsageError
from fls_models.weights.store import Installed

Capture = pytest.CaptureFixture[str]
Talk = Callable[..., Played]

WHAT = "What stands along the streets?"
WHO = f"Who is the {FOREIGN}?"


@pytest.fixture
def chat(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> Talk:
    """`fls chat ARGUMENTS` with lines piped in."""

    def played(*arguments: object, lines: str | bytes = "") -> Played:
        given = lines.encode() if isinstance(lines, str) else lines
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        return play(capfd, "chat", *map(str, arguments))

    return played


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[str, str]]]:
    """The model answers `Yes.`; what it is told of earlier turns, answer by answer."""
    from fls_models.lslm.mini.language_model import MiniLanguageModel

    told: list[list[tuple[str, str]]] = []

    def generate(*_: Any, exchanges: Any = (), **__: Any) -> Iterator[str]:
        told.append(list(exchanges))
        return iter(["Yes", "."])

    monkeypatch.setattr(MiniLanguageModel, "generate", generate)
    return told


def test_questions_from_a_pipe_are_answered_one_by_one(
    chat: Talk, talk: Path, said: list[list[tuple[str, str]]], tiny: TinyModel
) -> None:
    played = chat(talk, lines=f"{WHAT}\n\n  \n{WHO}\r\n  And then?")
    assert played.lines == [f"> {WHAT}", "Yes.", f"> {WHO}", NOT_SAID, "> And then?", "Yes."]
    assert (played.code, played.err) == (0, "")
    assert [len(turns) for turns in said] == [0, 1]
    assert len(tiny.transcriber.asked) == 1


def test_no_questions_are_no_answers(chat: Talk, talk: Path) -> None:
    assert chat(talk) == Played(0, "", "")


def test_json_is_an_answer_a_line(
    chat: Talk, talk: Path, said: list[list[tuple[str, str]]]
) -> None:
    played = chat(talk, "--json", lines=f"{WHAT}\n{WHO}\n/sources\n")
    first, second = map(json.loads, played.lines)
    assert (first["schema"], first["source"], first["question"]) == (
        "fls.answer/1",
        str(talk),
        WHAT,
    )
    assert (first["answered"], first["answer"]) == (True, "Yes.")
    assert first["usage"]["model"] == "mini"
    assert (second["answered"], second["answer"]) == (False, NOT_SAID)
    assert "talk.wav" in played.err


def test_a_byte_order_mark_and_broken_text_are_no_crash(chat: Talk, talk: Path) -> None:
    played = chat(talk, lines=b"\xef\xbb\xbf" + WHO.encode() + b"\n\xffWho? " + WHO.encode())
    assert played.lines == [f"> {WHO}", NOT_SAID, f"> \ufffdWho? {WHO}", NOT_SAID]


def test_silence_is_said_so(chat: Talk, hush: Path) -> None:
    assert chat(hush, lines=WHAT).lines == [f"> {WHAT}", NO_SPEECH]


def test_control_characters_never_reach_stdout(
    chat: Talk, talk: Path, tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = iter(["\x1b]0;owned\x07a\x9b", "31mb\u202ec\r"])
    monkeypatch.setattr(type(tiny.language_model), "generate", lambda *_, **__: hostile)
    played = chat(talk, lines="What\x1b[2J?\n/no\x1b[2Jpe")
    assert played.lines == ["> What[2J?", "]0;owneda31mbc"]
    assert "\x1b" not in played.err


def test_several_recordings_say_which_of_them_answered(
    chat: Talk, talk: Path, hush: Path, said: list[list[tuple[str, str]]]
) -> None:
    played = chat(hush, talk, lines=f"{WHAT}\n{WHO}")
    assert played.lines == [f"> {WHAT}", "Yes.", f"(from {talk})", f"> {WHO}", NONE_SAYS]
    told = [json.loads(line) for line in chat(hush, talk, "--json", lines=f"{WHAT}\n{WHO}").lines]
    assert [(one["source"], one["answered"]) for one in told] == [(str(talk), True), (None, False)]


def test_recordings_that_agree_are_put_together(
    chat: Talk, talk: Path, tmp_path: Path, said: list[list[tuple[str, str]]]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    names = [folder / name for name in ("a.wav", "b.wav")]
    for name in names:
        name.write_bytes(talk.read_bytes())
    played = chat(folder, lines=WHAT)
    assert played.lines == [f"> {WHAT}", "Yes.", f"(from {names[0]}, {names[1]})"]
    (line,) = chat(folder, "--json", lines=WHAT).lines
    assert json.loads(line)["sources"] == list(map(str, names))


def test_a_missing_recording_does_not_stop_the_others(chat: Talk, talk: Path) -> None:
    played = chat("gone.mp3", talk, lines=WHO)
    assert played.code == 1
    assert played.err == "fls: gone.mp3: there is no such file; check the spelling.\n"
    assert played.lines == [f"> {WHO}", NOT_SAID]
    error = json.loads(chat("gone.mp3", talk, "--json", lines=WHO).lines[0])
    assert (error["schema"], error["source"]) == ("fls.error/1", "gone.mp3")


def test_without_any_recording_nothing_is_asked(chat: Talk, tmp_path: Path) -> None:
    (tmp_path / "letter.mp3").write_text("Dear reader,\nthis is a letter.\n")
    played = chat(tmp_path / "letter.mp3", lines=WHAT)
    assert (played.code, played.out) == (1, "")
    assert "neither audio nor video" in played.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "No recording is named"),
        (["-"], "questions come from stdin"),
        (["talk.wav", "-"], "questions come from stdin"),
        (["talk.wav", "-b", "lavish"], "fast, balanced, accurate"),
        (["talk.wav", "--start", "2", "--end", "1"], "--end must come after"),
        (["talk.wav", "--target-length", "0"], "--target-length"),
    ],
)
def test_wrong_usage_is_2(
    chat: Talk, tiny: TinyModel, talk: Path, arguments: list[str], named: str
) -> None:
    given = [str(talk) if word == "talk.wav" else word for word in arguments]
    played = chat(*given, lines=WHAT)
    assert (played.code, played.out) == (2, "")
    assert named in played.err
    assert tiny.transcriber.asked == []


def test_stdin_by_another_name_is_stdin(talk: Path) -> None:
    done = subprocess.run(
        serving("", "/dev/stdin"), stdin=talk.open("rb"), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "questions come from stdin" in done.stderr


def test_a_closed_stdin_is_wrong_usage(
    tiny: TinyModel, talk: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    played = play(capfd, "chat", str(talk))
    assert played.code == 2
    assert "stdin" in played.err


def test_options_reach_the_ear_and_the_model(
    chat: Talk, tiny: TinyModel, talk: Path, said: list[list[tuple[str, str]]]
) -> None:
    options = ["-b", "accurate", "--language", "de", "--start", "1", "--json"]
    told = json.loads(chat(talk, *options, lines=WHAT).out)
    assert tiny.transcriber.efforts == ["accurate"]
    assert tiny.transcriber.asked == ["de"]
    assert told["spans"][0][0] == 1.0
    assert told["usage"]["budget"] == "accurate"


# Commands


def test_help_lists_every_command_on_stderr(chat: Talk, talk: Path) -> None:
    played = chat(talk, "--quiet", lines="/help")
    assert played.out == ""
    assert [line.split()[0] for line in played.err.splitlines()] == [
        command.name for command in slash_commands.COMMANDS
    ]


def test_a_command_that_is_none_gets_one_line(chat: Talk, talk: Path) -> None:
    played = chat(talk, lines=f"/halp me\n{WHO}\n/quit now")
    assert played.err.splitlines() == [
        "fls: There is no command /halp; /help shows the ones there are.",
        "fls: /quit takes nothing after it.",
    ]
    assert played.lines == [f"> {WHO}", NOT_SAID]
    # A script shall notice; a person has.
    assert played.code == 2


def test_quit_leaves_the_rest_unread(chat: Talk, talk: Path) -> None:
    played = chat(talk, lines=f"/quit\n{WHO}\n")
    assert played == Played(0, "", "")


def test_sources_are_named_with_their_length(chat: Talk, talk: Path, hush: Path) -> None:
    played = chat(talk, hush, lines="/sources")
    assert played.err.splitlines() == [f"0:00:04  {talk}", f"0:00:03  {hush}"]


def test_the_budget_is_shown_and_set(
    chat: Talk, tiny: TinyModel, talk: Path, said: list[list[tuple[str, str]]]
) -> None:
    lines = f"/budget\n{WHAT}\n/budget accurate\n{WHAT}\n/budget 30\n{WHAT}\n/budget lavish\n"
    played = chat(talk, "--json", "-b", "fast", lines=lines)
    assert [line.removeprefix("fls: ") for line in played.err.splitlines()] == [
        "budget fast",
        "budget accurate",
        "budget L=30",
        "/budget takes fast, balanced, accurate or a number of tokens or frames from 1 up.",
    ]
    usage = [json.loads(line)["usage"] for line in played.lines]
    assert [one["budget"] for one in usage] == ["fast", "accurate", "L=30"]
    assert usage[2]["frames_after"] <= 30 < usage[1]["frames_after"]
    # What was heard stays heard.
    assert len(tiny.transcriber.asked) == 1


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "Fast", "fast 1", "²"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(UsageError, match="/budget takes"):
        slash_commands.budget_of(text)


def test_a_number_is_a_budget() -> None:
    assert slash_commands.budget_of("250") == Budget(target_length=250)


def test_forget_forgets(chat: Talk, talk: Path, said: list[list[tuple[str, str]]]) -> None:
    chat(talk, lines=f"{WHAT}\n/forget\n{WHAT}\n{WHAT}")
    assert [len(turns) for turns in said] == [0, 0, 1]


def test_a_saved_conversation_is_markdown(
    chat: Talk, talk: Path, hush: Path, tmp_path: Path, said: list[list[tuple[str, str]]]
) -> None:
    place = tmp_path / "my notes.md"
    lines = f"{WHAT}\n/save {place}\n{WHO}\n/save {place}\n"
    played = chat(talk, hush, lines=lines)
    assert played.code == 0
    assert played.err == f"saved {place}\n" * 2
    assert place.read_text() == (
        "# Questions and answers\n\n"
        f"* {talk}, 0:00:04\n* {hush}, 0:00:03\n"
        f"\n## {WHAT}\n\nYes.\n\n*from {talk}*\n"
        f"\n## {WHO}\n\n{NONE_SAYS}\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        {"hush.wav", "my notes.md", "talk.wav"}
    )


def test_a_file_of_others_is_not_overwritten(chat: Talk, talk: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("mine")
    (tmp_path / "link.md").symlink_to(tmp_path / "nowhere")
    for name in (other, tmp_path / "link.md"):
        played = chat(talk, lines=f"{WHO}\n/save {name}")
        assert played.code == 2
        assert "stays as it is" in played.err
    assert other.read_text() == "mine"


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ("/save x.md", "Nothing was asked"),
        (f"{WHO}\n/save", "name of a file"),
        (f"{WHO}\n/save gone/x.md", "mkdir"),
    ],
)
def test_what_cannot_be_saved(
    chat: Talk, talk: Path, lines: str, named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    played = chat(talk, lines=lines)
    assert played.code == 2
    assert named in played.err
    assert not (tmp_path / "x.md").exists()


# Lines that are typed


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeInput]:
    """A keyboard; the screen is nowhere."""
    monkeypatch.setattr(conversation_lines, "_is_terminal", lambda stream: True)
    with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
        yield typed


@pytest.fixture
def typed(keys: PipeInput, tmp_path: Path) -> Iterator[str]:
    """The lines of somebody whose history lies in `state/fls/chat-history`."""
    history = tmp_path / "state" / "fls" / "chat-history"
    return conversation_lines.typed_lines(slash_commands.completions, history)


def unhurried(keys: PipeInput, text: str, lines: Iterator[str]) -> str:
    """The line typed by somebody who waits for the prompt, behind which history is loaded."""
    hand = threading.Timer(0.5, keys.send_text, [text])
    hand.start()
    try:
        return next(lines)
    finally:
        hand.join()


def test_a_line_is_edited(keys: PipeInput, typed: Iterator[str]) -> None:
    # Left twice, backspace, and the beginning of the line.
    keys.send_text("What?xy\x1b[D\x1b[D\x7f!\x01Oh. \n")
    assert next(typed) == "Oh. What!xy"


def test_ctrl_c_takes_back_a_line_and_then_leaves(keys: PipeInput, typed: Iterator[str]) -> None:
    keys.send_text("What?\x03Who?\n")
    assert next(typed) == "Who?"
    keys.send_text("\x03")
    with pytest.raises(KeyboardInterrupt):
        next(typed)


def test_ctrl_d_ends(keys: PipeInput, typed: Iterator[str]) -> None:
    keys.send_text("Who?\n\x04")
    assert list(typed) == ["Who?"]


def test_what_is_pasted_is_one_question(keys: PipeInput, typed: Iterator[str]) -> None:
    keys.send_text("\x1b[200~What is\nthis?\x1b[201~\n")
    assert next(typed) == "What is this?"


def test_earlier_lines_come_back_and_are_found(
    keys: PipeInput, typed: Iterator[str], tmp_path: Path
) -> None:
    keys.send_text("First?\nSecond?\n")
    assert [next(typed), next(typed)] == ["First?", "Second?"]
    assert unhurried(keys, "\x1b[A\x1b[A\n", typed) == "First?"
    assert unhurried(keys, "\x12Sec\n\n", typed) == "Second?"
    file = tmp_path / "state" / "fls" / "chat-history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    later = conversation_lines.typed_lines(slash_commands.completions, file)
    assert unhurried(keys, "\x1b[A\n", later) == "Second?"


@pytest.mark.parametrize("file", [None, Path("/proc/nowhere/chat-history")])
def test_without_a_place_for_history_it_works_all_the_same(
    keys: PipeInput, file: Path | None
) -> None:
    lines = conversation_lines.typed_lines(slash_commands.completions, file)
    keys.send_text("First?\n")
    assert next(lines) == "First?"
    assert unhurried(keys, "\x1b[A\n", lines) == "First?"


@pytest.mark.parametrize(
    ("begun", "line"),
    [("/b\tfa\t", "/budget fast"), ("/q\t", "/quit"), ("/\t", "/"), ("Wh\t", "Wh")],
)
def test_tab_completes_commands(
    keys: PipeInput, typed: Iterator[str], begun: str, line: str
) -> None:
    keys.send_text(f"{begun}\n")
    assert next(typed).rstrip() == line


def test_completions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert slash_commands.completions("") == []
    assert slash_commands.completions("/s") == ["/save ", "/sources"]
    assert slash_commands.completions("/budget ") == [
        f"/budget {name}" for name in ("fast", "balanced", "accurate")
    ]
    assert slash_commands.completions("/forget x") == []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "notes").mkdir()
    for name in ("note.md", "note.mp3", "[x].md"):
        (tmp_path / name).touch()
    assert slash_commands.completions("/save no") == ["/save note.md", "/save notes/"]
    assert slash_commands.completions("/save [") == ["/save [x].md"]
    assert slash_commands.completions("/save ~/not") == ["/save ~/note.md", "/save ~/notes/"]


# A terminal


@pytest.fixture
def terminal(tiny_weights: Path, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: object, stdout: int | None = None) -> Terminal:
        opened.append(Terminal(serving(tiny_weights, *arguments), tmp_path / "state", stdout))
        return opened[-1]

    yield start
    for one in opened:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


# The prompt, in whatever colours, until the cursor is shown.
PROMPT = r">[^\n]*\x1b\[\?25h$"


def test_a_conversation_at_a_terminal(
    terminal: Callable[..., Terminal], talk: Path, tmp_path: Path
) -> None:
    screen = terminal(talk)
    screen.until("Ctrl-D to leave")
    screen.until(PROMPT)
    screen.type(f"{WHAT}\r")
    screen.until(r"Yes, it is\.\r\n")
    screen.until(PROMPT)
    screen.type("/hel\t\r")
    screen.until("/budget NAME")
    screen.until(PROMPT)
    screen.type("/nothing\r")
    screen.until("There is no command /nothing")
    screen.until(PROMPT)
    screen.type(f"/save {tmp_path}/notes.md\r")
    screen.until("saved ")
    screen.until(PROMPT)
    screen.type("\x04")
    assert screen.left_with() == 0
    assert "Yes, it is." in (tmp_path / "notes.md").read_text()
    assert WHAT in (tmp_path / "state" / "fls" / "chat-history").read_text()


def test_ctrl_c_stops_an_answer_and_then_leaves(
    terminal: Callable[..., Terminal], talk: Path
) -> None:
    screen = terminal(talk)
    screen.until(PROMPT)
    screen.type("Is it endless?\r")
    screen.until("on and on and ")
    screen.type("\x03")
    screen.until("fls: stopped")
    screen.until(PROMPT)
    screen.type(f"{WHAT}\r")
    screen.until(r"Yes, it is\.")
    screen.until(PROMPT)
    screen.type("\x03")
    assert screen.left_with() == 130


def test_answers_go_to_a_file_and_the_prompt_to_the_person(
    terminal: Callable[..., Terminal], talk: Path, tmp_path: Path
) -> None:
    with (tmp_path / "answers.txt").open("wb") as file:
        screen = terminal(talk, "--quiet", stdout=file.fileno())
        screen.until(PROMPT)
        screen.type(f"{WHAT}\r")
        screen.until(PROMPT)
        screen.type("/quit\r")
        assert screen.left_with() == 0
    assert (tmp_path / "answers.txt").read_text() == f"> {WHAT}\nYes, it is.\n"


# A process


def test_a_pipe_that_nobody_reads_ends_quietly(tiny_weights: Path, talk: Path) -> None:
    with subprocess.Popen(
        serving(tiny_weights, talk, "--quiet"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{WHAT}\n")
        process.stdin.flush()
        # Answered while the questions are still coming.
        assert [process.stdout.readline() for _ in range(2)] == [f"> {WHAT}\n", "Yes, it is.\n"]
        process.stdout.close()
        process.stdin.write(f"{WHAT}\n" * 3)
        process.stdin.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_a_pipe_needs_no_prompt_toolkit(tiny_weights: Path, talk: Path) -> None:
    words = serving(tiny_weights, talk)
    words[2] = words[2].replace("import sys;", "import sys; sys.modules['prompt_toolkit'] = None;")
    done = subprocess.run(words, input=f"{WHAT}\n", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"> {WHAT}\nYes, it is.\n"


@pytest.mark.weights
def test_mini_talks_about_the_lecture(mini_weights: Installed) -> None:
    root = HERE.parents[1]
    start = "import sys; sys.path.insert(0, 'models'); from fls_cli.app import main; main()"
    lines = [
        "How hot was the ground on Mill Street?",
        "And on Bridge Street?",
        "And who is the mayor?",
    ]
    done = subprocess.run(
        [sys.executable, "-c", start, "chat", "examples/lecture.mp3", "--json", "--offline"],
        input="\n".join(lines),
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, follow, foreign = map(json.loads, done.stdout.splitlines())
    assert re.search("52|fifty-two", first["answer"])
    assert re.search("34|thirty-four", follow["answer"])
    assert (foreign["answered"], foreign["answer"]) == (False, NOT_SAID)
