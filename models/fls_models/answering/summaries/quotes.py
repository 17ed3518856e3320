"""A recording in its own words: nothing is written, so that nothing can be wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from fls_models.answering.readers.text import ModelInput, Reader
from fls_models.answering.summaries.specifics import most_specific
from fls_models.answering.summaries.writing import in_order, quotation
from fls_models.core.results import Statement
from fls_models.core.text.exact import ExactWords


@dataclass(frozen=True)
class Quotes:
    """Quotes what is most specific (`specifics`)."""

    exact: ExactWords

    def topic(
        self, reader: Reader, readings: Sequence[ModelInput], count: int
    ) -> tuple[str, list[Statement]]:
        """No title, and the phrases word for word, in the order in which they are said."""
        phrases = [phrase for reading in readings for phrase in reading.phrases]
        found = most_specific(phrases, self.exact)[:count]
        return "", in_order(map(quotation, found))
