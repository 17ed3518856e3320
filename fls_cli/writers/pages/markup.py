"""The small parts that pages are made of: texts made harmless, times, buttons that play."""

from __future__ import annotations

import html
from collections.abc import Iterable

from fls_cli.console.text import clean
from fls_models.core.results import Span
from fls_models.core.timestamps import clock_time, whole_seconds


def escaped(text: str) -> str:
    """Text from a recording, a question or a file's name: it stays text wherever it is put."""
    return html.escape(clean(text).strip())


def clocks(span: Span) -> tuple[str, str]:
    """Where a span starts and ends, in whole seconds that hold all of it."""
    start, end = whole_seconds(span)
    return clock_time(start), clock_time(end)


def stretch(span: Span, offset: float) -> str:
    """The attributes by which the page's script knows what to play: seconds of its own audio."""
    start, end = (max(0.0, time - offset) for time in (span.start, span.end))
    return f'data-start="{start:.2f}" data-end="{end:.2f}" data-name="{" to ".join(clocks(span))}"'


def play_button(span: Span, offset: float) -> str:
    """A button that plays a stretch of the recording and stops at its end."""
    start, end = clocks(span)
    return (
        f'<button type="button" class="play" {stretch(span, offset)} '
        f'aria-label="Play {start} to {end}">{start}-{end}</button>'
    )


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of names and values."""
    rows = "\n".join(
        f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in pairs
    )
    return f"<dl>\n{rows}\n</dl>"


def counted(count: int, noun: str) -> str:
    """
    >>> counted(1, "pass"), counted(12000, "frame")
    ('1 pass', '12,000 frames')
    """
    ending = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{'' if count == 1 else ending}"
