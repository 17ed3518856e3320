"""Word by word alignment of two texts, by jiwer."""

from collections.abc import Sequence
from typing import Any

from fls_models.core.optional import optional

# Not when the first words are counted: hours of hearing may lie before that.
_jiwer = optional("jiwer", "Counting word errors")


def align(references: Sequence[str], hypotheses: Sequence[str]) -> Any:
    """jiwer's `WordOutput` of all texts together: `substitutions`, `deletions` and so on, `wer`.

    Both sides are split at spaces, and compared as they are.
    """
    return _jiwer.process_words(list(references), list(hypotheses))
