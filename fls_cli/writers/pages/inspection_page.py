"""What the extractor made of a recording: its timeline, and the words that the CTC head reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from fls_cli.writers.pages.markup import counted, definitions, escaped, play_button
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
    main = f"""<section aria-labelledby="along">
<h2 id="along">Along the recording</h2>
{timeline(Span(inspection.start, inspection.end), heard=inspection, offset=inspection.start)}
</section>
<section class="words" aria-labelledby="words">
<h2 id="words">What the CTC head reads</h2>
{_draft(inspection)}
</section>
<section class="made" aria-labelledby="made">
<h2 id="made">How this was made</h2>
{_made(inspection)}
</section>"""
    return page(
        title=f"{name}, inspected",
        name=name,
        about="What the extractor made of this recording, drawn with fls.",
        main=main,
        audio=audio,
        offset=inspection.start,
    )


def _draft(inspection: Inspection) -> str:
    if not inspection.has_head:
        return "<p>This model has no CTC head.</p>"
    if not inspection.words:
        return "<p>It reads no words here: none are said, or its vocabulary is not at hand.</p>"
    items = "\n".join(
        f"<li>{play_button(Span(line[0].start, line[-1].end), inspection.start)} "
        f'<span dir="auto">{escaped("".join(word.text for word in line))}</span></li>'
        for line in _lines(inspection.words)
    )
    return f"""<p class="hint">A rough draft: the head is there to weigh frames, and spells what \
it hears on the way. No language model has read it.</p>
<ol class="draft">
{items}
</ol>"""


def _lines(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Words in lines that end at a pause, at a short one when they are long, or when too long."""
    line = [words[0]]
    for before, word in pairwise(words):
        silence = _PAUSE if before.end - line[0].start < _LONG else _BREATH
        if word.start - before.end > silence or word.end - line[0].start > _LONGEST:
            yield line
            line = []
        line.append(word)
    yield line


def _made(inspection: Inspection) -> str:
    before, after = inspection.frames_before, inspection.frames_after
    ratio = f" ({before / after:.1f} to 1)" if after else ""
    return definitions(
        [
            ("Model", inspection.model),
            ("Budget", inspection.budget),
            ("Frames", f"{before:,} before fusion, {after:,} after{ratio}"),
            ("Passes", f"{counted(len(inspection.sections), 'pass')} of the language model"),
        ]
    )
