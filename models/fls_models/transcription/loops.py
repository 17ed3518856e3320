"""The same words again and again: said so, or a decoder that does not find its way out.

A decoder that loops is as sure of its words as one that hears them, and they compress as well. What
it lacks is time: repetitions that were said take as long as speech takes, those of a loop crowd in
moments or lie where nobody speaks, and end where the decoder may write no more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fls_models.core.results import Word

_MAX_WORDS = 20
_MIN_TIMES = 4
# Seconds below which a word has no time of its own, and of a loop's words the most that have one.
_NO_TIME = 0.02
_MAX_TIMELESS = 0.3
# Nobody says a letter faster, or anything at all.
_SECONDS_A_LETTER = 0.03
_MIN_SECONDS = 0.1

Item = TypeVar("Item")


@dataclass(frozen=True)
class Run:
    """Words `first` to `end` are so many `times` the same."""

    first: int
    end: int
    times: int


def without_loops(
    items: Sequence[Item], texts: Sequence[str], is_loop: Callable[[Run], bool]
) -> list[Item]:
    """The items whose texts are not repeated by a loop: of that, the first time."""
    rest: list[Item] = []
    done = 0
    for run in runs(texts):
        if is_loop(run):
            rest += items[done : run.first + (run.end - run.first) // run.times]
            done = run.end
    return [*rest, *items[done:]]


def runs(texts: Sequence[str]) -> Iterator[Run]:
    """Four or more repetitions in a row of the same 1 to 20 words, whatever their punctuation."""
    plain = [text.strip(" .,;:!?…、。！？").lower() for text in texts]
    first = 0
    while first < len(plain):
        for n in range(1, _MAX_WORDS + 1):
            times = 1
            while plain[first + times * n : first + (times + 1) * n] == plain[first : first + n]:
                times += 1
            if times >= _MIN_TIMES:
                yield Run(first, first + times * n, times)
                first += times * n
                break
        else:
            first += 1


def have_time(words: Sequence[Word], times: int, speech: Sequence[tuple[float, float]]) -> bool:
    """Whether words that are said so many times were said: by their times, and where speech is."""
    timeless = sum(word.end - word.start <= _NO_TIME for word in words)
    if timeless > _MAX_TIMELESS * len(words):
        return False
    begin, end = words[0].start, words[-1].end
    seconds = sum(max(0.0, min(end, b) - max(begin, a)) for a, b in speech)
    return fits([word.text for word in words], times, seconds)


def fits(texts: Sequence[str], times: int, seconds: float) -> bool:
    """Whether someone can say so much in so many seconds."""
    letters = sum(character.isalnum() for text in texts for character in text)
    return seconds >= max(letters * _SECONDS_A_LETTER, times * _MIN_SECONDS)
