"""What a search found, as text and as JSON."""

from __future__ import annotations

from typing import Any

from fls_cli.library.search import Hit, Shelf
from fls_cli.media.source import Source
from fls_cli.writers.exact_names import json_line
from fls_cli.writers.results import between
from fls_cli.writers.transcripts.timed_words import one_line
from fls_models.core.results import Span

SCHEMA = "fls.search/1"


def hit_line(hit: Hit[Source]) -> str:
    """`talk.mp4 [0:22-0:31] what is said there`."""
    span = Span(hit.passage.start, hit.passage.end)
    return f"{hit.source.name} [{between(span)}] {one_line(hit.passage.text)}\n"


def hits_json(query: str, hits: list[Hit[Source]], shelf: Shelf[Source]) -> str:
    """The public form, schema `fls.search/1`."""
    payload: dict[str, Any] = {
        "schema": SCHEMA,
        "query": query,
        "passages": [
            {
                "source": hit.source.name,
                "start": round(hit.passage.start, 2),
                "end": round(hit.passage.end, 2),
                "match": hit.match,
                "text": one_line(hit.passage.text),
            }
            for hit in hits
        ],
        "sources": [source.name for source in shelf.heard.values()],
        "unheard": [source.name for source in shelf.unheard],
    }
    exact = {source.name: source.location for source in [*shelf.heard.values(), *shelf.unheard]}
    return json_line(payload, exact)
