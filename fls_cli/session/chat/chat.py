"""One conversation: each line is a question or a command, and what comes of it is shown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fls_cli.console.text import clean, printable
from fls_cli.media.flaws import Flaw
from fls_cli.media.source import Source
from fls_cli.session.chat import slash_commands
from fls_cli.session.session import Session
from fls_cli.storage.files import write_atomically
from fls_cli.writers.exact_names import json_line
from fls_cli.writers.results import answer_json, clock, evidence_text
from fls_models.core.interruptions import undisguised
from fls_models.core.results import Answer
from fls_models.errors import DiskFull, InputError, UsageError

if TYPE_CHECKING:
    from fls_models.answering.conversation import Conversation, Reply
    from fls_models.answering.model import EncodedRecording


@dataclass(frozen=True)
class ChatRecording:
    """A recording that is talked about; `seconds` is what hearing it took, by stage."""

    source: Source
    content: EncodedRecording
    seconds: Mapping[str, float]
    flaws: Sequence[Flaw]

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def length(self) -> str:
        return clock(self.content.duration)


@dataclass(frozen=True)
class Exchange:
    """A question and its answer, as they were shown."""

    question: str
    answer: str
    sources: Sequence[str]


@dataclass
class Chat:
    """A conversation within a session.

    `typed` says that a person types the lines, and `echoed` that questions are shown with their
    answers, for whoever reads only those.
    """

    session: Session
    conversation: Conversation
    recordings: Sequence[ChatRecording]
    typed: bool
    echoed: bool
    exchanges: list[Exchange] = field(default_factory=list)
    # Files that this conversation wrote and may write again.
    _saved: set[str] = field(default_factory=set)

    def talk(self, lines: Iterable[str]) -> int:
        """Answers line by line until there are no more or one says `/quit`; the exit code.

        At a terminal that is 0, and Ctrl-C stops an answer; in a pipe a command that fails has its
        error's code, and Ctrl-C is the caller's.
        """
        code = 0
        for line in lines:
            text = clean(line).replace("\n", " ").strip()
            if text == "/quit":
                break
            try:
                with undisguised():
                    if text.startswith("/"):
                        self._do(*slash_commands.split(text))
                    elif text:
                        self._answer(text)
            except (UsageError, InputError, DiskFull) as error:
                self._tell(f"fls: {error}")
                code = code if self.typed else error.exit_code
            except KeyboardInterrupt:
                if not self.typed:
                    raise
                self.session.show("" if self.session.as_json else "\n")
                self.session.say("stopped")
        return code

    def _answer(self, question: str) -> None:
        session = self.session
        if self.echoed and not session.as_json:
            session.show(f"> {question}\n")
        if session.streams and not session.as_json:
            reply = self.conversation.ask(question, lambda piece: session.show(clean(piece)))
            session.show("\n" + self._evidence(reply))
        else:
            reply = self.conversation.ask(question)
            session.show(self._shown(reply))
        session.bars.hide()
        exchange = Exchange(question, clean(reply.text).strip(), reply.sources)
        self.exchanges.append(exchange)
        if not session.as_json and self._names(exchange):
            session.show(f"({self._names(exchange)})\n")

    def _shown(self, reply: Reply) -> str:
        text, result = clean(reply.text).strip(), reply.result
        if not self.session.as_json:
            return f"{text}\n{self._evidence(reply)}"
        flaws = [flaw for recording in self.recordings for flaw in recording.flaws]
        payload = answer_json(result, flaws) if isinstance(result, Answer) else result.as_json()
        locations = {recording.name: recording.source.location for recording in self.recordings}
        return json_line({**payload, "answer": text}, locations)

    def _evidence(self, reply: Reply) -> str:
        """What an answer from one recording rests on, if that was asked for."""
        return evidence_text(reply.result) if isinstance(reply.result, Answer) else ""

    def _names(self, exchange: Exchange) -> str:
        """Where an answer comes from, if there is a choice."""
        several = len(self.recordings) > 1 and exchange.sources
        return f"from {', '.join(exchange.sources)}" if several else ""

    def _do(self, name: str, argument: str) -> None:
        if name == "/help":
            self._tell(*slash_commands.help_lines())
        elif name == "/budget":
            if argument:
                self.conversation.budget = slash_commands.budget_of(argument)
            self._tell(f"budget {self.conversation.budget.label}")
        elif name == "/save":
            self._save(argument)
        elif name == "/sources":
            self._tell(*(f"{recording.length}  {recording.name}" for recording in self.recordings))
        elif name == "/forget":
            self.conversation.forget()
            self._tell("the next question follows none")
        else:
            raise AssertionError(f"{name} is in the list and does nothing")

    def _save(self, name: str) -> None:
        if not name:
            raise UsageError("/save takes the name of a file.")
        if not self.exchanges:
            raise UsageError("Nothing was asked yet that could be saved.")
        place = Path(name).expanduser()
        real = os.path.realpath(place)
        if os.path.lexists(place) and real not in self._saved:
            raise UsageError(f"{printable(name)} is there already and stays as it is.")
        write_atomically(place, self._markdown())
        self._saved.add(real)
        self._tell(f"saved {printable(name)}")

    def _markdown(self) -> str:
        parts = ["# Questions and answers\n\n"]
        parts += [f"* {recording.name}, {recording.length}\n" for recording in self.recordings]
        for exchange in self.exchanges:
            parts.append(f"\n## {exchange.question}\n\n{exchange.answer}\n")
            if names := self._names(exchange):
                parts.append(f"\n*{names}*\n")
        return "".join(parts)

    def _tell(self, *lines: str) -> None:
        """Says what was asked for; on stderr, as it is no answer."""
        for line in lines:
            self.session.bars.note(line)
