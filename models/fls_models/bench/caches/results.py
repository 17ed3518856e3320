"""Results of a bench, one small file each, so that an interrupted bench goes on where it stopped.

A result is found again by everything that it depends on and that can be written down: the model's
name, what it read, what it was asked. Code is not among it: after a change to how models read or
answer, start with another folder.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fls_models.core.files import write_whole


class ResultCache:
    """Results in a folder; without one, each is made anew."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: Any, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result for a key (anything that JSON holds), made now unless it was made before."""
        if self._folder is None:
            return make()
        text = json.dumps(key, ensure_ascii=False, sort_keys=True)
        name = hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]
        place = self._folder / "results" / f"{name}.json"
        if place.is_file():
            result: dict[str, Any] = json.loads(place.read_text("utf-8"))
            return result
        result = make()
        write_whole(place, json.dumps(result, ensure_ascii=False))
        return result
