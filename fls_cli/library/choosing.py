"""Of many recordings, those that are read for a question: where its words were said most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fls_cli.library.hearing import WHOLE, hear_into
from fls_cli.library.index import Index, index_place, open_index
from fls_cli.library.ranking import rank
from fls_cli.library.search import Shelf, shelve
from fls_cli.media.source import Source
from fls_cli.session.request import Request
from fls_cli.session.session import Session
from fls_cli.sources.resolve import open_sources
from fls_cli.storage.cache import open_cache
from fls_models.errors import InputError

FEW = 10
"""So many recordings are read without choosing."""
# Read for a question: of 120 texts of SPIRAL's dev part, the right one is among them for 97 %.
_READ = 8


@dataclass(frozen=True)
class Choice:
    """Names of what is to be read, the most promising first, `of` so many recordings."""

    names: tuple[str, ...]
    of: int


def choose(
    session: Session, request: Request, names: Sequence[str], questions: Sequence[str]
) -> Choice | None:
    """What is to be read of more than `FEW` recordings; None where all of them are.

    That is so, too, where only parts are asked about, where the model reads frames, and where no
    word of the questions was said. What was not heard yet is heard first.
    """
    audio_range = replace(WHOLE, language=request.audio_range.language)
    if "-" in names or request.audio_range != audio_range or not session.keep:
        return None
    wrong: list[tuple[str, InputError]] = []
    with open_sources(names, failed=lambda name, error: wrong.append((name, error))) as sources:
        files = {source: source.local for source in sources if source.local is not None}
        if len(sources) <= FEW or len(files) < len(sources):
            return None
        cache = open_cache()
        if not cache.limit or session.model(request.engine).reads_by != "text":
            return None
        for name, error in wrong:
            session.fail(name, error)
        with open_index(index_place(), session.say) as index:
            index.update(cache, lambda done, total: session.bars("index", done, total))
            there = {source: path for source, path in files.items() if session.is_there(source)}
            shelf = shelve(index, there)
            if shelf.unheard:
                hear_into(
                    session, index, shelf.unheard, request.engine, request.budget, audio_range
                )
                shelf = shelve(index, there)
            chosen = _promising(index, shelf, questions)
        heard = [source.location for source in shelf.heard.values()]
    if not chosen:
        session.say("no word of the question was said in any recording; all of them are read")
        return Choice(tuple(heard), len(heard))
    session.say(
        f"reading {len(chosen)} of {len(heard)} recordings, where most words of the question were "
        "said; --all reads every one"
    )
    return Choice(chosen, len(heard))


def _promising(index: Index, shelf: Shelf[Source], questions: Sequence[str]) -> tuple[str, ...]:
    index.want(shelf.heard)
    chosen: dict[str, None] = {}
    for question in questions:
        for number in rank(index, question)[:_READ]:
            chosen[shelf.heard[number].location] = None
    return tuple(chosen)
