"""What all weights in the cache have in common: who may write there, and how folders go away.

Which folders there are and what lies in them is the stores' affair.
"""

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

    with (cache / "weights" / f".{name}.lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        yield


def check_room(place: Path, required: float, purpose: str, *, named: Path | None = None) -> None:
    """Raises DiskFull when a folder's disk has less free; `purpose` is what takes it, with verb."""
    free = shutil.disk_usage(place).free
    if free < required:
        raise DiskFull(
            f"{named or place} has {free / 1e9:.1f} GB free, but {purpose.format(required / 1e9)}. "
            "Free some, or set FLS_CACHE to another disk."
        )


def discard(place: Path) -> int:
    """Deletes a folder under another name: half deleted, it must not look whole."""
    if not place.is_dir():
        return 0
    removing = place.with_name(f".removing-{place.name.lstrip('.')}")
    delete(removing)
    return delete(place.rename(removing))


def delete(place: Path) -> int:
    """Deletes a folder, if it is there; the bytes that it took."""
    size = size_of(place)
    shutil.rmtree(place, ignore_errors=True)
    return size
