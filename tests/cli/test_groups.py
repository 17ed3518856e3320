"""Options that belong together reach a command as one value, and Typer as if they stood alone."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from fls_cli.options.groups import grouped


@dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option(help="Of it.")] = 3
    height: Annotated[int, typer.Option(help="Of it.")] = 4


@dataclass(frozen=True, kw_only=True)
class Picture:
    name: Annotated[str, typer.Option("--as")]
    size: Size


@dataclass(frozen=True)
class Wide(Size):
    width: Annotated[int, typer.Option(help="Of it.")] = 9


@grouped
def draw(*, picture: Picture, frame: Annotated[bool, typer.Option("--frame")] = False) -> None:
    print(picture, frame)


@grouped
def stretch(*, size: Wide) -> None:
    print(size)


def run(command: object, *arguments: str) -> str:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, arguments, catch_exceptions=False).stdout.strip()


def test_a_group_may_hold_another() -> None:
    found = run(draw, "--as", "a", "--height", "7", "--frame")
    assert found == f"{Picture(name='a', size=Size(3, 7))} True"


def test_a_group_may_have_another_default() -> None:
    assert run(stretch) == str(Wide(9, 4))


def test_who_looks_behind_the_command_finds_the_options() -> None:
    assert list(inspect.signature(inspect.unwrap(draw)).parameters) == [
        "name",
        "width",
        "height",
        "frame",
    ]
