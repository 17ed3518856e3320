"""What a user sees before anything runs: help, version, completion; and that it costs little."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
import typer.main

from fls_cli import __version__
from fls_cli.app import app
from fls_cli.console.help_pages import CommandLine
from fls_models.core.results import STYLES
from fls_models.weights import card
from fls_models.weights.card import names

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "models" / "fls_models"
HEAVY = (
    *("torch", "transformers", "numpy", "faster_whisper", "ctranslate2", "huggingface_hub"),
    *("prompt_toolkit", "matplotlib"),
)
# Runs `fls` with the arguments given, then says on stderr which heavy modules that loaded.
_PROBE = f"""
import atexit, sys
loaded = lambda: print("loaded:", *[n for n in {HEAVY} if n in sys.modules], file=sys.stderr)
atexit.register(loaded)
from fls_cli.app import main
main()
"""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "models")])
    return subprocess.run(
        [sys.executable, "-c", _PROBE, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": paths, **environment},
    )


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words after `fls` of every command and group, those inside groups included."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


COMMANDS = list(commands(typer.main.get_command(app)))


def test_there_are_the_commands_that_the_readme_speaks_of() -> None:
    assert {("ask",), ("summarize",), ("transcribe",), ("models", "pull")} <= set(COMMANDS)


each_page = pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(["fls", *words]))


@each_page
def test_help_has_an_example_and_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    done = run(*words, "--help")
    assert done.returncode == 0
    assert done.stderr == "loaded:\n"
    # The first page has more than one, for those who are new.
    example = " ".join(["Example: fls", *words]) if words else "fls ask"
    assert any(line.strip().startswith(example) for line in done.stdout.splitlines())


Page = Callable[..., str]


@pytest.fixture
def page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Page:
    """What `--help` prints in a terminal of some width."""

    def print_page(*words: str, width: int = 80, of: typer.Typer = app) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit) as left:
            of([*words, "--help"], prog_name="fls")
        assert not left.value.code
        return capsys.readouterr().out

    return print_page


def find_command(words: tuple[str, ...]) -> Any:
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    return command


@each_page
@pytest.mark.parametrize("width", [60, 80, 120])
def test_pages_fit_and_show_no_types_of_pythons(
    page: Page, words: tuple[str, ...], width: int
) -> None:
    text = page(*words, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert re.findall(r"<\w+|\[x|\u2026", text) == []


@each_page
def test_values_have_a_word_and_flags_none(page: Page, words: tuple[str, ...]) -> None:
    lines = page(*words).splitlines()
    command = find_command(words)
    for param in command.get_params(command.make_context("fls", [], resilient_parsing=True)):
        name = max(param.opts, key=len)
        if getattr(param, "is_flag", False):
            assert param.metavar is None, f"{name} takes no value"
            typed = "/".join([name, *param.secondary_opts])
        else:
            assert param.metavar, f"{name} has no metavar"
            typed = f"{name} {param.metavar}" if name.startswith("-") else param.metavar
        pattern = rf"  (-\w, |    )?{re.escape(typed)}(  .*)?"
        assert any(re.fullmatch(pattern, line) for line in lines), typed


@each_page
def test_no_command_is_cut_in_a_list(page: Page, words: tuple[str, ...]) -> None:
    text = " ".join(page(*words).split())
    for name, inner in getattr(find_command(words), "commands", {}).items():
        first = inner.help.split(".")[0].split()
        assert " ".join([name, *first]) + "." in text


def test_an_option_whose_author_forgot_the_word_shows_its_name(page: Page) -> None:
    made = CommandLine(add_completion=False)

    @made.command()
    def count(
        at_most: int = 3, share: Annotated[float, typer.Option(min=0)] = 0.5, loud: bool = False
    ) -> None:
        """Count."""

    text = page(of=made)
    assert "      --at-most AT_MOST  [default: 3]\n" in text
    assert "      --share SHARE      [default: 0.5]\n" in text
    assert "      --loud/--no-loud\n" in text


def test_the_first_page_says_what_to_type_first(page: Page) -> None:
    lines = page().splitlines()
    start = lines.index("Start here:") + 1
    typed = [re.split(r" {2,}", line.strip())[0] for line in lines[start : lines.index("", start)]]
    assert typed[0].startswith("fls ask ")
    for words in map(shlex.split, typed):
        assert words.pop(0) == "fls"
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        if "--help" not in words:
            command.make_context("fls", words)
    mini = card.load("mini")
    assert isinstance(mini, card.TextCard)
    assert f"{sum(part.bytes for part in mini.parts) / 1e6:.0f} MB" in lines[start]
    headings = [line for line in lines if line.endswith(":")]
    assert headings[1:4] == [
        "Questions and texts:",
        "What is here, and what a question takes:",
        "Measuring and training:",
    ]


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"fls {__version__}\n")
    assert done.stderr == "loaded:\n"


def test_wrong_usage_is_one_sentence_and_exit_code_2() -> None:
    done = run("ask", "lecture.mp3")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("fls: A recording and a question are needed")
    assert done.stderr.endswith("loaded:\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_has_a_script_for_each_shell(shell: str) -> None:
    done = run(_FLS_COMPLETE=f"source_{shell}")
    assert done.returncode == 0
    assert f"complete_{shell}" in done.stdout


def complete(typed: str) -> list[str]:
    """What bash is offered after `typed`, whose last word is the one to complete."""
    words = typed.split(" ")
    done = run(
        _FLS_COMPLETE="complete_bash", COMP_WORDS=typed.strip(), COMP_CWORD=str(len(words) - 1)
    )
    assert done.stderr == "loaded:\n"
    return done.stdout.split()


@pytest.mark.parametrize("command", ["ask", "summarize", "transcribe", "chat", "inspect"])
def test_completion_knows_the_budgets_and_models(command: str) -> None:
    assert complete(f"fls {command} --budget ") == ["fast", "balanced", "accurate"]
    assert complete(f"fls {command} --budget b") == ["balanced"]
    assert complete(f"fls {command} --model ") == ["auto", *names()]


def test_completion_knows_styles_and_formats() -> None:
    assert complete("fls summarize --style ") == [*STYLES, "ffmetadata"]
    forms = ["txt", "srt", "vtt", "tsv", "lrc", "md", "json"]
    assert complete("fls transcribe --format ") == forms
