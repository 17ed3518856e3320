"""What recordings were turned into, kept on disk so that the next question finds it.

Entries are bytes that somebody else makes sense of; a lost one only costs time. Each lies in
`FOLDER/KIND/KEY.fls`: a mark, the SHA-256 of the content, the content. Entries appear whole, by
renaming, and an entry that another process removes meanwhile is one that was never there, so any
number of processes share the folder without a lock.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fls_cli.console.sizes import parse_size
from fls_cli.storage.paths import cache_folder
from fls_models.core.cache import CacheKey
from fls_models.core.files import replacing
from fls_models.errors import EnvironmentLacks, UsageError

DEFAULT_LIMIT = 4 * 10**9
# A temporary file as old as this, in seconds, belongs to no process that still writes it.
LEFTOVER_AGE = 3600

_MARK = b"fls1"
_HEADER = len(_MARK) + hashlib.sha256().digest_size
_KIND = re.compile(r"[a-z]+")
_KEY = re.compile(r"[0-9a-f]{64}")
# Only files with these names are ever deleted.
_ENTRY = re.compile(r"[0-9a-f]{64}\.fls")
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.fls")


@dataclass(frozen=True)
class Kind:
    """How much there is of one kind; `bytes` counts whole files."""

    name: str
    entries: int
    bytes: int


@dataclass(frozen=True)
class Info:
    """What a cache holds: the kinds that have entries, by name. The limit is in bytes."""

    folder: Path
    limit: int
    kinds: tuple[Kind, ...]

    @property
    def entries(self) -> int:
        return sum(kind.entries for kind in self.kinds)

    @property
    def bytes(self) -> int:
        return sum(kind.bytes for kind in self.kinds)


@dataclass(frozen=True)
class _File:
    path: Path
    bytes: int
    used: float


def open_cache() -> DiskCache:
    """The user's cache: `recordings` in the cache folder, with the limit of `FLS_CACHE_SIZE`.

    Nothing is created yet. Raises UsageError when that variable is no size, EnvironmentLacks when
    there is no place for a cache.
    """
    text = os.environ.get("FLS_CACHE_SIZE")
    try:
        limit = parse_size(text) if text else DEFAULT_LIMIT
    except UsageError as error:
        raise UsageError(f"FLS_CACHE_SIZE: {error}") from None
    return DiskCache(cache_folder() / "recordings", limit)


def key(**parts: object) -> str:
    """The key of an entry that depends on these parts, in whatever order they are named.

    Raises TypeError or ValueError when a part is not JSON (NaN is not).
    """
    text = json.dumps(parts, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class DiskCache:
    """Entries of several kinds (`transcripts`, ...) under a folder, all below a limit in bytes.

    A kind is a word of small letters; other kinds and what is no key raise ValueError. Files and
    folders are for this user alone. A limit of 0 keeps nothing and finds nothing.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        # Counting the files is not for every put of thousands. A walk leaves a twentieth of the
        # limit free, and the next comes once that may be used up; the first comes at the first put.
        self._slack = limit // 20
        self._until_walk = -1

    def get(self, kind: str, key: str) -> bytes | None:
        """An entry's content, which counts as using it; None when it is not there.

        A damaged entry is removed and not there.
        """
        place = self._place(kind, key)
        if not self.limit:
            return None
        try:
            with place.open("rb") as file:
                mark, checksum, content = file.read(len(_MARK)), file.read(32), file.read()
        except OSError:
            return None
        if mark != _MARK or hashlib.sha256(content).digest() != checksum:
            self.drop(kind, key)
            return None
        with suppress(OSError):
            os.utime(place)
        return content

    def put(self, kind: str, key: str, content: bytes) -> None:
        """Keeps an entry, all of it or nothing; then those used longest ago go, as the limit asks.

        Not kept, without a word: what is larger than a quarter of the limit, and what the disk
        does not take.
        """
        place = self._place(kind, key)
        size = _HEADER + len(content)
        if size <= self.limit // 4:
            with suppress(OSError):
                self._write(place, content)
                self._until_walk -= size
        if self._until_walk < 0:
            self._until_walk = self._slack
            with suppress(OSError):
                self._shrink()

    def keys(self, kind: str) -> set[str]:
        """Those of all entries of a kind; none where they cannot be listed."""
        if not self.limit:
            return set()
        with suppress(OSError):
            return {
                entry.name.removesuffix(".fls")
                for entry in _listed(self.folder / kind)
                if _ENTRY.fullmatch(entry.name)
            }
        return set()

    def drop(self, kind: str, key: str) -> None:
        """Removes an entry, if it is there and can be removed."""
        with suppress(OSError):
            self._place(kind, key).unlink()

    def clear(self) -> int:
        """Removes everything; returns the bytes freed. Raises EnvironmentLacks if it cannot."""
        with self._reaching():
            return sum(_remove(file) for name in (_ENTRY, _TEMPORARY) for file in self._all(name))

    def prune(self) -> int:
        """Removes what killed processes left half written and what is over the limit.

        Returns the bytes freed. Raises EnvironmentLacks when files cannot be listed or removed.
        """
        with self._reaching():
            return self._shrink()

    def info(self) -> Info:
        """What there is. Raises EnvironmentLacks when files cannot be listed."""
        with self._reaching():
            kinds = []
            for kind in self._kinds():
                if sizes := [file.bytes for file in _files(kind, _ENTRY)]:
                    kinds.append(Kind(kind.name, len(sizes), sum(sizes)))
            return Info(self.folder, self.limit, tuple(kinds))

    def _place(self, kind: str, key: str) -> Path:
        if not _KIND.fullmatch(kind) or not _KEY.fullmatch(key):
            raise ValueError(f"no kind and key of a cache: {kind!r}, {key!r}")
        return self.folder / kind / f"{key}.fls"

    def _write(self, place: Path, content: bytes) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        # Not flushed to the disk: what a power cut leaves fails its checksum.
        with (
            replacing(place, place.with_name(f".{secrets.token_hex(8)}.fls")) as part,
            open(part, "xb", opener=partial(os.open, mode=0o600)) as file,
        ):
            file.writelines((_MARK, hashlib.sha256(content).digest(), content))

    def _shrink(self) -> int:
        dead = time.time() - LEFTOVER_AGE
        freed = sum(_remove(file) for file in self._all(_TEMPORARY) if file.used < dead)
        entries = sorted(self._all(_ENTRY), key=lambda file: file.used)
        excess = sum(file.bytes for file in entries) - (self.limit - self._slack)
        for file in entries:
            if excess <= 0:
                break
            # It is gone also when another process was quicker.
            freed += _remove(file)
            excess -= file.bytes
        return freed

    def _kinds(self) -> list[Path]:
        entries = _listed(self.folder)
        return sorted(
            Path(kind) for kind in entries if _KIND.fullmatch(kind.name) and kind.is_dir()
        )

    def _all(self, name: re.Pattern[str]) -> Iterator[_File]:
        for kind in self._kinds():
            yield from _files(kind, name)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except OSError as failure:
            raise EnvironmentLacks(
                f"The cache in {self.folder} cannot be used ({failure.strerror or failure}); see "
                "who may write there, or set FLS_CACHE to another folder."
            ) from failure


def _files(kind: Path, name: re.Pattern[str]) -> Iterator[_File]:
    for entry in _listed(kind):
        if name.fullmatch(entry.name):
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield _File(Path(entry), status.st_size, status.st_mtime)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return list(entries)
    return []


def _remove(file: _File) -> int:
    try:
        file.path.unlink()
    except FileNotFoundError:
        return 0
    return file.bytes


class CacheAdapter:
    """The user's cache as the memory of a model."""

    def __init__(self, cache: DiskCache) -> None:
        self._cache = cache

    def get(self, kind: str, parts: CacheKey) -> bytes | None:
        return self._cache.get(kind, key(**parts))

    def put(self, kind: str, parts: CacheKey, content: bytes) -> None:
        self._cache.put(kind, key(**parts), content)
