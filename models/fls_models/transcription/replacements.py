"""Words that are written otherwise than they were heard, by rules of the user's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from fls_models.core.results import Sentence, Word

# The first letter of the scripts of East Asia, which have no blanks.
_WITHOUT_BLANKS = 0x2E80


@dataclass(frozen=True)
class Replacements:
    """Pairs: what is written, whatever its capitals, and what is to stand there instead.

    All are looked for at once, the longest first, and what was replaced is not looked at again: so
    they never run in circles. An end that is a letter or a digit is one of a word.
    """

    pairs: tuple[tuple[str, str], ...]

    def __call__(self, sentence: Sentence) -> Sentence | None:
        """The sentence with what is to stand there; None if nothing is left of it.

        What replaces words has their time, each of its own words by its length.
        """
        words, text = sentence.words, "".join(word.text for word in sentence.words)
        begins = [0, *accumulate(len(word.text) for word in words)]
        matches = [found for found in self._pattern.finditer(text) if found[0].strip()]
        if not matches:
            return sentence
        result: list[Word] = []
        place = 0
        for first, end, own in _by_words(matches, begins):
            result += words[place:first]
            new, at = "", begins[first]
            for found in own:
                assert found.lastindex is not None
                new += text[at : found.start()] + self._longest_first[found.lastindex - 1][1]
                at = found.end()
            result += _spread(new + text[at : begins[end]], words[first:end])
            place = end
        result += words[place:]
        return replace(sentence, words=tuple(result)) if result else None

    @cached_property
    def _longest_first(self) -> list[tuple[str, str]]:
        return sorted(self.pairs, key=lambda pair: len(pair[0]), reverse=True)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        expressions = (f"({_expression(wrong)})" for wrong, _ in self._longest_first)
        return re.compile("|".join(expressions), re.IGNORECASE)


def _by_words(
    matches: Sequence[re.Match[str]], begins: Sequence[int]
) -> Iterator[tuple[int, int, list[re.Match[str]]]]:
    """The words `first` to `end` that are touched, and by which matches."""
    groups: list[tuple[int, int, list[re.Match[str]]]] = []
    for found in matches:
        first = max(at for at, begin in enumerate(begins) if begin <= found.start())
        end = min(at for at, begin in enumerate(begins) if begin >= found.end())
        if groups and first < groups[-1][1]:
            before, _, own = groups.pop()
            groups.append((before, end, [*own, found]))
        else:
            groups.append((first, end, [found]))
    yield from groups


def _expression(wrong: str) -> str:
    """Any blanks between words, and at both ends a word's, but for scripts without blanks."""
    inner = r"\s+".join(map(re.escape, wrong.split()))
    before = r"(?<!\w)" if _has_ends(wrong[0]) else ""
    behind = r"(?!\w)" if _has_ends(wrong[-1]) else ""
    return before + inner + behind


def _has_ends(letter: str) -> bool:
    return letter.isalnum() and ord(letter) < _WITHOUT_BLANKS


def _spread(text: str, words: Sequence[Word]) -> list[Word]:
    """A text in the time of words; nothing where it is punctuation alone."""
    if not any(letter.isalnum() for letter in text):
        return []
    parts = re.findall(r"\s*\S+", text)
    start, length = words[0].start, words[-1].end - words[0].start
    ends = [start + length * end / len(text) for end in accumulate(map(len, parts))]
    return [
        replace(words[0], start=round(begin, 3), end=round(end, 3), text=part)
        for part, begin, end in zip(parts, [start, *ends], ends, strict=False)
    ]
