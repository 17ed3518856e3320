"""Times in a recording as people read them."""

from math import ceil, floor

from fls_models.core.results import Span


def clock_time(seconds: float) -> str:
    """`12:31`, and `1:02:31` from an hour on; cut off to whole seconds.

    >>> clock_time(751.9), clock_time(3751)
    ('12:31', '1:02:31')
    """
    minutes, second = divmod(floor(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def whole_seconds(span: Span) -> tuple[int, int]:
    """The whole seconds that hold all of a span; its times count to the hundredth."""
    return floor(span.start), ceil(round(span.end, 2))
