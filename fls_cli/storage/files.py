"""Files that leave the program: whole, or absent."""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fls_cli.console.streams import NO_ROOM
from fls_cli.console.text import clean
from fls_models.errors import DiskFull, UsageError

# A file that is mounted alone, as in containers, and another user's in a folder like /tmp: they
# may be written to but not renamed over.
_IMMOVABLE = (errno.EBUSY, errno.EPERM, errno.EACCES)
# As Linux follows.
_MOST_LINKS = 40


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file under a temporary name beside it, then renames it: all of it or nothing.

    A link is followed; a pipe, a device or an open file of this process (/dev/stdout) is written to
    directly, behind what is there. A file that is replaced keeps its mode and, where the system
    allows it, its owner; one that cannot be renamed over is written to directly. Text becomes
    UTF-8. Raises UsageError when the place cannot be written to, DiskFull when the content does
    not fit.
    """
    raw = content.encode() if isinstance(content, str) else content
    descriptor = _descriptor(path)
    with _refusing(path):
        if descriptor is not None:
            sys.stdout.flush()
            with os.fdopen(os.dup(descriptor), "wb") as stream:
                stream.write(raw)
            return
        before = _there(path)
        if before is None or stat.S_ISREG(before.st_mode):
            _replace(Path(os.path.realpath(path)), raw, before)
        else:
            path.write_bytes(raw)


def check_place(path: Path) -> None:
    """Raises what `write_atomically` would, as far as that can be known before; changes nothing."""
    with _refusing(path):
        before = _there(path)
        if _descriptor(path) is None and (before is None or stat.S_ISREG(before.st_mode)):
            _try_out(Path(os.path.realpath(path)).parent)


def check_folder(folder: Path) -> None:
    """Raises UsageError or DiskFull when files cannot be written into a folder.

    One that is not there yet is looked for above; nothing is made.
    """
    with _refusing(folder, "written to"):
        place = folder
        while not place.exists() and place != place.parent:
            place = place.parent
        _try_out(place)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it; raises UsageError or DiskFull where it cannot."""
    with _refusing(folder, "made"):
        folder.mkdir(parents=True, exist_ok=True)


def _there(path: Path) -> os.stat_result | None:
    """What is at `path` that would be written over; OSError or UsageError where it must not be."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{_shown(path)} is a folder; name a file in it.")
    # Renaming would replace it, whoever may write to it.
    if not os.access(path, os.W_OK, effective_ids=True):
        raise UsageError(
            f"{_shown(path)} is write-protected; allow it with chmod u+w, or name another file."
        )
    return status


def _descriptor(path: Path) -> int | None:
    """The number of the open file that a name such as /dev/stdout stands for.

    Its shell may have redirected that to a file, which others write to, too: replacing that file
    would take away what they wrote.
    """
    place = Path(os.path.abspath(path))
    for _ in range(_MOST_LINKS):
        if place.name.isdecimal() and os.path.realpath(place.parent) in _open_files():
            return int(place.name)
        if not os.path.islink(place):
            break
        place = Path(os.path.abspath(place.parent / os.readlink(place)))
    return None


def _open_files() -> tuple[str, ...]:
    """Folders whose entries are what this process has open."""
    return "/dev/fd", os.path.realpath("/proc/self/fd")


def _try_out(folder: Path) -> None:
    # Only writing tells for certain: of permissions, read-only disks, quotas and limits.
    temporary = _temporary(folder)
    try:
        temporary.write_bytes(b"\n")
    finally:
        temporary.unlink(missing_ok=True)


def _replace(path: Path, content: bytes, before: os.stat_result | None) -> None:
    temporary = _temporary(path.parent)
    try:
        with temporary.open("xb") as file:
            if before is not None:
                for owner, group in ((-1, before.st_gid), (before.st_uid, -1)):
                    with suppress(OSError):
                        os.fchown(file.fileno(), owner, group)
                # After that, which takes bits of it away.
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            file.write(content)
        try:
            os.replace(temporary, path)
        except OSError as failure:
            if before is None or failure.errno not in _IMMOVABLE:
                raise
            path.write_bytes(content)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(folder: Path) -> Path:
    # Not made from the file's own name, which may already be as long as names can be.
    return folder / f".fls-{os.getpid()}-{secrets.token_hex(4)}.part"


@contextmanager
def _refusing(path: Path, deed: str = "written") -> Iterator[None]:
    """An OSError becomes a sentence that says that `path` cannot be `done`."""
    try:
        yield
    except FileNotFoundError as failure:
        if path.parent.is_dir():
            # A file system that takes none, such as /proc.
            raise UsageError(f"{_shown(path)} cannot be {deed}: {failure.strerror}.") from None
        raise UsageError(
            f"{_shown(path.parent)} is not there to write {_shown(path)} into; create it with "
            "mkdir -p first."
        ) from None
    except BrokenPipeError:
        # Whoever reads it has enough.
        raise
    except OSError as failure:
        if failure.errno == errno.EFBIG:
            raise DiskFull(
                f"{_shown(path)} would be larger than a file may be here; raise `ulimit -f` first."
            ) from None
        if failure.errno in NO_ROOM:
            raise DiskFull(f"No room to write {_shown(path)}; free some space first.") from None
        raise UsageError(f"{_shown(path)} cannot be {deed}: {failure.strerror}.") from None


def _shown(path: Path) -> str:
    return clean(str(path)).replace("\n", " ")
