"""What the documents tell people to type exists: commands, options, files, links.

What their console blocks show is compared with what is printed by `test_documents`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from console_blocks import console_blocks

from fls_cli.app import app
from fls_models.weights.card import Card, FrameCard, TextCard, load, names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt"
BLOCK = re.compile(r"^```(.*)\n([\s\S]*?)^```$", re.MULTILINE)
FLS = re.compile(
    r"(?:^|[\s|(/])fls "
    r"(?=ask|summarize|transcribe|chat|inspect|plan|models|cache|config|doctor|speakers|search"
    r"|library|bench|train|-)"
)


def block(name: str) -> str:
    found = [text for info, text in BLOCK.findall(README) if info == f"sh {name}"]
    assert len(found) == 1, f"one block ```sh {name}"
    return str(found[0])


def shell_lines(document: Path) -> str:
    """What of a document is meant for a shell, without prompts, output and whole-line comments."""
    text = document.read_text("utf-8")
    if document.suffix == ".md":
        typed = [body for info, body in BLOCK.findall(text) if info.startswith("sh")]
        prompts = [one.typed for block in console_blocks(text) for one in block.commands]
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


MARKDOWN = [
    *("README.md", "CONTRIBUTING.md", "examples/README.md"),
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]
# Those that show something to type.
DOCUMENTS = [
    *(name for name in MARKDOWN if FLS.search(shell_lines(ROOT / name))),
    "examples/pipelines.sh",
]


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


def test_the_documents_of_old_are_among_them() -> None:
    assert {"README.md", "CONTRIBUTING.md", "examples/README.md"} < set(DOCUMENTS)


@pytest.mark.parametrize("document", MARKDOWN)
def test_links_and_files_exist(document: str) -> None:
    place = ROOT / document
    text = place.read_text("utf-8")
    for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]*))?\)", text):
        linked = place.parent / target if target else place
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), (target, anchor)
    for words in invocations(shell_lines(place)):
        for word in words:
            assert not word.startswith("examples/") or (ROOT / word).exists(), word


def anchors(document: Path) -> set[str]:
    """What may stand behind # in a link to a document, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    for name in MARKDOWN:
        if name.startswith("docs/") and name != "docs/README.md":
            assert f"]({name.removeprefix('docs/')})" in index, name


SOURCES = [
    path
    for folder in ("fls_cli", "models", "benchmarks", "examples", "docs")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".md", ".toml", ".sh")
]


def test_nobody_is_sent_to_somebody_elses_package() -> None:
    """`fls` on the package index is another project's."""
    wrong = re.compile(r"pip install (?:-\S+ )*['\"]?fls\b")
    for path in [*SOURCES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        assert not wrong.search(path.read_text("utf-8")), path


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


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
