"""docs/reference/ is what its script makes of the commands and the model cards now."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

from fls_cli.app import app
from fls_models.weights import card

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
MENDING = ".venv/bin/python docs/make_reference.py"
SCRIPT = FOLDER.parent / "make_reference.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_up_to_date(script: ModuleType) -> None:
    there = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}
    stale = [name for name, text in script.reference().items() if there.get(name) != text]
    assert not stale, f"docs/reference is out of date: {MENDING}"
    assert set(there) == set(script.reference()), f"nothing makes some of these: {MENDING}"


def test_every_option_of_every_command_is_there() -> None:
    text = (FOLDER / "commands.md").read_text("utf-8")
    sections = dict(part.split("\n", 1) for part in text.split("\n## ")[1:])

    def check(command: Any, path: str) -> None:
        for option in command.params if command.callback else []:
            if option.param_type_name == "option" and "completion" not in option.name:
                for spelling in (*option.opts, *option.secondary_opts, option.envvar or ""):
                    assert spelling in sections[path], (path, spelling)
        for name, inner in getattr(command, "commands", {}).items():
            check(inner, f"{path} {name}")

    check(typer.main.get_command(app), "fls")


def test_every_model_is_there() -> None:
    text = (FOLDER / "models.md").read_text("utf-8")
    for name in card.names():
        assert f"\n## {name}\n" in text
