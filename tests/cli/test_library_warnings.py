"""No command shows a warning of a library, whatever Python was told; FLS_WARNINGS shows them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from media_files import tone, write_wav

ROOT = Path(__file__).parents[2]

# One process for all commands: it takes seconds to import the libraries. Filters go back after
# each, as after another start.
START = """
import json, sys, warnings
from fls_cli.__main__ import run
for number, arguments in enumerate(json.loads(sys.argv[1])):
    print(f"== {number}", flush=True)
    print(f"== {number}", file=sys.stderr, flush=True)
    sys.argv = ["fls", *arguments]
    try:
        run()
    except SystemExit as left:
        print(f"code {left.code or 0}", file=sys.stderr, flush=True)
    warnings.simplefilter(sys.warnoptions[-1])
"""


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    road = os.pathsep.join([str(ROOT), str(ROOT / "models")])
    return subprocess.run(
        [sys.executable, *arguments],
        input="What is said?\n",
        env={**os.environ, "PYTHONPATH": road, "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("filters", ["always", "error"])
def test_no_command_shows_one(filters: str, tiny_mini: Path, tmp_path: Path) -> None:
    talk = str(write_wav(tmp_path / "talk.wav", np.concatenate([tone(440, 2), tone(220, 2)])))
    utterance = {"audio": talk, "text": "what is said"}
    manifest = tmp_path / "speech.jsonl"
    manifest.write_text(json.dumps(utterance) + "\n" + json.dumps(utterance) + "\n")
    (tmp_path / "made").mkdir()
    model, made = ["--model", str(tiny_mini)], str(tmp_path / "made")
    commands = [
        ["ask", talk, "What?", "--evidence", "--clips", made, *model],
        ["ask", talk, "What?", "--read", "frames", "--report", f"{made}/talk.html", *model],
        ["summarize", talk, *model],
        ["transcribe", talk, "--format", "srt", *model],
        ["chat", talk, *model],
        ["plan", talk, *model],
        ["inspect", talk, *model],
        ["inspect", talk, "-o", f"{made}/talk.png", *model],
        ["models", "list"],
        ["models", "show", "mini"],
        ["cache", "info"],
        ["config"],
        ["doctor"],
        ["bench", "asr", str(manifest), *model],
        [
            "train",
            "ctc",
            str(manifest),
            *model,
            "--vocab",
            "60",
            "--steps",
            "2",
            "-o",
            f"{made}/head",
        ],
    ]
    given = ("-W", filters, "-c", START, json.dumps(commands))
    found = python(*given, FLS_CACHE=str(tmp_path), PYTHONWARNINGS=filters)
    said = found.stderr.split("== ")[1:]
    assert len(said) == len(commands)
    for command, text in zip(commands, said, strict=True):
        assert "arning" not in text, (command, text)
        assert "Traceback" not in text, (command, text)
    assert "arning" not in found.stdout
    # None of them was refused before it had imported anything.
    codes = [text.splitlines()[-1] for text in said]
    assert [code for code in codes if code not in ("code 0", "code 1")] == []


PLANTED = """
from fls_cli.console import library_warnings
library_warnings.hide()
import logging, warnings
warnings.warn("planted", DeprecationWarning)
with warnings.catch_warnings():
    warnings.simplefilter("always")
    warnings.warn("planted with its own filter")
logging.getLogger("library").warning("planted in a log")
print("done")
"""


@pytest.mark.parametrize("filters", ["always", "error", "default"])
def test_filters_from_outside_change_nothing(filters: str) -> None:
    for way in (["-W", filters, "-c", PLANTED], ["-c", PLANTED]):
        found = python(*way, PYTHONWARNINGS=filters)
        assert (found.returncode, found.stdout, found.stderr) == (0, "done\n", "")


def test_a_variable_shows_them() -> None:
    found = python("-W", "always", "-c", PLANTED, FLS_WARNINGS="1")
    assert found.stdout == "done\n"
    assert found.stderr.count("planted") >= 3
    assert python("-c", PLANTED, FLS_WARNINGS="0").stderr == ""


def test_errors_are_still_logged() -> None:
    logged = PLANTED.replace('.warning("planted', '.error("broken')
    assert "broken in a log" in python("-c", logged).stderr
