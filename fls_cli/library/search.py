"""Passages for what somebody looks for, best first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from fls_cli.library.index import Index
from fls_cli.library.passages import SpokenPassage
from fls_cli.library.query import Query
from fls_cli.media.fingerprint import digest_of

_T = TypeVar("_T")
# Passages that are looked at for one that is shown: neighbours share sentences.
_AROUND = 3


@dataclass(frozen=True)
class Hit(Generic[_T]):
    """A passage of a source; `match` says what of the query it has: `all`, `spelling`, `some`, or
    its `meaning`."""

    source: _T
    passage: SpokenPassage
    match: str


@dataclass(frozen=True)
class Shelf(Generic[_T]):
    """Sources that are in the index, by the numbers of their recordings there, and others."""

    heard: Mapping[int, _T]
    unheard: Sequence[_T]


def shelve(
    index: Index, sources: Mapping[_T, Path], digest: Callable[[Path], str] = digest_of
) -> Shelf[_T]:
    """Which of some sources, each with its file, the index knows."""
    audio = index.audio_of(sources.values(), digest)
    numbers = index.recordings_of(audio.values())
    heard: dict[int, _T] = {}
    unheard: list[_T] = []
    for source, path in sources.items():
        number = numbers.get(audio.get(path, ""))
        if number is None:
            unheard.append(source)
        else:
            heard.setdefault(number, source)
    return Shelf(heard, unheard)


def find(
    index: Index, shelf: Shelf[_T], query: Query, most: int, *, some: bool = True
) -> list[Hit[_T]]:
    """At most so many passages: those that have all words, then those that have them in another
    spelling, then those that have `some` of them; among equals by BM25."""
    index.want(shelf.heard)
    hits: list[Hit[_T]] = []
    for match, expression in _expressions(index, query, some=some):
        for found in index.search(expression, most * _AROUND):
            if len(hits) == most:
                return hits
            source = shelf.heard[found.recording]
            if is_new(hits, source, found.passage):
                hits.append(Hit(source, found.passage, match))
    return hits


def _expressions(index: Index, query: Query, *, some: bool) -> Iterator[tuple[str, str]]:
    """What is looked for in turn, made when its turn comes."""
    from fls_cli.library.spelling import Spellings

    yield "all", query.all_of()
    spellings = Spellings(index.vocabulary())
    yield "spelling", query.all_of(spellings)
    if some and len(query.groups) > 1:
        yield "some", query.any_of(spellings)


def is_new(hits: Sequence[Hit[_T]], source: _T, passage: SpokenPassage) -> bool:
    """Whether no hit has some of a passage of a source."""
    return not any(
        hit.source == source and hit.passage.start < passage.end and passage.start < hit.passage.end
        for hit in hits
    )
