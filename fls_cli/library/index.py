"""An index of what was said, in SQLite: built from kept transcripts, and anew from nothing.

Recordings are known by their bytes, files by path, size and time, so that only what is new or
changed is looked at. One file, safe for several processes; what it lacks only costs time.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fls_cli.library.database import index_place, opened
from fls_cli.library.passages import SpokenPassage, passages_of
from fls_cli.library.query import spaced
from fls_cli.session.request import AudioRange
from fls_cli.storage.cache import DiskCache, open_cache
from fls_models.core.budget import NAMES
from fls_models.core.progress import Progress, ignore

if TYPE_CHECKING:
    from fls_models.core.results import Transcript

WHOLE = AudioRange(None, 0.0, None, None)
"""What the index is of, in any language: all of a recording, heard as one does who asks for nothing
special."""
_AT_ONCE = 50
_TRANSCRIPTS = "transcripts"
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Found:
    """A passage that has what was looked for, of a recording by its number here."""

    recording: int
    passage: SpokenPassage


@contextmanager
def user_index(say: Callable[[str], None], progress: Progress = ignore) -> Iterator[Index]:
    """The user's index, with all that is kept taken in; in memory where nothing is kept.

    Raises what `open_index` and `open_cache` do.
    """
    cache = open_cache()
    with open_index(index_place() if cache.limit else None, say) as index:
        index.update(cache, lambda done, total: progress("index", done, total))
        yield index


@contextmanager
def open_index(place: Path | None, say: Callable[[str], None]) -> Iterator[Index]:
    """The index at a place, in memory without one; raises what `database.opened` does."""
    with opened(place, say) as connection:
        yield Index(connection)


class Index:
    """What was said in which recordings; see `open_index`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def update(self, cache: DiskCache, progress: Callable[[int, int], None]) -> None:
        """Takes in all kept transcripts that are not known yet; `progress` is of how many."""
        known = {key for (key,) in self._connection.execute("SELECT key FROM entries")}
        new = sorted(cache.keys(_TRANSCRIPTS) - known)
        for first in range(0, len(new), _AT_ONCE):
            with self._writing():
                for place, key in enumerate(new[first : first + _AT_ONCE], first + 1):
                    self._take(cache, key)
                    progress(place, len(new))

    def _take(self, cache: DiskCache, key: str) -> None:
        from fls_models.core.results import Transcript

        content = cache.get(_TRANSCRIPTS, key)
        if content is None:
            return
        self._connection.execute("INSERT OR IGNORE INTO entries VALUES (?)", (key,))
        payload = json.loads(content)
        heard = payload.get("heard")
        if heard and _is_whole(heard):
            transcript = Transcript.from_json(payload["transcript"])
            self._put(str(heard["audio"]), transcript, _effort(heard.get("effort")))

    def add(self, audio: str, transcript: Transcript, budget: str) -> None:
        """A recording that was heard just now, by the SHA-256 of its bytes."""
        with self._writing():
            self._put(audio, transcript, NAMES.index(budget))

    def _put(self, audio: str, transcript: Transcript, effort: int) -> None:
        """In the place of what was heard of it with less effort."""
        execute = self._connection.execute
        row = execute("SELECT id, effort FROM recordings WHERE audio = ?", (audio,)).fetchone()
        if row is not None:
            number, before = row
            if effort < before:
                return
            of_it = "(SELECT id FROM passages WHERE recording = ?)"
            execute(f"DELETE FROM words WHERE rowid IN {of_it}", (number,))
            execute(f"DELETE FROM meanings WHERE passage IN {of_it}", (number,))
            execute("DELETE FROM passages WHERE recording = ?", (number,))
            execute("UPDATE recordings SET effort = ? WHERE id = ?", (effort, number))
        else:
            insert = "INSERT INTO recordings (audio, effort) VALUES (?, ?)"
            number = execute(insert, (audio, effort)).lastrowid
        said = {(word,) for word in _WORD.findall(transcript.text.casefold())}
        self._connection.executemany("INSERT OR IGNORE INTO vocabulary VALUES (?)", said)
        for passage in passages_of(transcript):
            values = (number, passage.start, passage.end, passage.text)
            insert = "INSERT INTO passages (recording, start, stop, text) VALUES (?, ?, ?, ?)"
            row_id = execute(insert, values).lastrowid
            words = "INSERT INTO words (rowid, text) VALUES (?, ?)"
            execute(words, (row_id, spaced(passage.text)))

    def audio_of(self, paths: Iterable[Path], digest: Callable[[Path], str]) -> dict[Path, str]:
        """What files hold, by the SHA-256 of their bytes; `digest` is asked where that is new.

        Files that cannot be read are not among them.
        """
        rows = self._connection.execute("SELECT path, bytes, changed, audio FROM files")
        known = {path: (size, changed, audio) for path, size, changed, audio in rows}
        found: dict[Path, str] = {}
        new: list[tuple[str, int, int, str]] = []
        for path in paths:
            with suppress(OSError):
                row = _as_it_is(path)
                before = known.get(row[0]) if row else None
                if row is not None and before is not None and before[:2] == row[1:]:
                    found[path] = before[2]
                    continue
                found[path] = digest(path)
                # Another name is asked for again.
                if row is not None:
                    new.append((*row, found[path]))
        if new:
            with self._writing():
                self._connection.executemany("REPLACE INTO files VALUES (?, ?, ?, ?)", new)
        return found

    def note_failures(self, paths: Iterable[Path]) -> None:
        """Files that could not be heard as they are; in the place of what was noted of them."""
        rows = [row for path in paths if (row := _as_it_is(path)) is not None]
        with self._writing():
            self._connection.executemany("REPLACE INTO failures VALUES (?, ?, ?)", rows)

    def failed(self, paths: Iterable[Path]) -> list[Path]:
        """Those of some files that could not be heard, and have not changed since."""
        noted = set(self._connection.execute("SELECT path, bytes, changed FROM failures"))
        return [path for path in paths if _as_it_is(path) in noted]

    def recordings_of(self, audio: Iterable[str]) -> dict[str, int]:
        """Numbers of those recordings that are here, by the SHA-256 of their bytes."""
        wanted = set(audio)
        rows = self._connection.execute("SELECT audio, id FROM recordings")
        return {audio: number for audio, number in rows if audio in wanted}

    def want(self, recordings: Iterable[int]) -> None:
        """Where `search` looks from now on."""
        self._connection.execute("DELETE FROM wanted")
        insert = "INSERT OR IGNORE INTO wanted VALUES (?)"
        self._connection.executemany(insert, ((number,) for number in recordings))

    def search(self, expression: str, most: int) -> list[Found]:
        """Passages for an expression of FTS5, best first (BM25)."""
        rows = self._connection.execute(
            "SELECT recording, start, stop, passages.text FROM words "
            "JOIN passages ON passages.id = words.rowid "
            "WHERE words MATCH ? AND recording IN (SELECT recording FROM wanted) "
            "ORDER BY bm25(words), passages.id LIMIT ?",
            (expression, most),
        )
        return [Found(number, SpokenPassage(*passage)) for number, *passage in rows]

    def scores(self, expression: str) -> dict[int, list[float]]:
        """By recording, how well each passage of it fits an expression (BM25, larger is better)."""
        rows = self._connection.execute(
            "SELECT recording, -bm25(words) FROM words "
            "JOIN passages ON passages.id = words.rowid "
            "WHERE words MATCH ? AND recording IN (SELECT recording FROM wanted)",
            (expression,),
        )
        scores: dict[int, list[float]] = {}
        for number, score in rows:
            scores.setdefault(number, []).append(score)
        return scores

    def unread(self) -> list[tuple[int, str]]:
        """Numbers and texts of passages in wanted recordings whose meanings are not here."""
        return self._connection.execute(
            "SELECT id, text FROM passages WHERE recording IN (SELECT recording FROM wanted) "
            "AND id NOT IN (SELECT passage FROM meanings) ORDER BY id"
        ).fetchall()

    def note_meanings(self, meanings: Iterable[tuple[bytes, int, str]]) -> None:
        """Meanings of passages by their numbers and texts: what was replaced meanwhile has none."""
        with self._writing():
            self._connection.executemany(
                "INSERT OR REPLACE INTO meanings SELECT id, ? FROM passages "
                "WHERE id = ? AND text = ?",
                meanings,
            )

    def meanings(self) -> list[tuple[int, bytes]]:
        """Passages in wanted recordings by their numbers, and what was noted of them."""
        return self._connection.execute(
            "SELECT passage, vector FROM meanings JOIN passages ON passages.id = passage "
            "WHERE recording IN (SELECT recording FROM wanted) ORDER BY passage"
        ).fetchall()

    def numbers(self, expression: str) -> set[int]:
        """Passages for an expression of FTS5, by their numbers."""
        rows = self._connection.execute("SELECT rowid FROM words WHERE words MATCH ?", [expression])
        return {number for (number,) in rows}

    def passages(self, numbers: Sequence[int]) -> list[Found]:
        """Passages by their numbers, in that order."""
        select = "SELECT recording, start, stop, text FROM passages WHERE id = ?"
        rows = (self._connection.execute(select, (number,)).fetchone() for number in numbers)
        return [Found(number, SpokenPassage(*passage)) for number, *passage in rows]

    def vocabulary(self) -> Sequence[str]:
        """All words that were ever said, in small letters."""
        return [word for (word,) in self._connection.execute("SELECT word FROM vocabulary")]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _is_whole(heard: dict[str, Any]) -> bool:
    """Whether it is `WHOLE`, in any language and with any vocabulary, but as it was said."""
    whole = {**WHOLE.heard(), "language": heard.get("language"), "translates": None}
    return all(heard.get(name) == value for name, value in whole.items())


def _effort(effort: Any) -> int:
    text = json.dumps(effort)
    return max((place for place, name in enumerate(NAMES) if name in text), default=0)


def _as_it_is(path: Path) -> tuple[str, int, int] | None:
    """A file's full name, size and time; None where the name is no text, or there is no file."""
    try:
        name, status = str(path.resolve()), path.stat()
        name.encode()
    except (OSError, UnicodeEncodeError):
        return None
    return name, status.st_size, status.st_mtime_ns
