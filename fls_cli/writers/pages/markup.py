"""The small parts that pages are made of: times, stretches that play, counts."""

from markupsafe import Markup

from fls_models.core.results import Span
from fls_models.core.timestamps import clock_time, whole_seconds


def clocks(span: Span) -> tuple[str, str]:
    """Where a span starts and ends, in whole seconds that hold all of it."""
    start, end = whole_seconds(span)
    return clock_time(start), clock_time(end)


def play_attributes(span: Span, offset: float) -> Markup:
    """The attributes by which the page's script knows what to play: seconds of its own audio."""
    start, end = (max(0.0, time - offset) for time in (span.start, span.end))
    name = " to ".join(clocks(span))
    return Markup(f'data-start="{start:.2f}" data-end="{end:.2f}" data-name="{name}"')


def counted(count: int, noun: str) -> str:
    """
    >>> counted(1, "pass"), counted(12000, "frame")
    ('1 pass', '12,000 frames')
    """
    ending = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{'' if count == 1 else ending}"
