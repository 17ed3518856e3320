"""A transcript as passages: what is found, and shown, as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fls_models.core.results import Sentence, Transcript

# Words and seconds that a passage has at most, unless a sentence has more by itself.
_WORDS, _SECONDS = 60, 45.0
# A sentence this short stands in the next passage, too: what is looked for may lie across.
_SHARED = 20


@dataclass(frozen=True)
class SpokenPassage:
    """Sentences in a row: from when to when, in seconds, and what is said."""

    start: float
    end: float
    text: str


def passages_of(transcript: Transcript) -> Iterator[SpokenPassage]:
    """Passages in order; a short sentence between two is in both."""
    sentences = [sentence for sentence in transcript.sentences if sentence.text]
    first = 0
    while first < len(sentences):
        stop = first + 1
        while stop < len(sentences) and _fits(sentences[first : stop + 1]):
            stop += 1
        together = sentences[first:stop]
        text = " ".join(sentence.text for sentence in together)
        yield SpokenPassage(together[0].start, together[-1].end, text)
        is_shared = stop - first > 1 and stop < len(sentences) and _count(together[-1]) < _SHARED
        first = stop - is_shared


def _fits(sentences: list[Sentence]) -> bool:
    seconds = sentences[-1].end - sentences[0].start
    return seconds <= _SECONDS and sum(map(_count, sentences)) <= _WORDS


def _count(sentence: Sentence) -> int:
    return len(sentence.words)
