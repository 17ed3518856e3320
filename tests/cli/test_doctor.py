"""`fls doctor`: a line for everything there is to check, and 3 only when something is missing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_model import play

from fls_cli.machine import doctor as checks
from fls_cli.storage import resources as machine
from fls_models.core.machine.memory import Memory
from fls_models.weights import card
from fls_models.weights import store as weights

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

CHECKS = [
    *("ffmpeg", "python", "torch", "hearing", "cuda", "bitsandbytes", "memory", "disk"),
    *(f"model {name}" for name in card.names()),
    *("cache", "config"),
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A machine with 8 GB, 100 GB of disk and no weights, whose user has set nothing."""
    for name in [name for name in os.environ if name.startswith("FLS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(checks, "memory", lambda: Memory(6 * 10**9, 8 * 10**9))
    monkeypatch.setattr(machine, "free_disk", lambda folder: 100 * 10**9)
    return tmp_path / "cache"


def examined(capfd: Capture) -> dict[str, tuple[str, str]]:
    """Mark and text of every check. The exit code must fit them, and stderr be empty."""
    played = play(capfd, "doctor")
    assert played.err == ""
    found = {}
    for line in played.lines:
        mark, check, text = re.split(r"  +", line, maxsplit=2)
        found[check] = (mark, text)
    assert list(found) == CHECKS
    marks = {mark for mark, _ in found.values()}
    assert marks <= {"ok", "--", "!!"}
    assert played.code == (3 if "!!" in marks else 0)
    return found


def problems(capfd: Capture) -> dict[str, str]:
    return {check: text for check, (mark, text) in examined(capfd).items() if mark == "!!"}


def write_script(path: Path, *lines: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


def test_a_machine_that_lacks_nothing_is_0(capfd: Capture, cache: Path) -> None:
    import torch

    found = examined(capfd)
    assert {mark for mark, _ in found.values()} == {"ok", "--"}
    assert found["python"] == ("ok", ".".join(map(str, sys.version_info[:3])))
    assert found["torch"][1].startswith(f"{torch.__version__}, {torch.get_num_threads()} thread")
    assert found["memory"] == ("ok", "6.0 GB of 8.0 GB available; mini takes 2 GB")
    assert found["disk"] == ("ok", f"100.0 GB free for {cache}")
    assert found["model mini"] == ("--", "642 MB to download, as `fls models pull mini` does")
    assert found["cache"] == ("ok", f"{cache} can be made")
    assert found["config"] == ("--", "no file; `fls config --init` writes one to fill in")
    # It only looks.
    assert not cache.exists()
    assert not cache.with_name("settings").exists()


def test_json_says_the_same(capfd: Capture, monkeypatch: Patch) -> None:
    monkeypatch.setattr(checks, "memory", lambda: Memory(10**9, 8 * 10**9))
    found = examined(capfd)
    played = play(capfd, "doctor", "--json")
    assert played.code == 3
    marks = {"ok": "ok", "optional": "--", "problem": "!!"}
    rows = {row["check"]: (marks[row["state"]], row["text"]) for row in json.loads(played.out)}
    assert rows == found


@pytest.mark.usefixtures("no_bundled_ffmpeg")
def test_without_ffmpeg_the_way_to_get_it_is_named(capfd: Capture, monkeypatch: Patch) -> None:
    monkeypatch.setenv("PATH", "")
    found = problems(capfd)
    assert set(found) == {"ffmpeg"}
    assert "`apt install ffmpeg`" in found["ffmpeg"]


@pytest.fixture
def own_ffmpeg(tmp_path: Path, monkeypatch: Patch) -> Path:
    """One on PATH."""
    own = tmp_path / "bin" / "ffmpeg"
    write_script(own, 'echo "ffmpeg version 6.1.1-3ubuntu5 Copyright (c) 2000-2023"')
    monkeypatch.setenv("PATH", str(own.parent))
    return own


def test_it_says_which_ffmpeg_and_why(capfd: Capture, own_ffmpeg: Path, monkeypatch: Patch) -> None:
    mark, text = examined(capfd)["ffmpeg"]
    assert mark == "ok"
    assert re.fullmatch(
        r"n?[1-9]\S*, the tested one, from the imageio-ffmpeg wheel: "
        r"/\S+/imageio_ffmpeg/binaries/ffmpeg-\S+",
        text,
    )
    monkeypatch.setenv("FLS_FFMPEG", "ffmpeg")
    chosen = f"6.1.1-3ubuntu5, chosen by FLS_FFMPEG: {own_ffmpeg}"
    assert examined(capfd)["ffmpeg"] == ("ok", chosen)


@pytest.mark.usefixtures("no_bundled_ffmpeg")
def test_it_says_that_ffmpeg_is_from_path_for_want_of_another(
    capfd: Capture, own_ffmpeg: Path
) -> None:
    told = "from PATH, as the imageio-ffmpeg wheel has none for this machine"
    assert examined(capfd)["ffmpeg"] == ("ok", f"6.1.1-3ubuntu5, {told}: {own_ffmpeg}")


@pytest.mark.parametrize(
    ("broken", "why"), [("exit 127", "exit code 127"), ("kill -SEGV $$", "signal 11")]
)
def test_an_ffmpeg_that_does_not_run(
    broken: str, why: str, capfd: Capture, own_ffmpeg: Path, monkeypatch: Patch
) -> None:
    write_script(own_ffmpeg, broken)
    monkeypatch.setenv("FLS_FFMPEG", str(own_ffmpeg))
    found = problems(capfd)
    assert set(found) == {"ffmpeg"}
    assert found["ffmpeg"].startswith(f"{own_ffmpeg} does not run ({why}); set FLS_FFMPEG to")


@pytest.mark.parametrize(
    "error", ["OSError('libtorch.so: no such file')", "ImportError('no torch')", "ValueError()"]
)
def test_a_torch_that_does_not_load_is_told_and_the_rest_is_checked(
    error: str, capfd: Capture, tmp_path: Path, monkeypatch: Patch
) -> None:
    (tmp_path / "torch.py").write_text(f"raise {error}\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = examined(capfd)
    mark, text = found["torch"]
    assert mark == "!!"
    assert text.startswith(f"it does not load ({error.split('(')[0]}")
    assert "pip install" in text
    assert found["cuda"] == ("--", "unknown while torch does not load")
    assert [check for check, (mark, _) in found.items() if mark == "!!"] == ["torch"]


@pytest.fixture
def devices(monkeypatch: Patch) -> list[str]:
    """A machine with two devices."""
    import torch

    names = ["Big Card", "Small Card"]

    def properties(index: int) -> SimpleNamespace:
        return SimpleNamespace(name=names[index], total_memory=(80, 16)[index] * 10**9)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    return names


@pytest.fixture
def no_bitsandbytes(monkeypatch: Patch) -> None:
    def missing(name: str) -> str:
        raise checks.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(checks.metadata, "version", missing)


def runs_on(monkeypatch: Patch, machines: str) -> None:
    """Makes `small` a model for these machines."""
    load = card.load

    def changed(name: str) -> card.Card:
        return replace(load(name), runs_on=machines if name == "small" else "any CPU")

    monkeypatch.setattr(card, "load", changed)


def test_devices_are_named_with_their_memory(capfd: Capture, devices: list[str]) -> None:
    found = examined(capfd)
    assert found["cuda"] == ("ok", "Big Card with 80.0 GB, Small Card with 16.0 GB")


def test_bitsandbytes_is_not_needed_without_a_device(
    capfd: Capture, no_bitsandbytes: None, monkeypatch: Patch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    runs_on(monkeypatch, "a GPU with CUDA")
    found = examined(capfd)
    assert found["cuda"][0] == "--"
    assert found["bitsandbytes"] == ("--", "not installed; only models for CUDA need it")


def test_bitsandbytes_is_needed_by_models_for_the_device(
    capfd: Capture, devices: list[str], no_bitsandbytes: None, monkeypatch: Patch
) -> None:
    runs_on(monkeypatch, "any CPU")
    assert problems(capfd) == {}
    runs_on(monkeypatch, "a GPU with CUDA")
    found = problems(capfd)
    assert set(found) == {"bitsandbytes"}
    assert "small needs it; `" in found["bitsandbytes"]
    assert "pip install bitsandbytes` provides it" in found["bitsandbytes"]


def test_memory_is_that_of_the_model_in_use(capfd: Capture, monkeypatch: Patch) -> None:
    monkeypatch.setattr(checks, "memory", lambda: Memory(3 * 10**9, 8 * 10**9))
    assert problems(capfd) == {}
    monkeypatch.setenv("FLS_MODEL", "small")
    found = problems(capfd)
    assert set(found) == {"memory"}
    assert found["memory"].startswith("3.0 GB of 8.0 GB available, but small takes 3.5 GB")


def test_memory_that_nobody_knows_is_no_problem(capfd: Capture, monkeypatch: Patch) -> None:
    monkeypatch.setattr(checks, "memory", lambda: None)
    assert examined(capfd)["memory"] == ("--", "unknown on this system; mini takes 2 GB")


def test_a_full_disk_is_a_problem_until_the_model_is_there(
    capfd: Capture, cache: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(machine, "free_disk", lambda folder: 10**9)
    found = problems(capfd)
    assert set(found) == {"disk"}
    assert found["disk"].startswith(f"1.0 GB free for {cache}, but fetching mini takes 2.2 GB")
    install("mini", cache)
    assert problems(capfd) == {}


def test_the_room_for_a_download_is_at_least_what_pulling_asks_for(cache: Path) -> None:
    """`weights.pull` refuses below a free space that it alone knows exactly."""
    for name in card.names():
        found = card.load(name)
        told = weights.store_of(found, cache).room()
        if isinstance(found, card.FrameCard):
            assert told == round((found.download_gb + found.weights_gb["nf4"]) * 1e9)
            continue
        with pytest.MonkeyPatch.context() as patch:
            usage = SimpleNamespace(free=told)
            patch.setattr(weights.shutil, "disk_usage", lambda place, usage=usage: usage)
            weights._check_disk(list(found.parts), cache)


def test_a_large_model_takes_memory_of_the_device(
    capfd: Capture, cache: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setenv("FLS_MODEL", "fastlongspeech")
    found = examined(capfd)
    assert found["memory"] == ("--", "6.0 GB available; fastlongspeech takes 10.1 GB of the device")
    assert found["model fastlongspeech"] == (
        "--",
        "about 17.6 GB to download, as `fls models pull fastlongspeech` does",
    )
    monkeypatch.setattr(machine, "free_disk", lambda folder: 20 * 10**9)
    assert "but fetching fastlongspeech takes 24.9 GB" in problems(capfd)["disk"]
    (cache / "weights" / "fastlongspeech-int8-1").mkdir(parents=True)
    (cache / "weights" / "fastlongspeech-int8-1" / "model.bin").write_bytes(bytes(2_000_000))
    found = examined(capfd)
    assert found["model fastlongspeech"] == ("ok", "downloaded, 2 MB")
    assert found["disk"][0] == "ok"


def install(name: str, cache: Path) -> None:
    """Folders that look like a model of 3 MB."""
    for part, size in zip(card.load(name).parts, (1_000_000, 2_000_000), strict=True):
        folder = weights.folder(part, cache)
        folder.mkdir(parents=True)
        (folder / "model.bin").write_bytes(bytes(size))


def test_models_are_there_or_to_download(capfd: Capture, cache: Path) -> None:
    install("mini", cache)
    found = examined(capfd)
    assert found["model mini"] == ("ok", "downloaded, 3 MB")
    assert found["model small"][0] == "--"
    assert found["cache"] == ("ok", f"{cache} can be written to")


def test_offline_the_model_in_use_must_be_there(
    capfd: Capture, cache: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setenv("FLS_OFFLINE", "1")
    found = problems(capfd)
    assert set(found) == {"model mini"}
    assert "`fls models pull mini`" in found["model mini"]
    install("mini", cache)
    assert problems(capfd) == {}


def test_a_cache_that_cannot_be_one(capfd: Capture, cache: Path, monkeypatch: Patch) -> None:
    cache.touch()
    assert problems(capfd) == {"cache": f"{cache} is no folder; set FLS_CACHE to one"}
    cache.unlink()
    # Root may write everywhere.
    may = os.access
    monkeypatch.setattr(
        checks.os, "access", lambda place, mode: not mode & os.W_OK and may(place, mode)
    )
    found = problems(capfd)
    assert set(found) == {"cache"}
    assert found["cache"].startswith(f"{cache.parent} cannot be written to; set FLS_CACHE")


def test_settings_that_hold_and_that_do_not(
    capfd: Capture, tmp_path: Path, monkeypatch: Patch
) -> None:
    file = tmp_path / "settings" / "fls" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('budget = "fast"\nquiet = true\n')
    assert examined(capfd)["config"] == ("ok", f"{file} sets budget, quiet")
    file.write_text("budget = fast\n")
    said = play(capfd, "config").err
    assert problems(capfd) == {"config": said.removeprefix("fls: ").rstrip("\n")}
    file.write_text("")
    assert examined(capfd)["config"] == ("ok", f"{file} sets nothing")
    monkeypatch.setenv("FLS_MODEL", "gigantic")
    assert problems(capfd)["config"].startswith("There is no model 'gigantic'; there are: mini")
    monkeypatch.setenv("FLS_MODEL", str(tmp_path))
    assert problems(capfd) == {}
    monkeypatch.setenv("FLS_JOBS", "none")
    assert problems(capfd)["config"].startswith("FLS_JOBS takes a whole number")


def test_a_check_that_breaks_is_a_problem_of_its_own(capfd: Capture, monkeypatch: Patch) -> None:
    def broken() -> Memory:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(checks, "memory", broken)
    assert problems(capfd) == {"memory": "this check failed (ZeroDivisionError: by zero)"}


def test_nothing_heavier_than_torch_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from fls_cli.app import app\n"
        "app(['doctor', '--json'], standalone_mode=False)\n"
        "names = {'torch', 'transformers', 'faster_whisper', 'bitsandbytes', 'huggingface_hub'}\n"
        "print(*sorted(names & set(sys.modules)), file=sys.stderr)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stderr.splitlines()[-1] == "torch"
    assert [row["check"] for row in json.loads(done.stdout)] == CHECKS
