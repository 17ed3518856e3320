"""Items of benches that are lines of a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fls_models.core.jsonl import read_lines
from fls_models.errors import UsageError

_T = TypeVar("_T")


def items_of(
    path: Path, item: Callable[[dict[str, Any]], _T | None], needs: str, limit: int | None
) -> list[_T]:
    """What `item` makes of the lines of a JSON lines file, the first `limit` that are not None.

    UsageError names a line of which it makes nothing but an error, and what a line needs.
    """
    items: list[_T] = []
    for number, raw in read_lines(path):
        try:
            made = item(raw)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise UsageError(f"{path}, line {number}: an item needs {needs}.") from None
        if made is not None:
            items.append(made)
        if len(items) == limit:
            break
    if not items:
        raise UsageError(f"{path} holds no items.")
    return items
