"""A recording behind an address: copied to a temporary file once, when it is first looked at."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import IO

from fls_cli.sources.fetching import Fetched, fetch, missing
from fls_models.core.progress import Progress, ignore
from fls_models.errors import InputError

_TICK = 0.1
# Seconds without a word about the download.
_MOMENT = 1.0
# Seconds in which a download ends that nobody wants any more, unless its host is silent.
_GRACE = 0.5
# Letters of an address beside the bar.
_ROOM = 30

# Set for those, by thread, who shall wait for a download no longer.
_given_up: dict[int, threading.Event] = {}


def end_wait_of(thread: int) -> None:
    """Ends another thread's wait for a download, if there is one just now; not the download."""
    if event := _given_up.get(thread):
        event.set()


class Remote:
    """What lies at `location`, called `name`. Any thread may look at it; one of its own fetches it.

    `progress` hears of downloads for which the main thread waits. `close` removes the copy and ends
    the download; who looks again after that has it fetched anew.
    """

    def __init__(self, location: str, name: str, progress: Progress = ignore) -> None:
        self._location = location
        self._name = name
        self._progress = progress
        self._lock = threading.Lock()
        self._copy: _Copy | None = None

    def begin(self) -> None:
        """Begins to fetch it, and waits until the host has answered. Raises as `path` does."""
        copy = self._begun()
        self._wait(copy.answered)
        copy.check()

    @property
    def path(self) -> Path | None:
        """The copy, once it is there; None for a stream without an end. Raises as `fetch` does."""
        copy = self._begun()
        self._wait(copy.done)
        copy.check()
        return copy.path

    @property
    def missing(self) -> str | None:
        """What of a copy that was looked at is missing, in words; None if nothing is."""
        return (
            None
            if self._copy is None or self._copy.download is None
            else missing(self._copy.download)
        )

    def close(self) -> None:
        with self._lock:
            copy, self._copy = self._copy, None
        if copy is not None:
            copy.close()

    def _begun(self) -> _Copy:
        with self._lock:
            if self._copy is None:
                self._copy = _Copy(self._location, self._name)
            return self._copy

    def _wait(self, event: threading.Event) -> None:
        """Waits for an event of the copy; raises InputError if this thread shall not (any more)."""
        thread = threading.get_ident()
        watched = threading.current_thread() is threading.main_thread()
        given_up = _given_up[thread] = threading.Event()
        shown_from = time.monotonic() + _MOMENT
        is_shown = False
        try:
            while not event.wait(_TICK):
                if given_up.is_set():
                    raise InputError(f"{self._name}: nobody waits for it any more.")
                if watched and time.monotonic() > shown_from:
                    self._show()
                    is_shown = True
        finally:
            del _given_up[thread]
            if is_shown:
                self._show(ended=True)

    def _show(self, *, ended: bool = False) -> None:
        if (copy := self._copy) is not None and copy.answered.is_set():
            total = copy.bytes if ended else copy.total
            # There is to be room for the bar.
            last = self._name.rstrip("/").rpartition("/")[2]
            self._progress(f"download {last[:_ROOM]}", copy.bytes, total)


class _Closed(Exception):
    """Nobody wants the copy any more."""


class _Copy:
    """A download and what has come of it. `answered` is set by the time that `done` is."""

    def __init__(self, location: str, name: str) -> None:
        self.answered = threading.Event()
        self.done = threading.Event()
        self.bytes = 0
        self.total: int | None = None
        self.download: Fetched | None = None
        self._error: Exception | None = None
        self._closed = threading.Event()
        # No suffix: ffmpeg shall judge by the content alone.
        self._file = tempfile.NamedTemporaryFile(prefix="fls-")  # noqa: SIM115
        # A daemon: whoever ends this program does not wait for a host that is silent.
        self._thread = threading.Thread(target=self._run, args=(location, name), daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path | None:
        return None if self.download is None or self.download.endless else Path(self._file.name)

    def check(self) -> None:
        """Raises what went wrong."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self._closed.set()
        self._file.close()
        self._thread.join(_GRACE)

    def _run(self, location: str, name: str) -> None:
        file: IO[bytes] = self._file
        try:
            self.download = fetch(location, name, file, self._moved)
        except Exception as error:  # raised again for all who look
            self._error = error
        finally:
            self.answered.set()
            self.done.set()

    def _moved(self, done: int, total: int | None) -> None:
        if self._closed.is_set():
            raise _Closed
        self.bytes, self.total = done, total
        self.answered.set()
