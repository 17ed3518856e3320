"""What the extractor made of a recording: its timeline, and the words that the CTC head reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from fls_cli.writers.pages.markup import counted
from fls_cli.writers.pages.page import page
from fls_cli.writers.pages.timeline import timeline
from fls_models.core.results import Span, Word

if TYPE_CHECKING:
    from fls_models.extractor.inspection.inspection import Inspection

# Seconds: a silence that ends a line, one that ends a line that is long already, and how long it is
# then; how long a line may last.
_PAUSE = 0.8
_BREATH, _LONG = 0.3, 8.0
_LONGEST = 15.0


def inspection_page(inspection: Inspection, *, name: str, audio: bytes) -> str:
    """A page that needs nothing but itself.

    `audio` is the MP3 (see `page_audio`) of the stretch that was inspected, `name` the recording's.
    """
    before, after = inspection.frames_before, inspection.frames_after
    ratio = f" ({before / after:.1f} to 1)" if after else ""
    span = Span(inspection.start, inspection.end)
    return page(
        "inspection.html",
        title=f"{name}, inspected",
        name=name,
        about="What the extractor made of this recording, drawn with fls.",
        timeline=timeline(span, inspection=inspection, offset=inspection.start),
        has_head=inspection.has_head,
        lines=[
            (Span(line[0].start, line[-1].end), "".join(word.text for word in line))
            for line in _lines(inspection.words)
        ],
        facts=[
            ("Model", inspection.model),
            ("Budget", inspection.budget),
            ("Frames", f"{before:,} before fusion, {after:,} after{ratio}"),
            ("Passes", f"{counted(len(inspection.sections), 'pass')} of the language model"),
        ],
        audio=audio,
        offset=inspection.start,
    )


def _lines(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Words in lines that end at a pause, at a short one when they are long, or when too long."""
    line = list(words[:1])
    for before, word in pairwise(words):
        silence = _PAUSE if before.end - line[0].start < _LONG else _BREATH
        if word.start - before.end > silence or word.end - line[0].start > _LONGEST:
            yield line
            line = []
        line.append(word)
    if line:
        yield line
