"""What a person writes and reads for a size, in bytes. Knows nothing of what is measured."""

import re

from fls_models.errors import UsageError

_FORM = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([KMGT])B?", re.IGNORECASE)
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_size(text: str) -> int:
    """`500MB`, `1.5 GB`, `4G` or `0` in bytes; units are powers of 1000.

    Raises UsageError for anything else, a number without a unit included.
    """
    if text.strip() == "0":
        return 0
    if match := _FORM.fullmatch(text.strip()):
        return round(float(match[1]) * _UNITS[match[2].upper()])
    raise UsageError(f"{text!r} is not a size; write 500MB, 4GB or 0.")


def size_text(count: int, *, about: bool = False) -> str:
    """Bytes for people: in MB, or where only others know exactly about how many GB."""
    return f"about {count / 1e9:.1f} GB" if about else f"{count / 1e6:.0f} MB"
