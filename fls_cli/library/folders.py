"""Folders that belong to the user's library, in a file beside that of the settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fls_cli.storage.files import make_folder, write_atomically
from fls_cli.storage.paths import config_file
from fls_models.errors import EnvironmentLacks

_SCHEMA = "fls.library/1"


def library_folders() -> list[str]:
    """Their full names, in the order in which they were added; raises EnvironmentLacks."""
    place = _place()
    if place is None:
        return []
    try:
        content: Any = json.loads(place.read_text("utf-8"))
        folders = content["folders"]
        if content["schema"] != _SCHEMA or not all(isinstance(each, str) for each in folders):
            raise ValueError("another form")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentLacks(
            f"{place}, which names the library's folders, cannot be read ({error}); remove it and "
            "add them again."
        ) from error
    return list(folders)


def save_library_folders(folders: list[str]) -> None:
    """In the place of those that there were; raises UsageError where nothing can be written."""
    place = _place()
    if place is None:
        raise EnvironmentLacks(
            "There is no home folder to keep the library's folders in; set FLS_CONFIG to a file."
        )
    make_folder(place.parent)
    write_atomically(place, json.dumps({"schema": _SCHEMA, "folders": folders}, indent=2) + "\n")


def _place() -> Path | None:
    settings = config_file()
    return None if settings is None else settings.with_name("library.json")
