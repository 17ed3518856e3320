"""The index's tables, in one SQLite file: made anew where damaged or of another version."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from fls_cli.storage.paths import cache_folder
from fls_models.errors import EnvironmentLacks

# Seconds that another process may write.
_PATIENCE = 60.0
_SCHEMA = """
CREATE TABLE files (path TEXT PRIMARY KEY, bytes INT, changed INT, audio TEXT) WITHOUT ROWID;
CREATE TABLE failures (path TEXT PRIMARY KEY, bytes INT, changed INT) WITHOUT ROWID;
CREATE TABLE entries (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE recordings (id INTEGER PRIMARY KEY, audio TEXT UNIQUE, effort INT);
CREATE TABLE passages (id INTEGER PRIMARY KEY, recording INT, start REAL, stop REAL, text TEXT);
CREATE INDEX passages_of ON passages (recording);
CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = "porter unicode61 remove_diacritics 2");
CREATE TABLE vocabulary (word TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE meanings (passage INTEGER PRIMARY KEY, vector BLOB);
"""

# One of other tables is built anew; SQLite keeps 32 bits with a sign.
_VERSION = zlib.crc32(_SCHEMA.encode()) >> 1


def index_place() -> Path:
    """Where the user's index lies."""
    return cache_folder() / "library.sqlite"


def index_size() -> int:
    """Bytes of the user's index."""
    with suppress(OSError):
        return index_place().stat().st_size
    return 0


def remove_index() -> int:
    """Removes the user's index; returns the bytes freed."""
    freed, place = index_size(), index_place()
    with suppress(OSError):
        place.unlink(missing_ok=True)
        place.with_name(f"{place.name}-journal").unlink(missing_ok=True)
    return freed


@contextmanager
def opened(place: Path | None, say: Callable[[str], None]) -> Iterator[sqlite3.Connection]:
    """The database at a place, in memory without one. What is damaged is built anew, which is said.

    Raises EnvironmentLacks where it can be neither read nor made.
    """
    with _telling(place):
        try:
            connection = _connected(place)
        except sqlite3.DatabaseError as error:
            if place is None or isinstance(error, sqlite3.OperationalError):
                raise
            say("the index was damaged and is built anew")
            place.unlink(missing_ok=True)
            connection = _connected(place)
        with closing(connection):
            yield connection


@contextmanager
def _telling(place: Path | None) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise EnvironmentLacks(
            f"The index {place} cannot be used ({error}); see whether the disk is full and who may "
            "write there, or set FLS_CACHE to another folder."
        ) from error


def _connected(place: Path | None) -> sqlite3.Connection:
    if place is not None:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.touch(mode=0o600)
    connection = sqlite3.connect(place or ":memory:", _PATIENCE, isolation_level=None)
    try:
        if _version(connection) != _VERSION:
            connection.execute("BEGIN IMMEDIATE")
            # Another process may have made it meanwhile.
            if _version(connection) != _VERSION:
                _make(connection)
            connection.execute("COMMIT")
        connection.execute("CREATE TEMP TABLE wanted (recording INTEGER PRIMARY KEY)")
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _make(connection: sqlite3.Connection) -> None:
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'words!_%' "
    for (name,) in connection.execute(tables + "ESCAPE '!'").fetchall():
        connection.execute(f'DROP TABLE IF EXISTS "{name}"')
    for statement in filter(str.strip, _SCHEMA.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {_VERSION}")
