"""What was not heard yet is heard, and taken into the index."""

from __future__ import annotations

from collections.abc import Iterable

from fls_cli.library.index import Index
from fls_cli.media.source import Source
from fls_cli.session.engine import Engine
from fls_cli.session.job import Job
from fls_cli.session.request import AudioRange, Request
from fls_cli.session.runner import Runner
from fls_cli.session.session import Session
from fls_models.core.files import digest

WHOLE = AudioRange(None, 0.0, None, None)
"""What the index is of: all of a recording, as one hears it who asks for nothing special."""


def hear_into(
    session: Session,
    index: Index,
    sources: Iterable[Source],
    engine: Engine,
    budget: str,
    audio_range: AudioRange = WHOLE,
) -> None:
    """Hears sources one by one; what is wrong with one is said, and the others are heard."""
    request = Request("transcribe", engine, budget, audio_range, {}, ".txt", session.as_json)

    def task(job: Job) -> None:
        transcript = job.transcript()
        assert job.source.path is not None
        index.add(digest(job.source.path), transcript, budget)

    Runner(session, ahead=1).run([source.location for source in sources], None, request, task)
