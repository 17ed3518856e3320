"""`fls config`: the settings that apply, and where each comes from."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from fls_cli.console.text import printable
from fls_cli.storage import settings
from fls_cli.storage.files import make_folder, write_atomically
from fls_cli.storage.paths import config_file
from fls_models.errors import EnvironmentLacks, UsageError


def config(
    path: Annotated[
        bool, typer.Option("--path", help="Print where the file of settings lies.")
    ] = False,
    init: Annotated[
        bool, typer.Option("--init", help="Write that file, with all settings commented out.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON array with an object a setting.")
    ] = False,
) -> None:
    """Show every setting and where its value comes from.

    That is the default, a variable, or your file. A flag of a command wins over its variable, the
    variable over the file.

    Example: fls config --init
    """
    if path + init + as_json > 1:
        raise UsageError("Give one of --path, --init and --json.")
    if init:
        _write_template(_file())
    if path or init:
        typer.echo(_file())
        return
    choices = settings.chosen()
    if as_json:
        rows = [
            {"name": choice.setting.name, "value": choice.value, "source": choice.source}
            for choice in choices
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    lines = [
        (choice.setting.name, _shown(choice.value), printable(choice.source)) for choice in choices
    ]
    name_width, value_width = (max(len(line[column]) for line in lines) for column in (0, 1))
    for name, value, source in lines:
        typer.echo(f"{name:<{name_width}}  {value:<{value_width}}  {source}")


def _shown(value: settings.Value) -> str:
    return printable(value) if isinstance(value, str) else json.dumps(value)


def _file() -> Path:
    file = config_file()
    if file is None:
        raise EnvironmentLacks(
            "There is no home folder to keep settings in; set FLS_CONFIG to a file."
        )
    return file


def _write_template(file: Path) -> None:
    # A link to nowhere is there, too.
    if os.path.lexists(file):
        raise UsageError(f"{file} is there already and stays as it is.")
    make_folder(file.parent)
    write_atomically(file, settings.template())
