"""`fls train compress` in two processes, as a launcher starts them: it makes what one makes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from test_train_compress import Capture, arguments, clips, own_cache, released
from tiny_model import HERE, play

__all__ = ["clips", "own_cache", "released"]

pytestmark = pytest.mark.usefixtures("one_thread")


def launched(folder: Path, *asked: str) -> subprocess.CompletedProcess[str]:
    """Two processes on the CPU; `--multi_gpu` is what the launcher calls more than one."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    how = f"--multi_gpu --num_processes 2 --num_machines 1 --main_process_port {port}"
    more = "--mixed_precision no --dynamo_backend no"
    command = [sys.executable, "-m", "accelerate.commands.launch", *how.split(), *more.split()]
    root = HERE.parent.parent
    env = {
        **os.environ,
        # The user's own configuration of launches is not what is tested.
        "HF_HOME": str(folder / "hub"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "models")]),
    }
    return subprocess.run(
        [*command, "-m", "fls_cli", *asked], capture_output=True, text=True, env=env
    )


def test_two_processes_make_what_one_makes(
    capfd: Capture, clips: Path, released: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file
    from torch.testing import assert_close

    how = ["--accumulate", "3", "--lr", "0.01", "--lengths", "750,25"]
    together = launched(tmp_path, *arguments(clips, released, tmp_path / "together", *how))
    assert together.returncode == 0, together.stderr
    alone = play(capfd, *arguments(clips, released, tmp_path / "alone", *how))
    assert together.stdout.splitlines() == [str(tmp_path / "together" / "adapter")]
    said = [line for line in together.stderr.splitlines() if line.startswith("fls: ")]
    assert said == [line for line in alone.err.splitlines() if line.startswith("fls: ")]
    made, wanted = (
        load_file(tmp_path / name / "adapter" / "adapter_model.safetensors")
        for name in ("together", "alone")
    )
    assert made.keys() == wanted.keys()
    for name, value in wanted.items():
        assert_close(made[name], value, rtol=1e-3, atol=1e-5)
    assert len(list((tmp_path / "together" / "encoded").rglob("*.safetensors"))) == 1


def test_what_is_wrong_is_said_once(clips: Path, released: Path, tmp_path: Path) -> None:
    asked = arguments(clips, released, tmp_path / "tuned", "--lr", "0")
    done = launched(tmp_path, *asked)
    assert done.returncode != 0
    assert done.stderr.count("fls: --lr takes a number above 0") == 1
