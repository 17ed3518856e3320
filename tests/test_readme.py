"""What the documents tell people to type exists: commands, options, files."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from fls_cli.app import app
from fls_models.card import Card, FrameCard, TextCard, load, names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt"
BLOCK = re.compile(r"^```(.*)\n([\s\S]*?)^```$", re.MULTILINE)
FLS = re.compile(
    r"(?:^|[\s|(/])fls "
    r"(?=ask|summarize|transcribe|chat|inspect|plan|models|cache|config|doctor|bench|train|-)"
)


def block(name: str) -> str:
    found = [text for info, text in BLOCK.findall(README) if info == f"sh {name}"]
    assert len(found) == 1, f"one block ```sh {name}"
    return str(found[0])


def shell_lines(document: Path) -> str:
    """What of a document is meant for a shell, without prompts, output and whole-line comments."""
    text = document.read_text("utf-8")
    if document.suffix == ".md":
        blocks = [(info, body) for info, body in BLOCK.findall(text)]
        typed = [body for info, body in blocks if info.startswith("sh")]
        shown = [body for info, body in blocks if info == "console"]
        prompts = re.findall(r"^\$ (.*)$", "\n".join(shown), re.MULTILINE)
        indented = re.findall(r"^    ((?:.*\| )?(?:\S*/)?fls .*)$", text, re.MULTILINE)
        text = "\n".join([*typed, *prompts, *indented])
    text = text.replace("\\\n", " ")
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def invocations(text: str) -> Iterator[list[str]]:
    """The words after `fls`, each time a shell would run it."""
    lexer = shlex.shlex(text + "\n", posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split = " \t", True
    command: list[str] = []
    redirected = False
    for token in lexer:
        if not set(token) <= set("();<>|&\n"):
            if not redirected:
                command.append(token)
            redirected = False
            continue
        redirected = token in ("<", ">", ">>")
        if not redirected:
            if command and command[0].rpartition("/")[2] == "fls":
                yield command[1:]
            command = []


def parse(words: list[str]) -> None:
    """Raises what `fls` would raise about these arguments; runs nothing."""
    command: Any = typer.main.get_command(app)
    words = list(words)
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands") or words[0].startswith("-"), words
    command.make_context("fls", words, resilient_parsing=hasattr(command, "commands"))


def test_the_first_command_installs_and_answers() -> None:
    (line,) = block("answer").splitlines()
    assert line == (
        f'{INSTALL} . && .venv/bin/fls ask examples/lecture.mp3 "What is the main argument?"'
    )
    assert README.index(line) < README.index("\n## ")


def test_the_second_command_installs_and_tests() -> None:
    (line,) = block("test").splitlines()
    assert line == f"{INSTALL} -e '.[dev]' && .venv/bin/python -m pytest"


def test_ci_extracts_the_second_command() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    (function,) = re.findall(r"^from_readme\(\) \{\n[\s\S]*?^\}$", script, re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euc", f"{function}\nfrom_readme test"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout == block("test")
    assert "pytest" not in script


DOCUMENTS = ["README.md", "CONTRIBUTING.md", "examples/README.md", "examples/pipelines.sh"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_line_parses(document: str) -> None:
    text = shell_lines(ROOT / document)
    found = list(invocations(text))
    assert len(found) == len(FLS.findall(text)) > 0
    for words in found:
        parse(words)


def test_a_wrong_option_would_be_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(next(invocations("cat a | fls ask - What --frobnicate | jq .\n")))


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path.endswith(".md")])
def test_links_and_files_exist(document: str) -> None:
    place = ROOT / document
    text = place.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", text):
        assert (place.parent / target).exists(), target
    for words in invocations(shell_lines(place)):
        for word in words:
            assert not word.startswith("examples/") or (ROOT / word).exists(), word


def table(heading: str) -> list[list[str]]:
    """The rows below a table's heading, as cells."""
    lines = README.splitlines()
    start = lines.index(heading)
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_options_table_is_what_the_commands_take() -> None:
    group: Any = typer.main.get_command(app)
    commands = ("ask", "summarize", "transcribe")
    taken: dict[str, set[str]] = {}
    for command in commands:
        for option in group.commands[command].params:
            if option.opts[0].startswith("-"):
                spelling = ", ".join(f"`{one}`" for one in option.opts)
                taken.setdefault(spelling, set()).add(command)
    rows = table("| option | ask | summarize | transcribe | what it does |")
    told = {
        option: {name for name, cell in zip(commands, cells, strict=True) if cell}
        for option, *cells, _ in rows
    }
    assert told == taken


def test_the_models_table_is_what_there_is() -> None:
    rows = table("| model | what it is | download | memory |")
    told = {name.strip("`"): (download, memory) for name, _, download, memory in rows}
    cards = {name: load(name) for name in names()}
    assert told == {name: _sizes(card) for name, card in cards.items()}


def _sizes(card: Card) -> tuple[str, str]:
    if isinstance(card, FrameCard):
        return f"{card.download_gb:g} GB", f"{card.memory_gb:g} GB of GPU"
    assert isinstance(card, TextCard)
    return f"{sum(part.bytes for part in card.parts) / 1e6:.0f} MB", f"{card.memory_gb:g} GB"
