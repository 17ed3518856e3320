"""The tree holds: what lies deeper is imported by what lies above, never the other way round."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"fls_models": ROOT / "models" / "fls_models", "fls_cli": ROOT / "fls_cli"}
# From the bottom to the top; `|` stands between rooms of one storey.
LAYERS = {
    "fls_models": "errors > core > audio | weights > extractor > lslm "
    "> transcription | answering | speakers > pipelines > training > planning > bench",
    "fls_cli": "console > storage > media > writers | sources > session > library | machine "
    "> options "
    "> training > commands > app > launcher > __main__",
}
# `load` is the front door: it opens on whatever is behind.
FRONT_DOORS = {"fls_models", "fls_cli"}
HEAVY = ("torch", "transformers", "numpy", "faster_whisper", "ctranslate2", "huggingface_hub")
MOST_NAMES = 13
MOST_LINES = 79


def _modules() -> dict[str, Path]:
    return {
        ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for package, folder in PACKAGES.items()
        for path in sorted(folder.rglob("*.py"))
    }


MODULES = _modules()


@cache
def imported(name: str) -> frozenset[str]:
    """Modules of ours that one imports, wherever in it, and if only for its types."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            assert node.module is not None
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole & MODULES.keys() or {node.module}
    return frozenset(found & MODULES.keys() - {name})


def _storeys(package: str) -> dict[str, int]:
    return {
        room: storey
        for storey, rooms in enumerate(LAYERS[package].split(" > "))
        for room in rooms.split(" | ")
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_a_storey(package: str) -> None:
    rooms = {name.split(".")[1] for name in MODULES if name.startswith(f"{package}.")}
    assert rooms == set(_storeys(package))


@pytest.mark.parametrize("name", sorted(MODULES.keys() - FRONT_DOORS))
def test_imports_lead_downwards(name: str) -> None:
    package, room = name.split(".")[:2]
    storeys = _storeys(package)
    for other in imported(name) - FRONT_DOORS:
        its_package, its_room = other.split(".")[:2]
        if its_package != package:
            assert package == "fls_cli", f"{name} imports {other}"
        elif its_room != room:
            assert storeys[its_room] < storeys[room], f"{name} imports {other}"


def test_there_are_no_circles() -> None:
    left = {name: set(imported(name)) for name in MODULES.keys() - FRONT_DOORS}
    while leaves := {name for name, others in left.items() if not others & left.keys()}:
        for name in leaves:
            del left[name]
    assert not left


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_holds_more_than_can_be_looked_over(package: str) -> None:
    for folder in {path.parent for name, path in MODULES.items() if name.startswith(package)}:
        names = {
            path.name
            for path in folder.iterdir()
            if path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))
        } - {"__init__.py", "__main__.py"}
        assert len(names) <= MOST_NAMES, folder


@pytest.mark.parametrize("name", MODULES)
def test_no_function_is_longer_than_a_page(name: str) -> None:
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            begin = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            assert node.end_lineno is not None
            assert node.end_lineno - begin + 1 <= MOST_LINES, node.name


def test_the_command_line_imports_nothing_heavy_by_itself() -> None:
    names = [name for name in MODULES if name.startswith("fls_cli") and "__main__" not in name]
    script = f"import {', '.join(names)}, sys; print(set({HEAVY}) & set(sys.modules))"
    path = os.pathsep.join(map(str, (ROOT, ROOT / "models")))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name < "fls_models"))
def test_commands_are_known_to_the_app_alone(name: str) -> None:
    if not name.startswith(("fls_cli.app", "fls_cli.commands")):
        assert not [other for other in imported(name) if other.startswith("fls_cli.commands")]


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name >= "fls_models"))
def test_models_know_neither_the_command_line_nor_the_terminal(name: str) -> None:
    tops = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert not tops & {"fls_cli", "typer", "tqdm", "rich", "ffmpeg", "imageio_ffmpeg"}
