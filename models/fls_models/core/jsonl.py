"""JSON lines, as benches are given them."""

import json
from pathlib import Path
from typing import Any

from fls_models.errors import UsageError


def read_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a JSON lines file with their line numbers.

    Raises UsageError for a file that cannot be read and for a line that holds no object.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UsageError(f"{path} cannot be read: {reason}.") from None
    objects = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            raw = json.loads(line)
        except json.JSONDecodeError:
            raw = None
        if not isinstance(raw, dict):
            raise UsageError(f"{path}, line {number} is no JSON object.")
        objects.append((number, raw))
    return objects
