"""Passages that say what is looked for in other words, fused with those that have its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from fls_cli.library.index import Found, Index
from fls_cli.library.query import Query
from fls_cli.library.search import Hit, Shelf, is_new
from fls_cli.session.session import Session
from fls_cli.storage.paths import cache_folder
from fls_models.core.progress import Progress, ignore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Encode = Callable[[Sequence[str]], NDArray[np.float32]]

_T = TypeVar("_T")
_PART = "all-minilm-l6-v2"
# Passages whose meanings are kept at a time: an interrupted run goes on there.
_AT_ONCE = 64
# From here on (cosine) two texts are about the same: what nothing answers reached 0.29.
_LEAST = 0.3
# Reciprocal rank fusion as it was proposed: Cormack, Clarke and Buettcher, SIGIR 2009.
_RANK = 60


def load_encoder(session: Session) -> Encode:
    """What tells the meaning of texts, fetched once; raises what `fetch_parts` does, and
    WeightsMissing with --offline."""
    from fls_models.errors import WeightsMissing
    from fls_models.transcription.meaning.encoder import MeaningEncoder
    from fls_models.weights.card import part
    from fls_models.weights.store import fetch_parts, folder, is_installed

    wanted, cache = part(_PART), cache_folder()
    size = f"{wanted.bytes / 1e6:.0f} MB"
    if not is_installed(wanted, cache):
        way_out = f"without --meaning words are found; {wanted.what} is {size}"
        if session.offline:
            raise WeightsMissing(f"What tells meanings is not here yet, and --offline; {way_out}.")
        session.say(f"downloading {wanted.what}: {size}, once")
        fetch_parts([wanted], cache, session.bars, way_out)
    return MeaningEncoder(folder(wanted, cache)).encode


def find_meant(
    index: Index, encode: Encode, query: Query, most: int, progress: Progress = ignore
) -> list[Found]:
    """At most so many passages of wanted recordings (`Index.want`) that mean about what is looked
    for, nearest first; meanings that are not known yet are kept for the next time."""
    import numpy as np

    new = index.unread()
    for first in range(0, len(new), _AT_ONCE):
        some = new[first : first + _AT_ONCE]
        vectors = encode([said for _, said in some]).astype(np.float16)
        index.note_meanings(
            (vector.tobytes(), *passage) for passage, vector in zip(some, vectors, strict=True)
        )
        progress("meaning", min(first + _AT_ONCE, len(new)), len(new))
    known = index.meanings()
    if not known:
        return []
    [wanted] = encode([query.words])
    table = np.frombuffer(b"".join(vector for _, vector in known), np.float16)
    likeness = table.reshape(len(known), -1).astype(np.float32) @ wanted
    excluded = index.numbers(query.none_of()) if query.excluded else set()
    nearest = (
        known[place][0]
        for place in np.argsort(-likeness, kind="stable")
        if likeness[place] >= _LEAST and known[place][0] not in excluded
    )
    return index.passages(list(islice(nearest, most)))


def fused(
    hits: Sequence[Hit[_T]], meant: Sequence[Found], shelf: Shelf[_T], most: int
) -> list[Hit[_T]]:
    """Passages found by words and such found by meaning, best first: what both have counts twice.

    A passage's score is the sum over the lists of 1 / (60 + its rank).
    """
    others = [Hit(shelf.heard[found.recording], found.passage, "meaning") for found in meant]
    scores: dict[tuple[_T, float], float] = {}
    first: dict[tuple[_T, float], Hit[_T]] = {}
    for ranked in (hits, others):
        for rank, hit in enumerate(ranked, 1):
            place = hit.source, hit.passage.start
            scores[place] = scores.get(place, 0.0) + 1 / (_RANK + rank)
            first.setdefault(place, hit)
    best: list[Hit[_T]] = []
    for place in sorted(scores, key=lambda each: -scores[each]):
        hit = first[place]
        if is_new(best, hit.source, hit.passage):
            best.append(hit)
    return best[:most]
