"""Who spoke when, against a reference: the diarization error rate, and that of words.

The rate is that of NIST's md-eval and of pyannote.metrics: what is missed, put in or given to the
wrong person, of the reference's speaker seconds; where two speak at once, each second is two. What
a speaker is called does not matter: names are mapped one to one so that those who belong together
share the most time. All this is computed on intervals, in whole nanoseconds, so that sums are
exact; nothing is cut into frames.

`collar` is how many seconds before and after each start and end of a reference turn are not scored:
what md-eval calls 0.25, and pyannote 0.5. Turns of one speaker that overlap or touch are one turn,
without a collar where they meet. As with pyannote and unlike with md-eval, only what is scored
decides how names are mapped, and speech beyond the reference's last turn is a false alarm.
"""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fls_models.speakers.turn import SpeakerTurn

# Nanoseconds: from, to. Those of a speaker are in order and do not touch.
_Interval = tuple[int, int]
_Tracks = Mapping[str, Sequence[_Interval]]


@dataclass(frozen=True)
class DiarizationErrors:
    """Seconds of one recording, or of several added up; `DiarizationErrors()` is of none.

    Attributes:
        missed: nobody, or too few, were found to speak.
        false_alarm: somebody, or too many, were found to speak.
        confused: somebody else was found to speak.
        total: of the reference, each speaker's.
        reference_speakers, hypothesis_speakers: how many speak, a number a recording.
    """

    missed: float = 0.0
    false_alarm: float = 0.0
    confused: float = 0.0
    total: float = 0.0
    reference_speakers: tuple[int, ...] = ()
    hypothesis_speakers: tuple[int, ...] = ()

    @property
    def rate(self) -> float:
        """All errors over the total, 0 upwards; nan where no reference speech is scored."""
        errors = self.missed + self.false_alarm + self.confused
        return errors / self.total if self.total else math.nan

    def __add__(self, other: "DiarizationErrors") -> "DiarizationErrors":
        return DiarizationErrors(
            self.missed + other.missed,
            self.false_alarm + other.false_alarm,
            self.confused + other.confused,
            self.total + other.total,
            self.reference_speakers + other.reference_speakers,
            self.hypothesis_speakers + other.hypothesis_speakers,
        )


@dataclass(frozen=True)
class WordDiarizationErrors:
    """Words within reference turns, and how many of them have the wrong speaker or none."""

    wrong: int = 0
    words: int = 0

    @property
    def rate(self) -> float:
        """0 to 1; nan of no words."""
        return self.wrong / self.words if self.words else math.nan

    def __add__(self, other: "WordDiarizationErrors") -> "WordDiarizationErrors":
        return WordDiarizationErrors(self.wrong + other.wrong, self.words + other.words)


@dataclass(frozen=True)
class _Overlaps:
    """Nanoseconds that are scored. `both`: as far as both sides agree how many speak.

    `shared` is by hypothesis speaker and reference speaker.
    """

    missed: int
    false_alarm: int
    both: int
    total: int
    shared: Mapping[tuple[str, str], int]


def diarization_errors(
    reference: Iterable[SpeakerTurn],
    hypothesis: Iterable[SpeakerTurn],
    collar: float = 0.0,
    duration: float | None = None,
) -> DiarizationErrors:
    """Scores one recording, up to `duration` seconds if that is given.

    Who speaks within collars only still counts as a speaker. Raises ValueError for a collar or a
    duration below 0.
    """
    if collar < 0 or (duration is not None and duration < 0):
        raise ValueError(f"seconds below 0: a collar of {collar}, a duration of {duration}")
    references, names = _tracks(reference), _tracks(hypothesis)
    overlaps = _overlaps(references, names, collar, duration)
    correct = sum(overlaps.shared[pair] for pair in _mapping(overlaps.shared).items())
    until = math.inf if duration is None else _nanoseconds(duration)
    return DiarizationErrors(
        missed=overlaps.missed / 1e9,
        false_alarm=overlaps.false_alarm / 1e9,
        confused=(overlaps.both - correct) / 1e9,
        total=overlaps.total / 1e9,
        reference_speakers=(_count(references, until),),
        hypothesis_speakers=(_count(names, until),),
    )


def speaker_mapping(
    reference: Iterable[SpeakerTurn], hypothesis: Iterable[SpeakerTurn], collar: float = 0.0
) -> dict[str, str]:
    """Hypothesis names to reference names, those that share scored time; others are left out."""
    return _mapping(_overlaps(_tracks(reference), _tracks(hypothesis), collar).shared)


def word_diarization_errors(
    words: Sequence[tuple[float, float]],
    reference: Iterable[SpeakerTurn],
    hypothesis_names: Sequence[str | None],
    mapping: Mapping[str, str] | None = None,
) -> WordDiarizationErrors:
    """Counts words whose speaker is none of those who speak at the word's middle.

    Args:
        words: start and end in seconds. Those with nobody speaking at their middle do not count.
        hypothesis_names: a speaker a word; None is wrong.
        mapping: to reference names, such as `speaker_mapping` gives; otherwise the one to one
            mapping that makes the most words right.

    Raises ValueError where there are not as many names as words.
    """
    tracks = _tracks(reference)
    found = []
    for (start, end), name in zip(words, hypothesis_names, strict=True):
        middle = (_nanoseconds(start) + _nanoseconds(end)) // 2
        if speakers := [who for who, intervals in tracks.items() if _within(middle, intervals)]:
            found.append((name, speakers))
    if mapping is None:
        shared: dict[tuple[str, str], int] = defaultdict(int)
        for name, speakers in found:
            if name is not None:
                for who in speakers:
                    shared[name, who] += 1
        mapping = _mapping(shared)
    right = sum(name is not None and mapping.get(name) in speakers for name, speakers in found)
    return WordDiarizationErrors(len(found) - right, len(found))


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _tracks(turns: Iterable[SpeakerTurn]) -> dict[str, list[_Interval]]:
    """By speaker."""
    intervals = defaultdict(list)
    for turn in turns:
        intervals[turn.speaker].append((_nanoseconds(turn.start), _nanoseconds(turn.end)))
    merged = {name: _merged(intervals[name]) for name in intervals}
    return {name: track for name, track in merged.items() if track}


def _merged(intervals: Iterable[_Interval]) -> list[_Interval]:
    """In order, those that overlap or touch as one, those without length left out."""
    merged: list[_Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        elif start < end:
            merged.append((start, end))
    return merged


def _count(tracks: _Tracks, until: float) -> int:
    """Speakers who begin before that."""
    return sum(intervals[0][0] < until for intervals in tracks.values())


def _within(moment: int, intervals: Sequence[_Interval]) -> bool:
    """Whether an interval holds it; its end is no longer in it."""
    place = bisect_right(intervals, moment, key=lambda interval: interval[0])
    return place > 0 and moment < intervals[place - 1][1]


def _overlaps(
    reference: _Tracks, hypothesis: _Tracks, collar: float, duration: float | None = None
) -> _Overlaps:
    margin = _nanoseconds(collar)
    edges = [edge for track in reference.values() for interval in track for edge in interval]
    unscored = [(edge - margin, edge + margin) for edge in edges]
    if duration is not None:
        tracks = (*reference.values(), *hypothesis.values())
        last = max((track[-1][1] for track in tracks), default=0)
        unscored.append((_nanoseconds(duration), last))
    missed = false_alarm = both = total = 0
    shared: dict[tuple[str, str], int] = defaultdict(int)
    for length, speakers, names in _stretches(reference, hypothesis, _merged(unscored)):
        missed += length * max(0, len(speakers) - len(names))
        false_alarm += length * max(0, len(names) - len(speakers))
        both += length * min(len(speakers), len(names))
        total += length * len(speakers)
        for name in names:
            for who in speakers:
                shared[name, who] += length
    return _Overlaps(missed, false_alarm, both, total, shared)


def _stretches(
    reference: _Tracks, hypothesis: _Tracks, unscored: Sequence[_Interval]
) -> Iterator[tuple[int, set[str], set[str]]]:
    """Lengths in which nothing changes, and who speaks then on either side; the sets change."""
    active: tuple[set[str], set[str], set[str]] = (set(), set(), set())
    events = sorted(
        (time, begins, side, name)
        for side, tracks in enumerate((reference, hypothesis, {"": unscored}))
        for name, intervals in tracks.items()
        for start, end in intervals
        for time, begins in ((start, True), (end, False))
    )
    for (time, begins, side, name), (following, *_) in pairwise(events):
        if begins:
            active[side].add(name)
        else:
            active[side].remove(name)
        if following > time and not active[2]:
            yield following - time, active[0], active[1]


def _mapping(shared: Mapping[tuple[str, str], int]) -> dict[str, str]:
    """Of what pairs share, the pairs that share the most together, each name in one of them."""
    names = sorted({name for name, _ in shared})
    speakers = sorted({who for _, who in shared})
    size = max(len(names), len(speakers))
    gains = [[0] * size for _ in range(size)]
    for (name, who), gain in shared.items():
        gains[names.index(name)][speakers.index(who)] = gain
    rows = _assignment(gains)
    pairs = [
        (names[row], who) for row, who in zip(rows, speakers, strict=False) if row < len(names)
    ]
    return {name: who for name, who in sorted(pairs) if shared.get((name, who))}


def _assignment(gains: Sequence[Sequence[int]]) -> list[int]:
    """For each column of a square matrix a row of its own, so that the sum is the largest there is.

    The Hungarian algorithm: row after row is placed, by the cheapest chain of rows that make way.
    """
    size = len(gains)
    row_prices: list[float] = [0] * size
    # The last column stands for being placed nowhere yet.
    column_prices: list[float] = [0] * (size + 1)
    placed = [-1] * (size + 1)
    for row in range(size):
        placed[size] = row
        column = size
        seen, unseen = [], set(range(size))
        slack, before = [math.inf] * size, [size] * size
        while (current := placed[column]) >= 0:
            seen.append(column)
            unseen.discard(column)
            for other in unseen:
                cost = -gains[current][other] - row_prices[current] - column_prices[other]
                if cost < slack[other]:
                    slack[other], before[other] = cost, column
            column = min(unseen, key=slack.__getitem__)
            step = slack[column]
            for other in seen:
                row_prices[placed[other]] += step
                column_prices[other] -= step
            for other in unseen:
                slack[other] -= step
        while column != size:
            placed[column] = placed[before[column]]
            column = before[column]
    return placed[:size]
