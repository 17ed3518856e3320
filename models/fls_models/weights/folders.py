"""What all weights in the cache have in common: who may write there, and how folders go away.

Which folders there are and what lies in them is the stores' affair.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fls_models.core.files import lacks_room
from fls_models.errors import DiskFull, EnvironmentLacks
from fls_models.weights.downloads import size_of


@contextmanager
def writing(cache: Path) -> Iterator[None]:
    """Turns what the file system objects to into errors that say what to do."""
    try:
        yield
    except OSError as failure:
        if lacks_room(failure):
            raise DiskFull(f"No room left in {cache}; free some, or set FLS_CACHE.") from failure
        raise EnvironmentLacks(
            f"{cache} cannot be used for weights ({failure.strerror or failure}); set FLS_CACHE to "
            "a folder that can be written to."
        ) from failure


@contextmanager
def locked(cache: Path, name: str) -> Iterator[None]:
    """Keeps other processes and threads from what goes by that name; waits for its turn."""
    import fcntl

    with (cache / "weights" / f".{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def delete(place: Path) -> int:
    """Deletes a folder, if it is there; the bytes that it took."""
    size = size_of(place)
    shutil.rmtree(place, ignore_errors=True)
    return size
