"""`fls chat`: a conversation about recordings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.console.prompt import at_terminal, piped_lines, typed_lines
from fls_cli.media.flaws import Flaw
from fls_cli.media.source import Source
from fls_cli.options import common as options
from fls_cli.options.choices import LargeModel, Manners, Passage, Reading, Sampling, Voices, Words
from fls_cli.options.groups import grouped
from fls_cli.session.chat import slash_commands
from fls_cli.session.chat.chat import Chat, ChatRecording
from fls_cli.session.engine import Engine
from fls_cli.session.evidence_files import EVIDENCE
from fls_cli.session.hearing.listening import hear
from fls_cli.session.hearing.speaker_wish import SpeakerWish
from fls_cli.session.request import ListenRequest
from fls_cli.session.session import Session
from fls_cli.sources.resolve import open_sources
from fls_cli.storage.paths import state_folder
from fls_models.core.budget import Budget
from fls_models.errors import InputError, UsageError

if TYPE_CHECKING:
    from fls_models.answering.conversation import Conversation
    from fls_models.answering.generation import GenerationConfig


@grouped
def chat(
    *,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="Files, folders, patterns or http(s) addresses.",
            show_default=False,
        ),
    ] = None,
    reading: Reading,
    language: options.Language = None,
    voices: Voices,
    words: Words,
    passage: Passage,
    keep: options.Cache = True,
    as_json: options.Json = False,
    evidence: options.Evidence = None,
    large: LargeModel,
    sampling: Sampling,
    manners: Manners,
) -> None:
    """Talk about recordings. A question a line; each may follow from those before it.

    At a terminal /help lists the commands, and Ctrl-D leaves. Questions may be piped in.

    Example: fls chat lecture.mp3
    """
    names = sources or []
    _check_names(names)
    audio_range = passage.audio_range(language, words.wording)
    paid, wish = reading.paid, voices.wish
    typed = at_terminal()
    with (
        manners.session(keep=keep, as_json=as_json) as session,
        open_sources(
            names, failed=session.fail, note=session.say, progress=session.bars
        ) as all_sources,
    ):
        engine = reading.engine(large)
        if wish is not None:
            wish.check(len(all_sources) + session.failures, session.say)
        # All are looked at before a model is loaded for the first.
        requests = [
            ListenRequest(source, audio_range, paid.name, paid.target_length)
            for source in all_sources
            if session.is_there(source)
        ]
        recordings = _listen_to_all(session, engine, requests, wish)
        if not recordings:
            raise typer.Exit(1)

        passages = evidence if evidence is not None else EVIDENCE * as_json
        talk = Chat(
            session,
            _conversation(session, engine, recordings, paid, sampling.config, passages),
            recordings,
            typed=typed,
            echoed=not (typed and sys.stdout.isatty()),
        )
        code = talk.talk(_typed(session) if typed else piped_lines())
        raise typer.Exit(code or int(session.has_failures))


def _listen_to_all(
    session: Session,
    engine: Engine,
    requests: Sequence[ListenRequest],
    wish: SpeakerWish | None,
) -> list[ChatRecording]:
    recordings: list[ChatRecording] = []
    for done, request in enumerate(requests):
        session.bars.files(done, len(requests))
        source = request.source
        flaws: list[Flaw] = []

        def warn(flaw: Flaw, source: Source = source, flaws: list[Flaw] = flaws) -> None:
            flaws.append(flaw)
            session.warn(source, flaw)

        try:
            source.begin()
            hearing = hear(
                session.model_for(engine, request),
                request,
                memory=session.memory,
                warn=warn,
                progress=session.bars,
                speakers=session.search_speakers(request, wish),
            )
        except InputError as error:
            session.blame(source, error)
            continue
        session.is_whole(source)
        recordings.append(ChatRecording(source, hearing.recording, hearing.seconds, flaws))
    session.bars.close()
    return recordings


def _conversation(
    session: Session,
    engine: Engine,
    recordings: Sequence[ChatRecording],
    paid: Budget,
    generation: GenerationConfig,
    evidence: int,
) -> Conversation:
    """About all that was listened to; each answer with so many passages at most."""
    from fls_models.answering.answerer import Answerer
    from fls_models.answering.conversation import Conversation

    loaded = session.model(engine)
    askings = [
        Answerer(
            loaded,
            recording.name,
            recording.content,
            heard_in=recording.seconds,
            budget=paid,
            generation=generation,
            evidence=evidence,
            progress=session.bars,
        )
        for recording in recordings
    ]
    return Conversation(loaded, askings, generation=generation)


def _typed(session: Session) -> Iterator[str]:
    session.say("/help for help, Ctrl-D to leave")
    state = state_folder()
    return typed_lines(slash_commands.completions, state and state / "chat-history")


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise UsageError("No recording is named; name files, folders or addresses.")
    if any(name == "-" or _is_stdin(name) for name in names):
        raise UsageError(
            "The questions come from stdin, so the recording cannot; write it to a file first."
        )


def _is_stdin(name: str) -> bool:
    try:
        return os.path.samestat(os.stat(name), os.fstat(0))
    except OSError:
        return False
