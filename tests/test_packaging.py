"""The wheel as it would be published: what lies in it, what does not, and that it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    done = subprocess.run([*build, str(folder), str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_only_the_two_packages_land_in_site_packages(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} == {
        "fls_cli",
        "fls_models",
        "fls-0.1.0.dist-info",
    }


def test_every_module_card_and_marker_is_inside(names: set[str]) -> None:
    sources = [("fls_cli", ROOT / "fls_cli"), ("fls_models", ROOT / "models" / "fls_models")]
    expected = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in sources
        for pattern in ("*.py", "*.toml", "py.typed", "*.css", "*.html", "*.js", "*.txt")
        for path in folder.rglob(pattern)
    }
    assert {"fls_cli/py.typed", "fls_models/py.typed", "fls_models/cards/mini.toml"} <= expected
    assert {f"fls_cli/writers/pages/page.{kind}" for kind in ("css", "html", "js")} <= expected
    assert expected <= names


def test_what_was_trained_for_mini_is_inside(names: set[str]) -> None:
    trained = {path.name for path in (ROOT / "models" / "mini").iterdir()}
    assert {"config.json", "connector.safetensors", "README.md"} <= trained
    assert {f"fls_models/mini/{name}" for name in trained} <= names


def test_what_tells_speakers_apart_is_inside(names: set[str]) -> None:
    folder = ROOT / "models" / "fls_models" / "speakers" / "weights"
    weights = {path.name for path in folder.iterdir() if path.is_file()}
    assert {"segmentation-3.0.onnx", "embedding.safetensors", "LICENSE-pyannote"} <= weights
    assert {f"fls_models/speakers/weights/{name}" for name in weights} <= names


def test_else_nothing_that_was_not_written_by_hand_is_inside(names: set[str]) -> None:
    ours = [name for name in names if ".dist-info/" not in name]
    weights = (
        "fls_models/mini/",
        "fls_models/speakers/weights/",
        "fls_models/transcription/meaning/weights/",
    )
    suffixes = {Path(name).suffix for name in ours if not name.startswith(weights)}
    assert suffixes <= {".py", ".toml", ".typed", ".css", ".html", ".js", ".json", ".txt"}


def test_the_metadata_name_the_licence_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read("fls-0.1.0.dist-info/METADATA").decode()
        scripts = archive.read("fls-0.1.0.dist-info/entry_points.txt").decode()
        licence = archive.read("fls-0.1.0.dist-info/licenses/LICENSE").decode()
    assert "License-Expression: Apache-2.0\n" in metadata
    assert "fls = fls_cli.__main__:run" in scripts
    assert "Apache License" in licence


def test_it_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "fls_cli", "models", "show", "mini"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "FLS_CACHE": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    assert "Whisper base" in done.stdout
