"""One spelling for what was said, for scoring: Whisper's English normaliser of transformers.

It drops hesitations and what stands in brackets, writes contractions and titles out and numbers in
digits. Its mapping of British to American spellings comes in no package that is installed here, so
it is empty: `colour` and `color` are two words.
"""

from functools import cache
from typing import Any


def normalise(text: str) -> str:
    """Words in one spelling, separated by single spaces; none of what holds only hesitations."""
    # Whisper's knows contractions by the plain apostrophe only, and leaves a stop of "wait...".
    words = _normalizer()(text.replace("’", "'")).split()
    return " ".join(word for word in words if any(letter.isalnum() for letter in word))


@cache
def _normalizer() -> Any:
    # Loaded late: the command line's help imports what imports this.
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    return EnglishTextNormalizer({})  # type: ignore[no-untyped-call]
