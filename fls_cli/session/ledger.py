"""Which results in a folder are finished, and who is at work on which.

Beside the results lies a folder `.fls` with one small file for each. A process that works on a
result holds a lock on its file, which the system lets go of when the process ends, however it does.
A result is finished when it is there and its file tells of the same request for the same source.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from fls_cli.console.text import printable
from fls_cli.media.fingerprint import Contents, contents_of, is_unchanged
from fls_cli.media.source import Source
from fls_cli.storage.files import check_place, make_folder, write_atomically
from fls_models.errors import InputError, UsageError

_FOLDER = ".fls"


@dataclass
class Claim:
    """One result, locked for this process."""

    output: Path
    source: Source
    request: str
    _file: BinaryIO
    # None: fls never wrote this result; empty: nobody can tell what it wrote.
    _known: Mapping[str, Any] | None
    _contents: Contents | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the same request was answered from the same source, and the answer is there."""
        return _is_finished(self._known, self.output, self.source, self.request)

    @property
    def record(self) -> Any:
        """What was recorded with the result."""
        return (self._known or {}).get("kept")

    @property
    def lacks_sound(self) -> bool:
        """Whether not all of the recording's sound could be read for the result."""
        return bool((self._known or {}).get("lacks_sound"))

    def begin(self, *, force: bool, beside: Sequence[Path] = ()) -> None:
        """To be called before the work. Raises InputError when it could not be finished.

        That is when something lies there, or where files `beside` it go, that is no result for this
        source; with `force`, a file is written over all the same.
        """
        known = (self._known or {}).get("beside", ())
        for place in beside:
            is_others = not force and self._relative(place) not in known
            if place.is_dir() or (place.exists() and is_others):
                raise InputError(
                    f"{printable(str(place))} is there already and fls did not write it; move it "
                    "away, or write over it with --force."
                )
        label = printable(str(self.output))
        if self.output.is_dir():
            raise InputError(f"{label} is a folder where the result would go; move it away.")
        try:
            check_place(self.output)
        except UsageError as error:
            raise InputError(str(error)) from None
        # What the recording is now; it may change while it is worked on.
        self._contents = contents_of(self.source)
        if force or not self.output.exists():
            return
        if self._known is None:
            raise InputError(
                f"{label} is there already and fls did not write it; move it away, or write over "
                "it with --force."
            )
        if self._is_of_another(self._known):
            raise InputError(
                f"{label} is the result for another recording; choose another folder, or write "
                "over it with --force."
            )

    def finish(
        self,
        text: str,
        record: object,
        *,
        whole: bool = True,
        lacks_sound: bool = False,
        beside: Mapping[Path, str] = MappingProxyType({}),
    ) -> None:
        """Writes the result and notes that it is; `record` is anything that JSON holds.

        What is not of the `whole` recording is written, too, and done again the next time.
        `beside` are further files of the same result.
        """
        entry: dict[str, Any] = {"output": self.output.name, "source": _seal(self.source)}
        if beside:
            entry["beside"] = [self._relative(place) for place in beside]
        # Whoever is killed after the next line leaves a result of ours that is not finished.
        self._write(entry)
        for place, content in beside.items():
            make_folder(place.parent)
            write_atomically(place, content)
        write_atomically(self.output, text)
        if not whole:
            return
        state = None if self._contents is None else asdict(self._contents)
        outcome = {"request": self.request, "state": state, "kept": record}
        self._write({**entry, **outcome, "lacks_sound": lacks_sound})

    def _relative(self, place: Path) -> str:
        return os.path.relpath(place, self.output.parent)

    def _is_of_another(self, entry: Mapping[str, Any]) -> bool:
        if entry.get("source") in (None, _seal(self.source)):
            return False
        # The same recording may have been moved.
        state = entry.get("state") or {}
        return self._contents is None or state.get("sha256") != self._contents.sha256

    def _write(self, entry: Mapping[str, Any]) -> None:
        content = json.dumps(entry).encode()
        # Never empty in between, which would make the result look like somebody else's.
        self._file.seek(0)
        self._file.write(content)
        self._file.flush()
        self._file.truncate(len(content))
        self._known = entry


@contextmanager
def claimed(
    folder: Path, output: Path, source: Source, request: str, *, wait: bool
) -> Iterator[Claim | None]:
    """The claim on one result below `folder`; None when another process has it.

    With `wait`, waits for that process. Raises UsageError when the folder cannot be written to,
    InputError when only this result cannot.
    """
    place = _place(folder, output)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(place, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except OSError as error:
        raise UsageError(
            f"{printable(str(folder))} cannot be written to: {error.strerror}."
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield None
            return
        except OSError as error:
            raise UsageError(
                f"Files in {printable(str(folder))} cannot be locked: {error.strerror}; choose "
                "a folder on a disk of this machine."
            ) from None
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            label = printable(str(output))
            raise InputError(f"{label} cannot be written: {error.strerror}.") from None
        yield Claim(output, source, request, file, _entry(file.read()))


def seems_finished(folder: Path, output: Path, source: Source, request: str) -> bool:
    """What `Claim.is_finished` would say, without a lock."""
    try:
        content = _place(folder, output).read_bytes()
    except OSError:
        return False
    return _is_finished(_entry(content), output, source, request)


def _place(folder: Path, output: Path) -> Path:
    name = hashlib.sha256(os.fsencode(output.relative_to(folder))).hexdigest()[:32]
    return folder / _FOLDER / f"{name}.json"


def _is_finished(
    entry: Mapping[str, Any] | None, output: Path, source: Source, request: str
) -> bool:
    return (
        entry is not None
        and entry.get("request") == request
        and output.is_file()
        and all((output.parent / name).is_file() for name in entry.get("beside", ()))
        and _is_same(entry, source)
    )


def _is_same(entry: Mapping[str, Any], source: Source) -> bool:
    """Whether a result is of a source as it is now, which may lie elsewhere on another machine."""
    if entry.get("source") != _seal(source):
        state, contents = entry.get("state") or {}, None
        if source.kind == "file":
            contents = contents_of(source)
        return contents is not None and contents.sha256 == state.get("sha256")
    # An address is known by its name: only to fetch it would tell what lies there now.
    return source.kind == "url" or is_unchanged(source, entry.get("state"))


def _seal(source: Source) -> str:
    """Stands for where a source lies; not that itself, which may hold a password."""
    place = os.path.abspath(source.location) if source.kind == "file" else source.location
    return hashlib.sha256(os.fsencode(place)).hexdigest()


def _entry(content: bytes) -> Mapping[str, Any] | None:
    """What a file says; None for nothing, and nothing in particular for half of it."""
    if not content:
        return None
    with suppress(ValueError):
        entry = json.loads(content)
        if isinstance(entry, dict):
            return entry
    return {}
