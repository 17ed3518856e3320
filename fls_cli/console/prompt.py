"""Where the lines of a conversation come from: a person at a terminal, or a pipe.

At a terminal they can be edited, searched and completed, which is prompt_toolkit's work; it is
loaded for that alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fls_models.errors import UsageError

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings

PROMPT = "> "
Complete = Callable[[str], list[str]]
"""What a line may go on as: whole lines that begin with what was typed."""


def at_terminal() -> bool:
    """Whether somebody types who also sees the prompt."""
    return _is_terminal(sys.stdin) and (_is_terminal(sys.stdout) or _is_terminal(sys.stderr))


def piped_lines(stream: BinaryIO | None = None) -> Iterator[str]:
    """The lines of stdin (or `stream`) as they come; what is no UTF-8 is replaced.

    Raises UsageError when stdin is closed.
    """
    if stream is None:
        if sys.stdin is None:
            raise UsageError("The questions come from stdin, and it is closed; pipe them in.")
        stream = sys.stdin.buffer
    for number, line in enumerate(stream):
        # Editors of other systems begin a file with a mark.
        yield line.decode("utf-8-sig" if number == 0 else "utf-8", "replace")


def typed_lines(complete: Complete, history: Path | None) -> Iterator[str]:
    """What is typed at the prompt, line by line, until Ctrl-D in an empty one.

    Ctrl-C takes back a line, and in an empty one raises KeyboardInterrupt. `history` is a file
    for what was typed, readable by its owner alone; where it cannot be written, lines are
    remembered as long as this runs.
    """
    from prompt_toolkit import PromptSession
    from prompt_toolkit.output import create_output
    from prompt_toolkit.shortcuts import CompleteStyle

    session: PromptSession[str] = PromptSession(
        PROMPT,
        # stdout may be a file, into which answers go; the prompt stays with the person.
        output=None if _is_terminal(sys.stdout) else create_output(always_prefer_tty=True),
        history=_kept_in(history),
        completer=_completer(complete),
        # No room is kept free below the prompt, and Tab alone completes.
        complete_style=CompleteStyle.READLINE_LIKE,
        complete_while_typing=False,
        key_bindings=_keys(),
        enable_suspend=True,
        enable_history_search=False,
    )
    while True:
        try:
            line = session.prompt()
        except EOFError:
            return
        # A question pasted with line breaks is one question.
        yield " ".join(line.splitlines())


def _is_terminal(stream: object) -> bool:
    # Python has None for a stream that is closed.
    return stream is not None and bool(getattr(stream, "isatty", bool)())


def _kept_in(file: Path | None) -> History:
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    class Kept(FileHistory):
        """A history whose file may fail at any time."""

        def store_string(self, string: str) -> None:
            try:
                super().store_string(string)
            except OSError:
                return

    if file is None:
        return InMemoryHistory()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError:
        return InMemoryHistory()
    return Kept(str(file))


def _completer(complete: Complete) -> Completer:
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

    class Lines(Completer):
        def get_completions(
            self, document: Document, complete_event: CompleteEvent
        ) -> Iterator[Completion]:
            typed = document.text_before_cursor
            for line in complete(typed):
                yield Completion(line, -len(typed), display=line.split(" ")[-1] or line)

    return Lines()


def _keys() -> KeyBindings:
    from prompt_toolkit.application import get_app
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("c-c", filter=Condition(lambda: bool(get_app().current_buffer.text)))
    def take_back(event: KeyPressEvent) -> None:
        event.current_buffer.reset()

    return keys
