"""Subtitle cues: which words are on the screen from when to when, and in which lines.

Where a transcript is cut is the cheapest of all ways that fit: sentences end cues, commas and
pauses are the next best places, a cue too short to read is the worst.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import inf

from fls_cli.writers.timed_words import CLAUSE, NO_STOP, SENTENCE, TimedWord, timed_words
from fls_models.core.results import Transcript

MAX_COLUMNS = 42
SHORTEST = 1000
LONGEST = 7000
# How far a cue may stay on the screen after its last word, and what people read a second.
_LINGER = 1000
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
class Cue:
    """One or two lines and when they show, in milliseconds."""

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


def cues(transcript: Transcript, *, named: bool = False) -> list[Cue]:
    """Cues of at most two lines of 42 columns and 7 s, in order, none overlapping the next.

    Every word is in exactly one. A cue lasts at least 1 s wherever the next word leaves room. Each
    is of one speaker; if `named`, those begin with the name with whom the speaker changes.
    """
    words = timed_words(transcript, MAX_COLUMNS, named=named)
    end_of_all = round(transcript.duration * 1000)
    cuts = _cuts(words, end_of_all)
    return [_cue(words, first, last, end_of_all) for first, last in pairwise(cuts)]


def _cue(words: Sequence[TimedWord], first: int, last: int, end_of_all: int) -> Cue:
    cue_words = words[first:last]
    start, end = cue_words[0].start, cue_words[-1].end
    following = words[last].start if last < len(words) else max(end, end_of_all)
    reading_time = max(SHORTEST, sum(word.columns for word in cue_words) * 1000 // _COLUMNS_READ)
    end = max(end, min(start + reading_time, end + _LINGER))
    return Cue(start, min(end, following, start + LONGEST), _lines(cue_words))


def _cuts(words: Sequence[TimedWord], end_of_all: int) -> list[int]:
    """Where cues begin, and the end: the cheapest way through, word by word."""
    count = len(words)
    cost = [0.0] + [inf] * count
    came_from = [0] * (count + 1)
    fills = _fills(words)
    for first in range(count):
        inner = 0.0
        for last in range(first + 1, fills[fills[first]] + 1):
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


def _fills(words: Sequence[TimedWord]) -> list[int]:
    """For each word: the index after the last one that fits into a line beginning with it."""
    spaces = [int(word.spaced) for word in words]
    ends = [0, *accumulate(word.columns + space for word, space in zip(words, spaces, strict=True))]
    fills = [
        bisect_right(ends, ends[i] + space + MAX_COLUMNS) - 1 for i, space in enumerate(spaces)
    ]
    return [*fills, len(words)]


def _lines(words: Sequence[TimedWord]) -> tuple[Line, ...]:
    """One line if they fit, else two: balanced, broken at a comma rather than elsewhere."""
    fills = _fills(words)
    if fills[0] == len(words):
        return (tuple(words),)
    options = [k for k in range(1, fills[0] + 1) if fills[k] == len(words)]
    best = min(options, key=lambda k: _break_cost(words, k))
    return tuple(words[:best]), tuple(words[best:])


def _break_cost(words: Sequence[TimedWord], k: int) -> float:
    above, below = (sum(w.columns + w.spaced for w in part) for part in (words[:k], words[k:]))
    cost = abs(above - below) / MAX_COLUMNS + _LINE_ENDS[words[k - 1].stop]
    return cost + (0.0 if words[k].breakable else _MID_WORD)
