"""What was not heard yet is heard, and taken into the index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fls_cli.library.index import Index
from fls_cli.library.search import Shelf, shelve
from fls_cli.media.fingerprint import contents_of
from fls_cli.media.source import Source
from fls_cli.session.engine import Engine
from fls_cli.session.job import Job
from fls_cli.session.request import AudioRange, Request
from fls_cli.session.runner import Runner
from fls_cli.session.session import Session


def hear_unheard(
    session: Session,
    index: Index,
    files: Mapping[Source, Path],
    engine: Engine,
    budget: str,
    audio_range: AudioRange,
) -> Shelf[Source]:
    """Hears those of some sources, each with its file, that the index does not know.

    What is wrong with one is said, and noted in the index; the others are heard.
    """
    shelf = shelve(index, files)
    if not shelf.unheard:
        return shelf
    request = Request("transcribe", engine, budget, audio_range, {}, ".txt", session.as_json)

    def task(job: Job) -> None:
        transcript, contents = job.transcript(), contents_of(job.source)
        assert contents is not None, "it is a file"
        index.add(contents.sha256, transcript, budget)

    names = [source.location for source in shelf.unheard]
    Runner(session, ahead=1).run(names, None, request, task)
    shelf = shelve(index, files)
    index.note_failures(files[source] for source in shelf.unheard)
    return shelf
