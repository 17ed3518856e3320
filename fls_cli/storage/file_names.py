"""What a file may be called."""

import os
import re

# In bytes, on all common file systems.
LONGEST = 255
# What separates folders somewhere, or is a wildcard or a redirection to some shell.
_SPECIAL = re.compile(r'[/\\:*?"<>|]')


def safe_name(text: str) -> str:
    """`text` as the name of a visible file; "" when nothing of it can be kept.

    One line, no separators, at most 255 bytes, of which a short suffix is not cut off.
    """
    name = "".join(letter if letter.isprintable() else "_" for letter in text)
    name = _SPECIAL.sub("_", name).strip(" .")
    stem, suffix = os.path.splitext(name)
    return fitted(stem, suffix) if len(os.fsencode(suffix)) <= 16 else fitted(name, "")


def fitted(name: str, ending: str) -> str:
    """`name` and `ending`, the name cut after a whole character so that both are 255 bytes."""
    room = LONGEST - len(os.fsencode(ending))
    name = name[:room]
    while len(os.fsencode(name)) > room:
        name = name[:-1]
    return name + ending
