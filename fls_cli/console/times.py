"""What a person writes for a time, in seconds. Knows nothing of recordings."""

import re

from fls_models.errors import UsageError

_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_SIXTIES = r"[0-5]?[0-9]"
_FRACTION = r"(?:\.[0-9]{1,9})?"
_FORMS = [
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?P<s>{_NUMBER})",
        rf"(?P<m>[0-9]{{1,6}}):(?P<s>{_SIXTIES}{_FRACTION})",
        rf"(?P<h>[0-9]{{1,6}}):(?P<m>{_SIXTIES}):(?P<s>{_SIXTIES}{_FRACTION})",
        rf"(?=.)(?:(?P<h>{_NUMBER})h)?(?:(?P<m>{_NUMBER})m)?(?:(?P<s>{_NUMBER})s)?",
    )
]
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def parse_time(text: str) -> float:
    """`1:02:03`, `2:03`, `90`, `90s`, `1m30s` or `1h` in seconds, at least 0.

    Raises UsageError for anything else, a sign and an exponent included.
    """
    for form in _FORMS:
        if match := form.fullmatch(text.strip()):
            return sum(
                float(value) * _SECONDS[unit] for unit, value in match.groupdict().items() if value
            )
    raise UsageError(f"{text!r} is not a time; write 90, 90s, 1m30s, 2:03 or 1:02:03.")
