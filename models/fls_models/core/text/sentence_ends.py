"""Where sentences of prose end that is still being written."""

import re
from collections.abc import Iterator
from itertools import pairwise

from fls_models.core.text.abbreviations import leans_on_next

# A full stop counts once something follows it: "3.5" and "Dr." at the end of a piece do not.
_END = re.compile(r"[^\W_]{2}[)\"'”’]?[.!?…][)\"'”’]*\s+|[。！？]|\n\n")


def sentence_ends(text: str) -> Iterator[int]:
    """Behind each sentence, and the space after it, that is over."""
    for end in _END.finditer(text):
        words = text[: end.end()].split()
        if not (words[-1].endswith(".") and leans_on_next(words[-1])):
            yield end.end()


def sentences_of(text: str) -> list[str]:
    """The sentences of prose, the last of which may go on."""
    ends = [0, *sentence_ends(text), len(text)]
    cut = (text[start:end].strip() for start, end in pairwise(ends))
    return [sentence for sentence in cut if sentence]
