"""`examples/pipelines.sh` with the real model: each pipeline ends well and prints what it promises.

Left out, for the time they take: `cost_of_budgets`, `every_episode` and `notes_file` (three
recordings or three readings each), and `ask` and `when_said`, which are much like others here.
`test_readme` checks the command lines of all.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "pipelines.sh"
BASH = shutil.which("bash") or "bash"

EXPECTED = {
    "from_stdin": r"(?i)^.*lamp.*$",
    "count_cues": r"cues: \d\d",
    "search": r"(?i).*honey.*\n(.*honey.*\n?)*",
    "first_line": r"This is Notes from the Road.*",
    "answer_field": r".*340.*",
    "questions_table": r"How many hives.*\t.+\nHow many jars.*\t.+\nWhat is the name.*\t.+",
    "letter": r"- [\s\S]*\S",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which `fls` is the code under test, installed or not."""
    folder = tmp_path_factory.mktemp("bin")
    launcher = folder / "fls"
    roots = f"{ROOT}{os.pathsep}{ROOT / 'models'}"
    launcher.write_text(
        f'#!/bin/sh\nPYTHONPATH="{roots}" exec "{sys.executable}" -m fls_cli "$@"\n'
    )
    launcher.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def run(path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BASH, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
    )


def test_list_names_them_all(path: str) -> None:
    done = run(path, "--list")
    assert done.returncode == 0
    assert set(EXPECTED) <= set(done.stdout.split())
    assert done.stderr == ""


def test_an_unknown_name_is_refused(path: str) -> None:
    done = run(path, "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--list" in done.stderr


@pytest.mark.weights
@pytest.mark.parametrize("name", EXPECTED)
def test_pipeline(path: str, name: str) -> None:
    done = run(path, name)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"== {name}\n"
    assert re.fullmatch(EXPECTED[name], done.stdout.strip()), done.stdout
