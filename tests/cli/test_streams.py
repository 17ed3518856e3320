"""Standard streams that are closed, full, or read by nobody: a sentence, and no traceback."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_model import SAID, TinyModel, command, play

from fls_cli.session.session import Session

Capture = pytest.CaptureFixture[str]

ROOT = Path(__file__).parents[2]
ANSWER = "".join(f"Sentence {i}.\n" for i in range(len(SAID)))
CLOSED = "fls: stdout is closed, where the result would go; redirect it to a file.\n"
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")


def shell(line: str, *arguments: str, **options: int) -> subprocess.CompletedProcess[str]:
    """What becomes of `line` in a shell, in which `fls` is the command of `tiny_model`."""
    typed = line.replace("fls", shlex.join(command(*arguments)), 1)
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.run(
        ["bash", "-c", typed], text=True, timeout=60, check=False, **{**pipe, **options}
    )


def test_a_closed_stdout_is_told_before_the_work(talk: Path) -> None:
    done = shell("fls >&-", "transcribe", str(talk))
    assert (done.returncode, done.stderr) == (2, CLOSED)
    for arguments in (["--help"], ["--version"], ["models", "list"], ["config"]):
        done = shell("fls >&-", *arguments)
        assert (done.returncode, done.stderr) == (2, CLOSED), arguments


def test_a_closed_stdout_is_not_missed_where_a_file_is_written(talk: Path, tmp_path: Path) -> None:
    place = tmp_path / "said.txt"
    done = shell("fls >&-", "transcribe", str(talk), "-o", str(place))
    assert (done.returncode, done.stderr) == (0, "listening\n")
    assert place.read_text() == ANSWER


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "<&- 2>&-"])
def test_the_answer_comes_whatever_else_is_closed(talk: Path, closed: str) -> None:
    done = shell(f"fls {closed}", "transcribe", str(talk))
    assert (done.returncode, done.stdout) == (0, ANSWER)
    # Notes and failures have nowhere to go, and the exit code tells.
    done = shell(f"fls {closed}", "transcribe", "gone.mp3", str(talk))
    assert (done.returncode, done.stdout) == (1, f"==> {talk} <==\n{ANSWER}")


def test_a_closed_stdin_is_no_recording() -> None:
    done = shell("fls <&-", "transcribe", "-")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fls: - reads what is piped in, and nothing is; ")


def test_all_closed_is_no_hang(talk: Path) -> None:
    assert shell("fls <&- >&- 2>&-", "transcribe", str(talk)).returncode == 2


@FULL
def test_a_full_stderr_costs_the_notes_alone(talk: Path) -> None:
    # The first that is written there is a note of the tool.
    done = shell("fls 2>/dev/full", "transcribe", "gone.mp3", str(talk), "--quiet")
    assert (done.returncode, done.stdout) == (1, f"==> {talk} <==\n{ANSWER}")


def test_a_reader_of_notes_that_is_gone_costs_the_notes_alone(talk: Path) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    done = shell("fls", "transcribe", "gone.mp3", str(talk), stderr=ours)
    os.close(ours)
    assert (done.returncode, done.stdout) == (1, f"==> {talk} <==\n{ANSWER}")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["models", "list"], ["config"]])
def test_a_reader_that_is_gone_ends_every_command_quietly(arguments: list[str]) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    done = shell("fls", *arguments, stdout=ours)
    os.close(ours)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_limit_on_the_size_of_files_is_told(talk: Path, tmp_path: Path) -> None:
    place = shlex.quote(str(tmp_path / "said.txt"))
    done = shell(f"ulimit -f 0; fls > {place}", "transcribe", str(talk))
    assert done.returncode == 3
    assert done.stderr == (
        "listening\nfls: The result is larger than a file may be here; raise `ulimit -f` first.\n"
    )
    recording = shlex.quote(str(talk))
    done = shell(f"ulimit -f 0; cat {recording} | fls", "transcribe", "-")
    assert (done.returncode, done.stdout) == (3, "")
    assert "set TMPDIR to a folder with more" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_the_system_refuses_elsewhere_is_one_sentence(
    talk: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch, tiny: TinyModel
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere")

    monkeypatch.setattr(Session, "model", refused)
    played = play(capfd, "transcribe", str(talk))
    assert (played.code, played.out) == (3, "")
    assert (
        played.err == "fls: /somewhere: Permission denied; mend that and run the command again.\n"
    )


# Stands for an import during which Ctrl-C comes and is lost.
INTERRUPTED = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass
except BaseException:
    pass
"""


@pytest.mark.parametrize("module", ["typer", "contextlib", "logging"])
def test_ctrl_c_while_importing_ends_it_without_a_word(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(INTERRUPTED)
    # Not PYTHONPATH: Python itself imports some of these before it starts anything.
    road = [str(tmp_path), str(ROOT), str(ROOT / "models")]
    start = f"import sys; sys.modules.pop({module!r}, None); sys.path[:0] = {road!r}; "
    start += "from fls_cli.__main__ import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", start, "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
