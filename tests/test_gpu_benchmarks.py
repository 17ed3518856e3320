"""The GPU benchmarks, rehearsed on the CPU: they are to be right the first time they meet a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]
GPU = ROOT / "benchmarks" / "gpu"
JOBS = {"parity", "memory", "memory-low", "speed", "profiling", "load"}
# What the machine with the GPU does not have.
MISSING = ("faster_whisper", "gguf", "ctranslate2", "sentencepiece", "ffmpeg", "imageio_ffmpeg")
BLOCKER = f"""
from importlib.machinery import PathFinder

found = PathFinder.find_spec

def find_spec(cls, name, path=None, target=None):
    return None if name.partition(".")[0] in {MISSING!r} else found(name, path, target)

PathFinder.find_spec = classmethod(find_spec)
"""


class Runner:
    """Runs the scripts from anywhere but the repository, with what is missing there missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(BLOCKER, "utf-8")

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(GPU / "run.py"), "--toy", *arguments]
        command += ["--place", str(self.folder / "place")]
        if "--out" not in arguments:
            command += ["--out", str(self.out)]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(self.folder / "site"),
        }
        return subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, check=False
        )

    def read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / f"{name}.json").read_text("utf-8"))
        return found


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    runner = Runner(tmp_path_factory.mktemp("gpu"))
    done = runner("--minutes", "60")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return runner


def test_what_is_missing_there_is_missing_here(tmp_path: Path) -> None:
    Runner(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-c", "import gguf"]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def test_every_job_is_done_without_problems(rehearsed: Runner) -> None:
    files = {file.stem for file in rehearsed.out.glob("*.json")}
    assert files == JOBS | {"run"}
    # So many files come back from where it runs.
    assert len(list(rehearsed.out.iterdir())) <= 8
    for name in JOBS:
        found = rehearsed.read(name)
        assert (found["job"], found["done"], found["problems"]) == (name, True, {})
        assert {"gpu", "driver", "date", "versions"} <= found["machine"].keys()
        assert {"torch", "transformers", "bitsandbytes"} <= found["machine"]["versions"].keys()
        assert rehearsed.read("run")["jobs"][name]["state"] == "done"


def test_parity_passes_on_the_cpu(rehearsed: Runner) -> None:
    found = rehearsed.read("parity")
    assert all(found["passed"].values())
    assert {name.partition(",")[0] for name in found["measurements"]} == {
        "golden",
        "tiny",
        "linear",
        "streaming",
        "low memory",
    }
    for one in ("golden, as it runs", "golden, in full float32"):
        assert found["measurements"][one]["rows_off"] == 0


def test_speed_has_what_the_table_asks_for(rehearsed: Runner) -> None:
    found = rehearsed.read("speed")
    measured = found["measurements"]
    for method in ("L=750", "fast", "balanced", "accurate", "uncompressed", "loop L=750"):
        one = measured[f"31 s, {method}"]
        assert 0 < one["first_token_s"] <= one["total_s"]
        assert one["frames_before"] == 775
        assert {"log-mel", "encode", "density", "fusion", "project", "prefill", "decode"} == set(
            one["stages_s"]
        )
        assert all(seconds >= 0 for seconds in one["stages_s"].values())
        assert 0 < one["extractor_share"] < 1
    # Each of several sections is noted down, then the answer is made of the notes.
    sections = measured["31 s, balanced"]["sections"]
    assert sections > 1
    assert measured["31 s, balanced"]["tokens_decoded"] == 4 * (sections + 1)
    assert measured["31 s, L=750"]["frames_after"] == 750
    assert measured["31 s, loop L=750"]["frames_after"] == 750
    assert measured["31 s, L=750"]["asked"]["usage_s"].keys() >= {"listen", "read", "check"}
    assert "leave out --no-compress" in measured["40 s, uncompressed"]["refused"]
    assert found["ratios"]["31 s, uncompressed / L=750"].keys() >= {
        "first_token",
        "total",
        "asked_first_token",
    }
    assert found["loaded"]["seconds"] > 0


def test_memory_profiling_and_load_have_what_is_promised(rehearsed: Runner) -> None:
    for name, key in (("memory", "plain"), ("memory-low", "low")):
        measured = rehearsed.read(name)["measurements"][key]
        assert {"listening", "without judging", "asked", "host_peak_gb"} <= measured.keys()
    profile = rehearsed.read("profiling")["measurements"]["profile, fast"]
    assert 0 < profile["extractor_share"] < 1
    assert profile["rounds"] == 3
    assert profile["kernels"]
    assert set(profile["stages_device_ms"]) >= {"encode", "density", "fusion", "prefill", "decode"}
    head = rehearsed.read("profiling")["measurements"]["head alone"]
    assert head["as it runs, largest difference"] < 1e-5
    load = rehearsed.read("load")["measurements"]
    assert load["installed"]["host_peak_gb"] < 2
    assert load["loaded"]["seconds"] > 0
    assert not (rehearsed.folder / "place" / "release").exists()


def test_what_is_done_is_not_done_again(rehearsed: Runner) -> None:
    before = {file.name: file.read_bytes() for file in rehearsed.out.glob("*.json")}
    assert rehearsed("parity", "speed", "--minutes", "5").returncode == 0
    for name in ("parity", "speed"):
        assert (rehearsed.out / f"{name}.json").read_bytes() == before[f"{name}.json"]
        assert rehearsed.read("run")["jobs"][name]["state"] == "was done"


def test_earlier_results_count(rehearsed: Runner, tmp_path: Path) -> None:
    out = tmp_path / "new"
    how = ("--out", str(out), "--earlier", str(rehearsed.out), "--minutes", "5")
    assert rehearsed("load", *how).returncode == 0
    assert json.loads((out / "load.json").read_text("utf-8"))["done"]
    assert json.loads((out / "run.json").read_text("utf-8"))["jobs"]["load"]["state"] == "was done"


def test_no_time_leaves_valid_json(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    assert runner("--minutes", "0").returncode == 3
    states = {name: job["state"] for name, job in runner.read("run")["jobs"].items()}
    assert states == dict.fromkeys(JOBS, "no time")


def test_a_job_that_is_cut_short_goes_on_where_it_stopped(
    rehearsed: Runner, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    whole = rehearsed.read("profiling")
    kept = {"head alone": whole["measurements"]["head alone"] | {"classes": -1}}
    part = whole | {"done": False, "measurements": kept}
    (out / "profiling.json").write_text(json.dumps(part), "utf-8")
    command = [sys.executable, str(GPU / "profiling.py"), "--toy", "--out", str(out)]
    command += ["--place", str(rehearsed.folder / "place")]
    stopped = subprocess.run([*command, "--minutes", "0"], capture_output=True, check=False)
    assert stopped.returncode == 3
    found = json.loads((out / "profiling.json").read_text("utf-8"))
    assert not found["done"]
    assert "profile, fast" in found["left_out"]
    assert found["measurements"] == kept


def test_an_unknown_job_is_an_error(tmp_path: Path) -> None:
    assert Runner(tmp_path)("speeed").returncode == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_parity_passes_on_the_device(tmp_path: Path) -> None:
    command = [sys.executable, str(GPU / "parity.py"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads((tmp_path / "parity.json").read_text("utf-8"))
    assert all(found["passed"].values()), found["passed"]
