"""Items one after the other, with word of how many are done."""

from collections.abc import Collection, Iterator
from typing import TypeVar

from fls_models.core.progress import Progress

_T = TypeVar("_T")


def counted(items: Collection[_T], stage: str, progress: Progress) -> Iterator[_T]:
    """The items; each is done when the next one is asked for."""
    progress(stage, 0, len(items))
    for count, item in enumerate(items, 1):
        yield item
        progress(stage, count, len(items))
