"""Text that a terminal survives, whatever it holds."""

import re

# C0 without tab and newline, DEL, C1 (which holds one-byte escape sequences), the characters that
# reorder what follows them, and halves of surrogate pairs, which no encoder takes.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """Text without control characters (newline and tab stay) and bidirectional overrides.

    Works character by character, so that a stream may be cleaned piece by piece.
    """
    return _UNSAFE.sub("", text)


def printable(text: str) -> str:
    """`text` on one line and harmless on a terminal: `?` for what does not print."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
