"""Where a command works: its model, its sources one after the other, and what it tells the user.

One failed source does not stop the others; they are named at the end. With a folder for results,
each source has a file of its own there, and what is finished is not done again (`ledger`).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fls_cli.console.progress import Bars
from fls_cli.console.streams import check_stdout
from fls_cli.console.text import clean, printable
from fls_cli.media.flaws import Flaw
from fls_cli.media.source import Source, check_readable
from fls_cli.session import engine as engines
from fls_cli.session.engine import Engine
from fls_cli.session.job import Request, Visit
from fls_cli.session.layout import place_all
from fls_cli.session.ledger import claimed, seems_finished
from fls_cli.session.listening import Remembering, Wanted
from fls_cli.sources.lists import names_listed
from fls_cli.sources.patterns import is_pattern
from fls_cli.sources.resolve import open_sources
from fls_cli.storage.cache import open_cache
from fls_cli.storage.files import check_folder, check_place, write_atomically
from fls_cli.writers.exact_names import with_exact_names
from fls_models.core.cache import FORGETFUL, Memory
from fls_models.errors import InputError, UsageError

if TYPE_CHECKING:
    from fls_models.answering.model import Model

ERROR_SCHEMA = "fls.error/1"
Task = Callable[[Visit], Any]
"""Writes the result for one source; what it returns (JSON) is kept with a finished result."""


@dataclass
class Desk:
    """Open for the length of one command.

    `output` is a file for everything, or a folder (`work` decides); `ahead` is how many sources
    are decoded before their turn; `force` does finished results again.
    """

    bars: Bars
    quiet: bool
    offline: bool
    output: str | None = None
    keep: bool = False
    ahead: int = 0
    force: bool = False
    # Sources that `work` was asked for, those that failed included.
    asked: int = 0
    _failures: list[tuple[str, str]] = field(default_factory=list)
    _losses: bool = False
    _written: list[str] = field(default_factory=list)
    _model: Model | None = None
    _folder: Path | None = None
    _skipped: int = 0
    _coming: Sequence[Visit] = ()
    _sources: Sequence[Source] = ()
    _places: dict[tuple[Path, str], dict[Source, Path]] = field(default_factory=dict)

    @property
    def streams(self) -> bool:
        """Whether somebody watches what is shown appear."""
        return self.output is None and sys.stdout.isatty()

    @cached_property
    def memory(self) -> Memory:
        return Remembering(open_cache()) if self.keep else FORGETFUL

    def model(self, engine: Engine) -> Model:
        """The model, its weights fetched first if need be. Heavy imports happen here."""
        if self._model is None:
            self._model = engines.start(
                engine,
                offline=self.offline,
                memory=self.memory,
                say=self.say,
                progress=self.bars,
            )
        return self._model

    def model_for(self, engine: Engine, wanted: Wanted) -> Model:
        """The model; no weights are fetched for what is no recording.

        Raises what `model` and `Wanted.check` do.
        """
        if self._model is None:
            engines.check(engine)
            if not engines.is_here(engine):
                wanted.check()
        return self.model(engine)

    def work(
        self, arguments: Sequence[str], listed: Path | None, request: Request, task: Task
    ) -> list[tuple[Source, Any]]:
        """Does the task for every source, in order; what it returned for those that went well.

        `listed` is a file that names more sources. What is wrong with a source is said at once
        and again at the end (`finish`).
        """
        names = [*arguments, *(names_listed(listed, beside=arguments) if listed else ())]
        if not names:
            raise UsageError("No recording is named; name files, folders, addresses or -.")
        self._folder = self._folder_for(names)

        failed = self.failing(as_json=request.as_json)
        with open_sources(names, failed=failed, note=self.say, progress=self.bars) as found:
            self.asked = len(found) + len(self._failures)
            folder, self._sources = self._folder, found
            # All are checked before a model is loaded for the first.
            sources = [source for source in found if self.is_there(source, as_json=request.as_json)]
            places = place_all(sources, folder, request.suffix) if folder else {}
            many = self.asked > 1
            visits = [Visit(self, request, one, many, places.get(one)) for one in sources]
            try:
                return self._all(visits, folder, task)
            finally:
                for visit in visits:
                    visit.close()

    def _all(
        self, visits: Sequence[Visit], folder: Path | None, task: Task
    ) -> list[tuple[Source, Any]]:
        done: dict[Source, Any] = {}
        occupied: list[Visit] = []
        self.bars.files(0, len(visits))
        for turn, visit in enumerate(visits):
            self._coming = visits[turn + 1 :]
            if not self._visit(visit, folder, task, done, wait=False):
                occupied.append(visit)
                continue
            self.bars.files(turn + 1 - len(occupied), len(visits))
        for turn, visit in enumerate(occupied):
            self._coming = occupied[turn + 1 :]
            self.say(f"{visit.source.name}: another fls is at work on it; waiting")
            self._visit(visit, folder, task, done, wait=True)
            self.bars.files(len(visits) - len(occupied) + turn + 1, len(visits))
        if self._skipped:
            self.say(f"{self._skipped} of {len(visits)} were finished before")
        return [(one.source, done[one.source]) for one in visits if one.source in done]

    def _visit(
        self, visit: Visit, folder: Path | None, task: Task, done: dict[Source, Any], *, wait: bool
    ) -> bool:
        """Whether it was this process's turn; the result goes to `done`."""
        source, request = visit.source, visit.request
        try:
            if folder is None or visit.output is None:
                done[source] = task(visit)
                self.is_whole(source, as_json=request.as_json)
            else:
                with claimed(folder, visit.output, source, request.key, wait=wait) as claim:
                    if claim is None:
                        return False
                    if claim.is_finished and not self.force:
                        self._skipped += 1
                        done[source] = claim.kept
                        if claim.lacks_sound:
                            self._losses = True
                            self.say(f"{source.name}: finished before, of what could be read of it")
                    else:
                        claim.begin(force=self.force)
                        kept = task(visit)
                        whole = self.is_whole(source, as_json=request.as_json)
                        lacking = any(flaw.is_loss for flaw in visit.flaws)
                        text = "".join(visit.written)
                        claim.finish(text, kept, whole=whole, lacks_sound=lacking)
                        done[source] = kept
        except InputError as error:
            self.blame(source, error, as_json=request.as_json)
        finally:
            visit.close()
        # Copies of what lies at many addresses would pile up.
        source.discard()
        return True

    def look_ahead(self) -> None:
        """Begins to decode the sources whose turn comes next; the model is loaded by now."""
        begun = 0
        for visit in self._coming:
            if begun == self.ahead:
                return
            if self.force or not self._seems_finished(visit):
                visit.prepare()
                begun += 1

    def _seems_finished(self, visit: Visit) -> bool:
        if self._folder is None or visit.output is None:
            return False
        try:
            return seems_finished(self._folder, visit.output, visit.source, visit.request.key)
        except InputError:
            # Said when its turn comes.
            return False

    def place(self, source: Source, folder: Path, suffix: str) -> Path:
        """A file for one of the sources below a folder, no other's (`place_all`)."""
        if (folder, suffix) not in self._places:
            self._places[folder, suffix] = place_all(self._sources, folder, suffix)
        return self._places[folder, suffix][source]

    @property
    def has_failures(self) -> bool:
        """Whether something was wrong with a source."""
        return bool(self._failures) or self._losses

    def is_there(self, source: Source, *, as_json: bool) -> bool:
        """Whether there is a file with something in it; if not, that is said (`fail`)."""
        try:
            check_readable(source)
        except InputError as error:
            self.fail(source.name, error, as_json=as_json, location=source.location)
            return False
        return True

    def is_whole(self, source: Source, *, as_json: bool) -> bool:
        """Whether all came of what was read; if not, that is said (`fail`): it failed in part."""
        if missing := source.missing:
            said = f"{source.name}: {missing}; the result is of those alone, so run it again."
            self.fail(source.name, InputError(said), as_json=as_json, location=source.location)
        return missing is None

    def blame(self, source: Source, error: InputError, *, as_json: bool) -> None:
        """Says what is wrong with a source (`fail`); that not all of it came, if that is so."""
        if missing := source.missing:
            error = InputError(f"{source.name}: {missing}; run it again.")
        self.fail(source.name, error, as_json=as_json, location=source.location)

    def failing(self, *, as_json: bool) -> Callable[[str, InputError], None]:
        """What is to be called with an argument, as it was typed, that fails (`fail`)."""

        def failed(argument: str, error: InputError) -> None:
            self.fail(printable(argument), error, as_json=as_json, location=argument)

        return failed

    def fail(
        self, name: str, error: InputError, *, as_json: bool, location: str | None = None
    ) -> None:
        """Turns what is wrong with one source into a line on stderr and exit code 1.

        With `as_json`, into a JSON line as well, among the results. `name` is shown of `location`.
        """
        said = clean(str(error))
        self._failures.append((name, said))
        self.bars.note(f"fls: {said}")
        if as_json and self._folder is None:
            told = {"schema": ERROR_SCHEMA, "source": clean(name), "error": said}
            named = with_exact_names(told, {told["source"]: location or name})
            self.show(json.dumps(named, ensure_ascii=False) + "\n")

    def _folder_for(self, names: Sequence[str]) -> Path | None:
        """The folder for results, if `output` is one: it is there, or ends in /, or has no suffix
        where several sources may be named. Does not depend on how many there are now.
        """
        if self.output is None:
            return None
        place = Path(self.output)
        if self.output.endswith("/") or place.is_dir():
            return place
        several = len(names) > 1 or os.path.isdir(names[0]) or is_pattern(names[0])
        return place if several and not place.suffix and not place.exists() else None

    def say(self, text: str) -> None:
        """A note to the user on stderr."""
        if not self.quiet:
            self.bars.note(f"fls: {clean(text)}")

    def warn(self, source: Source, flaw: Flaw) -> None:
        """Tells the user what is wrong with a recording; if sound is lost, the end is a 1."""
        self.say(f"{source.name}: {flaw.text}")
        self._losses = self._losses or flaw.is_loss

    def show(self, text: str) -> None:
        """Writes a piece of the result: to stdout at once, or into the file at the end."""
        if self.output is not None and self._folder is None:
            self._written.append(text)
            return
        self.bars.hide()
        sys.stdout.write(text)
        sys.stdout.flush()

    def finish(self) -> None:
        """Writes the output file; names what failed; leaves with 1 if that or a part is missing."""
        in_file = self.output is not None and self._folder is None
        if in_file and (self._written or not self._failures):
            write_atomically(Path(self.output or ""), "".join(self._written))
        self.bars.close()
        # Said again only if other things were said since.
        if self._failures and self.asked > len(self._failures):
            self.bars.note(f"fls: {len(self._failures)} of {self.asked} failed:")
            for _, said in self._failures:
                self.bars.note(f"fls:   {said}")
        if self._failures or self._losses:
            raise typer.Exit(1)


@contextmanager
def open_desk(
    *,
    quiet: bool,
    offline: bool,
    output: str | None = None,
    keep: bool = False,
    ahead: int = 0,
    force: bool = False,
    drawn: bool = False,
) -> Iterator[Desk]:
    """A desk whose progress bars are gone afterwards, whatever happens.

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
        yield Desk(bars, quiet, offline, output, keep, ahead, force)
