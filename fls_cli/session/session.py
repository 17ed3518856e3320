"""A command at work: its model, its cache, what it tells the user and what failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fls_cli.console.progress import Bars
from fls_cli.console.streams import check_stdout
from fls_cli.console.text import clean, printable
from fls_cli.media.flaws import Flaw
from fls_cli.media.source import Source, check_readable
from fls_cli.session import engine as engines
from fls_cli.session.engine import Engine
from fls_cli.session.hearing.channels import ChannelSpeakers
from fls_cli.session.hearing.speaker_wish import SpeakerWish
from fls_cli.session.hearing.speakers import SpeakerSearch
from fls_cli.session.request import EACH, ListenRequest
from fls_cli.storage.cache import CacheAdapter, open_cache
from fls_cli.storage.files import check_folder, check_place, write_atomically
from fls_cli.writers.exact_names import json_line
from fls_models.core.cache import NULL_CACHE, Cache
from fls_models.errors import InputError

if TYPE_CHECKING:
    from fls_models.answering.model import Model

ERROR_SCHEMA = "fls.error/1"


@dataclass
class Session:
    """Open for the length of one command.

    `as_json` says that results are JSON lines, and so is what is wrong with a source. `output` is a
    file for everything, or `folder` one for the results of each source (`Runner` decides).
    `source_count` includes those that failed.
    """

    bars: Bars
    quiet: bool
    offline: bool
    output: str | None = None
    keep: bool = False
    as_json: bool = False
    folder: Path | None = None
    source_count: int = 0
    _failures: list[str] = field(default_factory=list)
    # Recordings that lack sound, and what of it.
    _losses: list[tuple[str, str]] = field(default_factory=list)
    _written: list[str] = field(default_factory=list)
    _model: Model | None = None

    @property
    def streams(self) -> bool:
        """Whether somebody watches what is shown appear."""
        return self.output is None and sys.stdout.isatty()

    @cached_property
    def memory(self) -> Cache:
        return CacheAdapter(open_cache()) if self.keep else NULL_CACHE

    def model(self, engine: Engine) -> Model:
        """The model, its weights fetched first if need be. Heavy imports happen here."""
        if self._model is None:
            self._model = self.start(engine, self.memory)
        return self._model

    def start(self, engine: Engine, memory: Cache) -> Model:
        """A model beside that of the session, its weights fetched first if need be."""
        return engines.start(
            engine, offline=self.offline, memory=memory, say=self.say, progress=self.bars
        )

    def model_for(self, engine: Engine, request: ListenRequest) -> Model:
        """The model; no weights are fetched for what is no recording.

        Raises what `model` and `ListenRequest.check` do.
        """
        if self._model is None:
            engines.check(engine)
            if not engines.is_here(engine):
                request.check()
        return self.model(engine)

    def search_speakers(
        self, request: ListenRequest, wish: SpeakerWish | None
    ) -> SpeakerSearch | ChannelSpeakers | None:
        """To find out who speaks in a recording, if that is wished; what cannot be is said."""

        def say(text: str) -> None:
            self.say(f"{request.source.name}: {text}")

        if request.audio_range.channels == EACH:
            return ChannelSpeakers(wish, say)
        if wish is None:
            return None
        return SpeakerSearch(request, wish, self.memory, say)

    @property
    def has_failures(self) -> bool:
        """Whether something was wrong with a source."""
        return bool(self._failures or self._losses)

    def is_there(self, source: Source) -> bool:
        """Whether there is a file with something in it; if not, that is said (`fail`)."""
        try:
            check_readable(source)
        except InputError as error:
            self.fail(source.location, error, source.name)
            return False
        return True

    def is_whole(self, source: Source) -> bool:
        """Whether all came of what was read; if not, that is said (`fail`): it failed in part."""
        if missing := source.missing:
            text = f"{source.name}: {missing}; the result is of those alone, so run it again."
            self.fail(source.location, InputError(text), source.name)
        return missing is None

    def blame(self, source: Source, error: InputError) -> None:
        """Says what is wrong with a source (`fail`); that not all of it came, if that is so."""
        if missing := source.missing:
            error = InputError(f"{source.name}: {missing}; run it again.")
        self.fail(source.location, error, source.name)

    def fail(self, location: str, error: InputError, name: str | None = None) -> None:
        """Turns what is wrong with one source into a line on stderr and exit code 1.

        With `as_json`, into a JSON line as well, among the results. `location` is what was typed,
        of which `name` is shown.
        """
        name, message = name or printable(location), clean(str(error))
        self._failures.append(message)
        self.bars.note(f"fls: {message}")
        if self.as_json and self.folder is None:
            payload = {"schema": ERROR_SCHEMA, "source": clean(name), "error": message}
            self.show(json_line(payload, {clean(name): location}))

    def say(self, text: str) -> None:
        """A note to the user on stderr."""
        if not self.quiet:
            self.bars.note(f"fls: {clean(text)}")

    def warn(self, source: Source, flaw: Flaw) -> None:
        """Tells the user what is wrong with a recording; if sound is lost, the end is a 1."""
        self.say(f"{source.name}: {flaw.text}")
        if flaw.is_loss:
            self._losses.append((source.name, flaw.text))

    def warn_again(self, source: Source) -> None:
        """Tells the user that a result that was finished before is of a recording lacking sound."""
        text = "finished before, of what could be read of it"
        self.say(f"{source.name}: {text}")
        self._losses.append((source.name, text))

    @property
    def failures(self) -> int:
        """How many sources failed so far, wholly or in part."""
        return len(self._failures)

    def show(self, text: str) -> None:
        """Writes a piece of the result: to stdout at once, or into the file at the end."""
        if self.output is not None and self.folder is None:
            self._written.append(text)
            return
        self.bars.hide()
        sys.stdout.write(text)
        sys.stdout.flush()

    def finish(self) -> None:
        """Writes the output file; names what failed; leaves with 1 if that or a part is missing."""
        in_file = self.output is not None and self.folder is None
        if in_file and (self._written or not self._failures):
            write_atomically(Path(self.output or ""), "".join(self._written))
        self.bars.close()
        # Said again only if other things were said since.
        if self._failures and self.source_count > len(self._failures):
            self.bars.note(f"fls: {len(self._failures)} of {self.source_count} failed:")
            for message in self._failures:
                self.bars.note(f"fls:   {message}")
        if self._losses and self.source_count > 1:
            self.say(
                f"{len({name for name, _ in self._losses})} of {self.source_count} lack sound:"
            )
            for name, text in self._losses:
                self.say(f"  {name}: {text}")
        if self._failures or self._losses:
            raise typer.Exit(1)


@contextmanager
def open_session(
    *,
    quiet: bool,
    offline: bool,
    output: str | None = None,
    keep: bool = False,
    as_json: bool = False,
    drawn: bool = False,
) -> Iterator[Session]:
    """A session whose progress bars are gone afterwards, whatever happens.

    Raises UsageError when `output` is no place to write to, or stdout none, unless the result is
    `drawn` into a file: better now than after hours.
    """
    if output is not None:
        folder = output.endswith("/") or os.path.isdir(output)
        (check_folder if folder else check_place)(Path(output))
    elif not drawn:
        check_stdout()
    # PyTorch imports it, too, from native code, which loses a Ctrl-C that comes meanwhile.
    import numpy  # noqa: F401

    with Bars(quiet=quiet) as bars:
        yield Session(bars, quiet, offline, output, keep, as_json)
