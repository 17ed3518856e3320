"""A transcript's words as a screen needs them: harmless text, and times that only go forwards.

Times are whole milliseconds, the finest that subtitle formats know. Speech models give some words
no length, or several the same start; here every word begins after the one before it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

from fls_cli.console.text import clean
from fls_models.core.results import Sentence, Transcript

if TYPE_CHECKING:
    from budoux import Parser

# What a word ends: a sentence, a clause, or nothing but itself.
SENTENCE, CLAUSE, NO_STOP = range(3)

_CLAUSE_ENDS = tuple(",;:–—…、，；：،؛")
# Written without spaces between words, so that a line may break between any two.
_UNSPACED = frozenset({"bo", "ja", "km", "lo", "my", "th", "yue", "zh"})
# What a word without any length is given, where there is room: an ordinary one at speaking speed.
_USUAL_LENGTH = 200


@dataclass(frozen=True)
class TimedWord:
    """A word, without the space that stands before it if it is `spaced`; milliseconds.

    `breakable`: a line may begin with it. `columns` is its width on a screen. `speaker` is who says
    it, if that is known.
    """

    start: int
    end: int
    text: str
    spaced: bool
    breakable: bool
    stop: int
    columns: int
    speaker: str | None = None


@dataclass(frozen=True)
class _Said:
    start: float
    end: float
    text: str
    spaced: bool
    stop: int
    breakable: bool
    speaker: str | None = None


def columns(text: str) -> int:
    """Width on a screen: East Asian wide characters count 2, combining ones nothing."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def one_line(text: str) -> str:
    """Harmless text with single spaces for all white space."""
    return " ".join(clean(text).split())


def timed_words(
    transcript: Transcript, widest: int | None = None, *, named: bool = False
) -> list[TimedWord]:
    """All words in order, starts strictly rising, each ending before the next one starts.

    A word of more than `widest` columns is cut into several, with times by its length. If `named`,
    a speaker's name and a colon stand before the first word of theirs.
    """
    anywhere = transcript.language in _UNSPACED
    pieces = [
        piece
        for word in _words(transcript, anywhere, named)
        for piece in (_pieces(word, widest) if widest else [word])
    ]
    starts = _starts(pieces)
    bounds = [*starts, None][1:]
    return [
        TimedWord(
            start=start,
            end=_end(word, start, bound),
            text=word.text,
            spaced=word.spaced,
            breakable=word.breakable,
            stop=word.stop,
            columns=columns(word.text),
            speaker=word.speaker,
        )
        for word, start, bound in zip(pieces, starts, bounds, strict=True)
    ]


def _words(transcript: Transcript, anywhere: bool, named: bool) -> Iterator[_Said]:
    speaker = None
    for sentence in transcript.sentences:
        for word in _said(sentence, transcript.language, anywhere):
            is_new = named and word.speaker not in (None, speaker)
            speaker = word.speaker
            yield replace(word, text=f"{speaker}: {word.text}") if is_new else word


def _said(sentence: Sentence, language: str | None, anywhere: bool) -> Iterator[_Said]:
    """The words that hold anything to show; the first is set off from the sentence before."""
    words = [word for word in sentence.words if one_line(word.text)]
    whole = "".join(one_line(word.text) for word in words)
    starts = _phrase_starts(whole, language) if anywhere else frozenset[int]()
    place = 0
    for i, word in enumerate(words):
        text = one_line(word.text)
        spaced = word.text[0].isspace() or (i == 0 and not anywhere)
        last = i == len(words) - 1
        stop = SENTENCE if last else CLAUSE if text.endswith(_CLAUSE_ENDS) else NO_STOP
        begins = spaced or place in starts
        place += len(text)
        end = max(word.start, word.end)
        yield _Said(word.start, end, text, spaced, stop, begins, word.speaker)


def _phrase_starts(text: str, language: str | None) -> frozenset[int]:
    """Where a line may begin in a script without blanks: before a phrase, or anywhere where nobody
    tells these apart."""
    parser = _parser(language)
    if parser is None:
        return frozenset(range(len(text)))
    return frozenset(accumulate(map(len, parser.parse(text)), initial=0))


@cache
def _parser(language: str | None) -> Parser | None:
    import budoux

    parsers = {
        "ja": budoux.load_default_japanese_parser,
        "th": budoux.load_default_thai_parser,
        "yue": budoux.load_default_traditional_chinese_parser,
        "zh": budoux.load_default_simplified_chinese_parser,
    }
    return parsers[language]() if language in parsers else None


def _pieces(word: _Said, widest: int) -> Iterator[_Said]:
    """The word, or what it is cut into: after punctuation or a space, else where it is full."""
    rest, spaced, start, breakable = word.text, word.spaced, word.start, word.breakable
    whole = columns(word.text)
    while rest:
        cut = _cut(rest, widest)
        text, rest = rest[:cut], rest[cut:]
        end = word.end - (word.end - word.start) * columns(rest) / whole if rest else word.end
        stop = NO_STOP if rest else word.stop
        yield _Said(start, end, text.strip(), spaced, stop, breakable, word.speaker)
        breakable = True
        spaced, rest, start = text[-1].isspace() or rest[:1].isspace(), rest.lstrip(), end


def _cut(text: str, widest: int) -> int:
    width, end = 0, 0
    while end < len(text) and width + _width(text[end]) <= widest:
        width += _width(text[end])
        end += 1
    if end == len(text):
        return end
    breaks = (i for i in range(end, end // 2, -1) if _ends_something(text[i - 1]))
    return next(breaks, end)


def _ends_something(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in ("Po", "Pe", "Pf", "Pd")


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _starts(words: Sequence[_Said]) -> list[int]:
    """Starts in milliseconds; words that share one are spread over the time they have."""
    starts: list[int] = []
    for word in words:
        starts.append(max(round(word.start * 1000), starts[-1] if starts else 0))
    first = 0
    while first < len(starts):
        start = starts[first]
        after = first + 1
        while after < len(starts) and starts[after] <= start:
            after += 1
        count = after - first
        latest_end = max(round(word.end * 1000) for word in words[first:after])
        length = max(latest_end - start, count * _USUAL_LENGTH)
        if after < len(starts):
            length = max(count, min(length, starts[after] - start))
            starts[after] = max(starts[after], start + length)
        for i in range(count):
            starts[first + i] = start + i * length // count
        first = after
    return starts


def _end(word: _Said, start: int, bound: int | None) -> int:
    end = round(word.end * 1000)
    if end <= start:
        end = start + _USUAL_LENGTH
    return end if bound is None else min(end, bound)
