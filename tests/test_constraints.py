"""What `pip install -c constraints.txt` brings is pinned, for every supported Python."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def pins(python: str) -> dict[str, str]:
    """Package and version for a Python, on Linux with an x86-64 processor."""
    machine = {"sys_platform": "linux", "platform_machine": "x86_64"}
    machine |= {"python_version": python, "python_full_version": f"{python}.1"}
    found: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        pin = Requirement(line)
        (version,) = pin.specifier
        assert version.operator == "==", line
        if pin.marker is None or pin.marker.evaluate(machine):
            name = canonicalize_name(pin.name)
            assert name not in found, f"{name} has two versions for Python {python}"
            found[name] = version.version
    return found


def applies(requirement: Requirement, extras: list[str], python: str) -> bool:
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate({"extra": extra, "python_version": python}) for extra in extras
    )


def needed(requirements: list[str], python: str) -> Iterator[Requirement]:
    """These and, as far as they are installed here, all that they need in turn."""
    done: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        found = waiting.pop()
        extras = [*found.extras, ""]
        if not applies(found, extras, python):
            continue
        key = f"{canonicalize_name(found.name)}{sorted(found.extras)}"
        if key in done or canonicalize_name(found.name) == "fls":
            continue
        done.add(key)
        yield found
        try:
            more = [Requirement(text) for text in requires(found.name) or []]
        except PackageNotFoundError:
            continue
        for requirement in more:
            if applies(requirement, extras, python):
                requirement.marker = None
                waiting.append(requirement)


def all_requirements() -> list[str]:
    extras = PROJECT["optional-dependencies"].values()
    return PROJECT["dependencies"] + [line for extra in extras for line in extra]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_package_of_every_extra_is_pinned(python: str) -> None:
    pinned = pins(python)
    names = {canonicalize_name(found.name) for found in needed(all_requirements(), python)}
    assert {"torch", "typer", "matplotlib", "peft", "pytest", "huggingface-hub"} <= names
    assert names - set(pinned) == set()


@pytest.mark.parametrize("python", PYTHONS)
def test_pins_are_what_pyproject_admits(python: str) -> None:
    found = pins(python)
    for text in all_requirements():
        one = Requirement(text)
        if one.name == "fls" or (
            one.marker and not one.marker.evaluate({"python_version": python})
        ):
            continue
        assert one.specifier.contains(found[canonicalize_name(one.name)]), text


def test_the_pythons_are_those_of_the_project() -> None:
    supported = [
        line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line
    ]
    assert tuple(supported) == PYTHONS


def test_what_builds_the_wheel_is_pinned() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    (backend,) = tomllib.loads(text)["build-system"]["requires"]
    assert "==" in backend
