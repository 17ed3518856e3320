"""Subtitle cues: which words are on the screen from when to when, and in which lines.

Where a transcript is cut is the cheapest of all ways that fit: sentences end cues, commas and
pauses are the next best places, a cue too short to read is the worst.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import inf

from fls_cli.writers.transcripts.timed_words import (
    CLAUSE,
    NO_STOP,
    SENTENCE,
    TimedWord,
    timed_words,
)
from fls_models.core.results import Transcript

# As Netflix asks for (Timed Text Style Guide, general requirements): 42 columns, two lines, at
# least five sixths of a second, at most seven, two frames between cues.
SHORTEST, JUST_SEEN = 1000, 834
LONGEST = 7000
GAP = 84
# How far a cue may stay on the screen after its last word, and what people read a second.
_LINGER = 1500
_COLUMNS_READ = 17
# Silence that shows: a cue should not, or never, hold it.
_PAUSE = 500
_LONG_PAUSE = 2000

# By `TimedWord.stop`: what it costs to end a cue, or only a line, after such a word.
_CUE_ENDS = {SENTENCE: 0.0, CLAUSE: 0.6, NO_STOP: 3.0}
_LINE_ENDS = {SENTENCE: 0.0, CLAUSE: 0.1, NO_STOP: 0.4}
_EACH_CUE = 1.0
_INNER_SENTENCE_END = 1.5
_INNER_PAUSE = 1.5
_TOO_SHORT = 4.0
_MID_WORD = 6.0

Line = tuple[TimedWord, ...]


@dataclass(frozen=True)
class Screen:
    """How wide a line may be, in columns, and how many lines a cue may have."""

    columns: int = 42
    lines: int = 2


SCREEN = Screen()


@dataclass(frozen=True)
class Cue:
    """Lines and when they show, in milliseconds."""

    start: int
    end: int
    lines: tuple[Line, ...]

    @property
    def speaker(self) -> str | None:
        return self.lines[0][0].speaker

    @property
    def text(self) -> str:
        return "\n".join(line_text(line) for line in self.lines)


def line_text(line: Line) -> str:
    """The words of a line as they are read."""
    return "".join((" " if i and word.spaced else "") + word.text for i, word in enumerate(line))


def cues(transcript: Transcript, screen: Screen = SCREEN, *, named: bool = False) -> list[Cue]:
    """Cues that fit a screen and last at most 7 s, in order, none overlapping the next.

    Every word is in exactly one. A cue lasts at least 1 s wherever the next word leaves room, and
    ends two frames before the next one where it then lasts long enough. Each is of one speaker; if
    `named`, those begin with the name with whom the speaker changes.
    """
    words = timed_words(transcript, screen.columns, named=named)
    end_of_all = round(transcript.duration * 1000)
    cuts = _cuts(words, end_of_all, screen)
    return [_cue(words, first, last, end_of_all, screen) for first, last in pairwise(cuts)]


def _cue(words: Sequence[TimedWord], first: int, last: int, end_of_all: int, screen: Screen) -> Cue:
    cue_words = words[first:last]
    start, end = cue_words[0].start, cue_words[-1].end
    following = words[last].start if last < len(words) else max(end, end_of_all)
    reading_time = max(SHORTEST, sum(word.columns for word in cue_words) * 1000 // _COLUMNS_READ)
    end = max(end, min(start + reading_time, end + _LINGER))
    if last < len(words) and following - end < GAP and following - GAP - start >= JUST_SEEN:
        end = following - GAP
    return Cue(start, min(end, following, start + LONGEST), _lines(cue_words, screen))


def _cuts(words: Sequence[TimedWord], end_of_all: int, screen: Screen) -> list[int]:
    """Where cues begin, and the end: the cheapest way through, word by word."""
    count = len(words)
    cost = [0.0] + [inf] * count
    came_from = [0] * (count + 1)
    fills = _fills(words, screen.columns)
    for first in range(count):
        inner = 0.0
        for last in range(first + 1, _full(first, fills, screen.lines) + 1):
            end = words[last - 1].end
            if last > first + 1:
                gap = words[last - 1].start - words[last - 2].end
                if words[last - 1].speaker != words[first].speaker:
                    break
                if gap > _LONG_PAUSE or end - words[first].start > LONGEST:
                    break
                inner += _INNER_PAUSE * (gap > _PAUSE)
                inner += _INNER_SENTENCE_END * (words[last - 2].stop == SENTENCE)
            total = cost[first] + inner + _ending(words, first, last, end_of_all)
            if total < cost[last]:
                cost[last], came_from[last] = total, first
    cuts = [count]
    while cuts[-1]:
        cuts.append(came_from[cuts[-1]])
    return cuts[::-1]


def _ending(words: Sequence[TimedWord], first: int, last: int, end_of_all: int) -> float:
    """What it costs to make a cue of words[first:last], but for what lies inside it."""
    end = words[last - 1].end
    cost = _EACH_CUE + _CUE_ENDS[words[last - 1].stop]
    following = max(end, end_of_all)
    if last < len(words):
        following = words[last].start
        cost *= 0.5 if following - end > _PAUSE else 1.0
        cost += 0.0 if words[last].breakable else _MID_WORD
    room = min(following, end + _LINGER) - words[first].start
    return cost + _TOO_SHORT * max(0.0, 1 - room / SHORTEST)


def _fills(words: Sequence[TimedWord], width: int) -> list[int]:
    """For each word: the index after the last one that fits into a line beginning with it."""
    spaces = [int(word.spaced) for word in words]
    ends = [0, *accumulate(word.columns + space for word, space in zip(words, spaces, strict=True))]
    fills = [bisect_right(ends, ends[i] + space + width) - 1 for i, space in enumerate(spaces)]
    return [*fills, len(words)]


def _full(first: int, fills: Sequence[int], lines: int) -> int:
    """The index after the last word that fits into so many lines, the first of which begins so."""
    for _ in range(lines):
        first = fills[first]
    return first


def _lines(words: Sequence[TimedWord], screen: Screen) -> tuple[Line, ...]:
    """As few as they fit into: balanced, broken at a comma rather than elsewhere."""
    fills = _fills(words, screen.columns)
    count = next(n for n in range(1, screen.lines + 1) if _full(0, fills, n) == len(words))
    lines: list[Line] = []
    first = 0
    for left in range(count, 1, -1):
        options = [
            place
            for place in range(first + 1, fills[first] + 1)
            if _full(place, fills, left - 1) == len(words)
        ]
        costs = [_break_cost(words, first, place, left, screen.columns) for place in options]
        best = options[costs.index(min(costs))]
        lines.append(tuple(words[first:best]))
        first = best
    return (*lines, tuple(words[first:]))


def _break_cost(
    words: Sequence[TimedWord], first: int, place: int, lines: int, columns: int
) -> float:
    """What it costs to end the first of so many lines before a word."""
    above, below = (
        sum(word.columns + word.spaced for word in part)
        for part in (words[first:place], words[place:])
    )
    cost = abs(above - below / (lines - 1)) / columns + _LINE_ENDS[words[place - 1].stop]
    return cost + (0.0 if words[place].breakable else _MID_WORD)
