"""What a recording is called exactly, for JSON: what is shown has `?` for what does not print."""

import base64
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from fls_cli.console.text import printable

# Shown without their secrets, which is no loss of letters.
_NO_FILE = re.compile(r"-$|https?://", re.IGNORECASE)


def exact_name(location: str | None) -> str | None:
    """A path in base64, where it cannot be shown as it is; None for all else."""
    if location is None or _NO_FILE.match(location) or printable(location) == location:
        return None
    return base64.b64encode(os.fsencode(location)).decode()


def json_line(
    payload: Mapping[str, Any], locations: Mapping[str, str], indent: int | None = None
) -> str:
    """A result `with_exact_names`, in one line unless it is indented."""
    exact = with_exact_names(payload, locations)
    return json.dumps(exact, ensure_ascii=False, indent=indent) + "\n"


def with_exact_names(payload: Mapping[str, Any], locations: Mapping[str, str]) -> dict[str, Any]:
    """A JSON object with `source_bytes` after each `source` that names no file.

    After a list `sources` comes `sources_bytes`, null for those that do; entries of `evidence` and
    `passages` likewise. `locations` has what was
    typed, or lies below it, by what is shown.
    """
    result: dict[str, Any] = {}
    for name, value in payload.items():
        result[name] = value
        if name == "source" and (exact := exact_name(locations.get(value))):
            result["source_bytes"] = exact
        elif name == "sources":
            exacts = [exact_name(locations.get(name)) for name in value]
            if any(exacts):
                result["sources_bytes"] = exacts
        elif name in ("evidence", "passages"):
            result[name] = [with_exact_names(entry, locations) for entry in value]
    return result
