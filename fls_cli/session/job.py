"""One source being worked on: what is heard in it, and where its result goes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fls_cli.media.fingerprint import Contents, contents_of, is_unchanged
from fls_cli.media.flaws import Flaw
from fls_cli.media.source import Source
from fls_cli.session.hearing.listening import (
    Listening,
    Speakers,
    TimedRecording,
    hear,
    is_known,
    listen,
)
from fls_cli.session.hearing.read_ahead import Ahead
from fls_cli.session.request import EACH, ListenRequest, Request
from fls_cli.session.session import Session
from fls_cli.writers.exact_names import json_line
from fls_models.core.progress import ignore

if TYPE_CHECKING:
    from fls_cli.session.hearing.read_ahead import Blocks
    from fls_models.answering.model import Model
    from fls_models.core.results import Span, Transcript
    from fls_models.speakers.turn import SpeakerTurn

_T = TypeVar("_T")


@dataclass
class Job:
    """A source that a command works on. `output` is its own result file, if there is a folder.

    `before_listening` is called when the model is loaded, `place_below` with a folder and a suffix
    for a file of this source below it.
    """

    session: Session
    request: Request
    source: Source
    many: bool
    before_listening: Callable[[], None]
    place_below: Callable[[Source, Path, str], Path]
    output: Path | None = None
    written: list[str] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)
    _ahead: Ahead | None = None
    # What was there when decoding ahead began.
    _ahead_of: Contents | None = None
    # Further files of the result.
    beside: dict[Path, str] = field(default_factory=dict)
    # Who speaks when, once that was found out.
    turns: list[SpeakerTurn] = field(default_factory=list)

    @property
    def listen_request(self) -> ListenRequest:
        request = self.request
        return ListenRequest(
            self.source,
            request.audio_range,
            request.budget,
            request.target_length,
            words=request.command == "transcribe",
        )

    def write_json(self, payload: Mapping[str, Any], indent: int | None = None) -> None:
        """Writes a piece of the result as JSON that names its source exactly."""
        self.write(json_line(payload, {self.source.name: self.source.location}, indent))

    @property
    def model(self) -> Model:
        return self.session.model(self.request.engine)

    @property
    def streams(self) -> bool:
        """Whether somebody watches the result appear."""
        return self.output is None and self.session.streams

    def listen(self) -> Listening:
        """Starts listening; raises the InputError that fits what is wrong with the source."""
        return self._begun(listen)

    def hear(self) -> TimedRecording:
        """The recording as the model hears it, to its end; raises as `listen` does."""
        search = self._search()
        heard = self._begun(partial(hear, speakers=search))
        self.turns = search.turns if search else []
        return heard

    @property
    def names_speakers(self) -> bool:
        """Whether it is said who speaks, which is known only when all is heard."""
        return self.request.speakers is not None or self.request.audio_range.channels == EACH

    def transcript(self) -> Transcript:
        """What is said, to the end, and by whom, if that is asked for; raises as `listen` does."""
        search = self._search()
        if search is None:
            return self.listen().transcript()
        listening = self._begun(partial(listen, speakers=search))
        transcript = search.name_words(listening.transcript())
        self.turns = search.turns
        return transcript

    def _search(self) -> Speakers | None:
        return self.session.search_speakers(self.listen_request, self.request.speakers)

    def _begun(self, listening: Callable[..., _T]) -> _T:
        # Where nothing lies, no model need be loaded; elsewhere it is while the rest comes.
        self.source.begin()
        model = self.session.model_for(self.request.engine, self.listen_request)
        self.before_listening()
        return listening(
            model,
            self.listen_request,
            memory=self.session.memory,
            decode=self._decode,
            warn=self.warn,
            progress=self.session.bars,
        )

    def warn(self, flaw: Flaw) -> None:
        """Tells the user what is wrong with the recording, once, and remembers it."""
        if flaw not in self.flaws:
            self.flaws.append(flaw)
            self.session.warn(self.source, flaw)

    def say_silent(self, *, in_result: bool = False) -> None:
        """Says that no speech was found, unless the result says so, and what else to try."""
        # Of a silent channel, that is said already.
        is_silent = any(flaw.kind == "silent" for flaw in self.flaws)
        hint = "" if is_silent else self.listen_request.elsewhere()
        if hint or not in_result:
            self.session.say(f"{self.source.name}: no speech was found in it{hint}")

    def prepare(self) -> None:
        """Begins to decode before its turn comes, unless it is known what is said in it."""
        if self._ahead is not None or self.request.audio_range.channels == EACH:
            return
        model, memory, request = self.model, self.session.memory, self.listen_request

        def decode(warn: Callable[[Flaw], None]) -> Generator[Any]:
            self._ahead_of = contents_of(request.source)
            if not is_known(model, request, memory):
                yield from request.decode(warn)

        self._ahead = Ahead(decode)

    def _decode(self, warn: Callable[[Flaw], None]) -> Blocks:
        # A file that was replaced since is not the one that was decoded.
        contents = None if self._ahead_of is None else asdict(self._ahead_of)
        if self._ahead is not None and (contents is None or is_unchanged(self.source, contents)):
            count = 0
            for block in self._ahead.blocks(warn):
                count += 1
                yield block
            if count:
                return
        self.close()
        # Not begun before, or known then and forgotten since: no recording has no blocks.
        yield from self.listen_request.decode(warn)

    def place(self, folder: Path, suffix: str) -> Path:
        """A file for this source below a folder, no other's."""
        return self.place_below(self.source, folder, suffix)

    def decode(self, span: Span | None = None) -> Blocks:
        """Once more the samples that were heard, or those of a passage."""
        audio_range = self.request.audio_range
        if span is not None:
            audio_range = replace(audio_range, start=span.start, end=span.end)
        # What is wrong with the recording was said when it was heard.
        return replace(self.listen_request, audio_range=audio_range).decode(ignore)

    def write_beside(self, suffix: str, text: str) -> None:
        """A further file of the result, in the folder of results."""
        assert self.session.folder is not None
        self.beside[self.place(self.session.folder, suffix)] = text

    def write(self, text: str) -> None:
        """Writes a piece of the result: to stdout at once, into a file when all of it is there."""
        headed = self.many and self.output is None and not self.request.as_json
        if headed and not self.written:
            text = f"==> {self.source.name} <==\n{text}"
        if self.output is None:
            self.session.show(text)
        self.written.append(text)

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = self._ahead_of = None
