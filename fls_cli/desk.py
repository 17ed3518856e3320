"""Where a command works: its model, its sources one after the other, and what it tells the user.

One failed source does not stop the others; they are named at the end.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fls_cli.inputs import Source, check_readable, open_sources, printable
from fls_cli.output import clean, write_atomically
from fls_cli.places import cache_folder
from fls_cli.progress import Bars
from fls_cli.times import parse_time
from fls_models.errors import InputError, UsageError

if TYPE_CHECKING:
    from fls_models.models import Model
    from fls_models.results import Sentence, Transcript
    from fls_models.stopwatch import Stopwatch
    from fls_models.transcription import Transcriber
    from fls_models.weights import Installed


@dataclass(frozen=True)
class Stretch:
    """Which part of a recording, on which track, in which language."""

    track: int | None
    start: float
    end: float | None
    language: str | None

    @classmethod
    def parse(
        cls, track: int | None, start: str | None, end: str | None, language: str | None
    ) -> Stretch:
        begin = parse_time(start) if start else 0.0
        until = parse_time(end) if end else None
        if until is not None and until <= begin:
            raise UsageError("--end must come after --start.")
        return cls(track, begin, until, language)


@dataclass
class Desk:
    """Open for the length of one command."""

    bars: Bars
    quiet: bool
    offline: bool
    output: Path | None = None
    failures: list[str] = field(default_factory=list)
    _written: list[str] = field(default_factory=list)
    _model: Model | None = None

    @property
    def streams(self) -> bool:
        """Whether somebody watches the result appear."""
        return self.output is None and sys.stdout.isatty()

    def model(self, name: str) -> Model:
        """The model of that name, fetched first if need be. Heavy imports happen here."""
        if self._model is None:
            installed = self._installed(name)
            from fls_models.models import Model

            self._model = Model(installed)
        return self._model

    def each(self, arguments: Sequence[str]) -> Iterator[tuple[Source, int]]:
        """Every source that is there to be read, and how many were asked for.

        What is wrong with the others is said before any model is loaded for the rest. Use with
        `attempt`.
        """
        if arguments.count("-") > 1:
            raise UsageError("- stands for what is piped in and can be given only once.")
        with ExitStack() as stack:
            sources: list[Source] = []
            asked = 0
            for argument in arguments:
                with self.attempt(printable(argument)):
                    asked += 1
                    found = stack.enter_context(open_sources([argument]))
                    asked += len(found) - 1
                    sources += [source for source in found if self._is_there(source)]
            for source in sources:
                yield source, asked

    def _is_there(self, source: Source) -> bool:
        with self.attempt(source.name):
            check_readable(source)
            return True
        return False

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """Turns what is wrong with one source into a line on stderr and exit code 1."""
        try:
            yield
        except InputError as error:
            self.failures.append(name)
            self.bars.note(f"fls: {clean(str(error))}")

    def listen(self, model: Model, source: Source, stretch: Stretch, effort: str) -> Listening:
        """Starts listening to a source; raises the InputError that fits what is wrong with it."""
        from fls_cli import media
        from fls_models.stopwatch import Stopwatch
        from fls_models.transcription import EFFORTS

        info = media.probe(source)
        until = info.duration if stretch.end is None else stretch.end
        if until is not None and info.duration is not None:
            until = min(until, info.duration)
        clock = Stopwatch()
        with clock.stage("load"):
            transcriber = model.transcriber
        blocks = media.stream(
            source,
            track=stretch.track,
            start=stretch.start,
            end=stretch.end,
            warn=self.say,
        )
        found = transcriber.sentences(
            blocks,
            EFFORTS[effort],
            language=stretch.language,
            start=stretch.start,
            total=None if until is None else max(0.0, until - stretch.start),
            progress=self.bars,
        )
        known = partial(_known, transcriber)
        return Listening(found, blocks, known, clock)

    def say(self, text: str) -> None:
        """A note to the user on stderr."""
        if not self.quiet:
            self.bars.note(f"fls: {clean(text)}")

    def show(self, text: str) -> None:
        """Writes a piece of the result: to stdout at once, or into the file at the end."""
        if self.output is not None:
            self._written.append(text)
            return
        self.bars.hide()
        sys.stdout.write(text)
        sys.stdout.flush()

    def finish(self) -> None:
        """Writes the output file; leaves with 1 when a source failed."""
        if self.output is not None and (self._written or not self.failures):
            write_atomically(self.output, "".join(self._written))
        self.bars.hide()
        if self.failures:
            raise typer.Exit(1)

    def _installed(self, name: str) -> Installed:
        from fls_models import card, weights

        cache = cache_folder()
        if name == "auto":
            name = card.names()[0]
            self.say(f"using {name}, the model that runs on any CPU")
        elif Path(name).is_dir():
            return weights.local(Path(name))
        wanted = card.load(name)
        if self.offline or not weights.bytes_to_fetch(wanted, cache):
            return weights.locate(wanted, cache)
        size = weights.bytes_to_fetch(wanted, cache) / 1e6
        self.say(f"downloading {name}: {size:.0f} MB, once")
        return weights.pull(wanted, cache, self.bars)


@dataclass(frozen=True)
class Listening:
    """Sentences as they are understood, and the transcript when all are."""

    found: Iterator[Sentence]
    blocks: Generator[Any]
    known: Callable[[], tuple[str | None, float]]
    clock: Stopwatch

    def __iter__(self) -> Iterator[Sentence]:
        # Closed here, not whenever garbage is collected: a child process hangs on it.
        with closing(self.blocks):
            while True:
                with self.clock.stage("listen"):
                    sentence = next(self.found, None)
                if sentence is None:
                    return
                yield sentence

    def transcript(self) -> Transcript:
        from fls_models.results import Transcript

        sentences = tuple(self)
        language, duration = self.known()
        return Transcript(language if sentences else None, sentences, duration)


def _known(transcriber: Transcriber) -> tuple[str | None, float]:
    return transcriber.language, transcriber.until


@contextmanager
def open_desk(*, quiet: bool, offline: bool, output: Path | None) -> Iterator[Desk]:
    """A desk whose progress bars are gone afterwards, whatever happens.

    Raises UsageError when `output` is no place to write to: better now than after hours.
    """
    if output is not None and (output.is_dir() or not os.access(output.parent, os.W_OK)):
        write_atomically(output, "")
    with Bars(quiet=quiet) as bars:
        yield Desk(bars, quiet, offline, output)
