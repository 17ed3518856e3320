"""From embeddings in a row to who speaks when.

The likeliest way through the recording (Viterbi): each embedding is like its speaker's centre, and
who speaks changes rarely, more easily where there is a pause or the segmentation hears another.
Centres are then those of what each was given, and again.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fls_models.speakers.clustering import Clusters, Floats, agglomerate
from fls_models.speakers.identification import Voice
from fls_models.speakers.segmentation import (
    FRAME_MIDDLE,
    FRAME_SECONDS,
    FRAMES,
    SPEAKERS,
    Activity,
)
from fls_models.speakers.turn import SpeakerTurn

# How much an embedding's likeness to a centre weighs against changes of speaker.
_SHARPNESS = 20.0
_CHANGE, _CHANGE_AT_PAUSE = 5.0, 3.0
# From which share of windows on the segmentation hears another speaker.
_HEARD_CHANGE = 0.3
# A stretch: so long at most, seconds, and its embeddings are so alike.
_LONGEST, _LEAST_ALIKE = 4.0, 0.6
# Clusters begin with stretches of such a length in which few speak at once.
_SHORTEST, _MOST_OVERLAP = 1.2, 0.25
_ROUNDS = 3
# Who speaks less, in seconds and of all speech, is somebody else misheard.
_LEAST_SECONDS, _LEAST_SHARE = 2.0, 0.005
# Frames: how far a change is moved to where it is heard, and pauses within a turn.
_SNAP = 24
_PAUSE, _LEAST_TURN = 90, 8
_TWO = 0.5
_LEAST_OVERLAP = 6
# Seconds by which a voice's stretch may be longer than its turn.
_EDGE = 0.05


@dataclass(frozen=True)
class VoiceTrack:
    """Embeddings in order: `regions` (n,) of unbroken speech, `starts` and `ends` (n,) in seconds,
    `embeddings` (n, D) float32 of length 1: of ten hours, 90 MB."""

    regions: NDArray[np.int64]
    starts: Floats
    ends: Floats
    embeddings: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.regions)

    def stretches(self, labels: NDArray[np.int64] | None = None) -> list[list[int]]:
        """Places next to each other that are of one region, and of one label or much alike."""
        stretches: list[list[int]] = []
        for place in range(len(self)):
            if stretches and self._belongs(place, stretches[-1], labels):
                stretches[-1].append(place)
            else:
                stretches.append([place])
        return stretches

    def clusters(self, stretches: Sequence[Sequence[int]]) -> Clusters:
        means = np.stack([self._mean(places) for places in stretches])
        seconds = [self.ends[places[-1]] - self.starts[places[0]] for places in stretches]
        return Clusters.of(means, np.array(seconds))

    def _mean(self, places: Sequence[int]) -> Floats:
        mean: Floats = self.embeddings[list(places)].mean(axis=0, dtype=np.float64)
        return mean

    def _belongs(self, place: int, stretch: list[int], labels: NDArray[np.int64] | None) -> bool:
        first = stretch[0]
        if self.regions[place] != self.regions[first]:
            return False
        if self.ends[place] - self.starts[first] > _LONGEST:
            return False
        if labels is not None:
            return bool(labels[place] == labels[first])
        mean = self._mean(stretch)
        return bool(self.embeddings[place] @ mean >= _LEAST_ALIKE * np.linalg.norm(mean))


def speaker_turns(
    track: VoiceTrack, activity: Activity, fewest: int = 1, most: int | None = None
) -> list[SpeakerTurn]:
    """Turns in order of their begin, by speakers S1, S2 ... in order of theirs.

    There are `fewest` to `most` speakers, if so many can be told apart.
    """
    if not len(track):
        return []
    changes = _changes(track, activity)
    overlap = _means(track, activity.overlap)
    centres = _first_centres(track, overlap, fewest, most)
    for _ in range(_ROUNDS):
        labels = _likeliest(track, centres, changes)
        centres = _centres(track, labels, overlap, fewest, most)
    labels = _likeliest(track, centres, changes)
    main = _main_speakers(track, labels, activity)
    speaking = np.zeros((len(centres), len(main)), bool)
    places = np.flatnonzero(main >= 0)
    speaking[main[places], places] = True
    for speaker, first, end in _second_speakers(main, activity):
        speaking[speaker, first:end] = True
    found = [
        (first, end, label)
        for label, frames in enumerate(speaking)
        for first, end in _runs(frames, _PAUSE)
        if end - first >= _LEAST_TURN
    ]
    names: dict[int, str] = {}
    return [
        SpeakerTurn(
            first * FRAME_SECONDS + FRAME_MIDDLE / 2,
            end * FRAME_SECONDS + FRAME_MIDDLE / 2,
            names.setdefault(label, f"S{len(names) + 1}"),
        )
        for first, end, label in sorted(found)
    ]


def voices_of(track: VoiceTrack, turns: Sequence[SpeakerTurn]) -> dict[str, Voice]:
    """How each sounds, in the order of the turns; nobody of whom nothing is heard alone."""
    names = list(dict.fromkeys(turn.speaker for turn in turns))
    if not names:
        return {}
    speaking = np.zeros((len(names), len(track)), bool)
    touched = np.zeros_like(speaking)
    for turn in turns:
        row = names.index(turn.speaker)
        speaking[row] |= (track.starts >= turn.start - _EDGE) & (track.ends <= turn.end + _EDGE)
        touched[row] |= (track.starts < turn.end) & (track.ends > turn.start)
    alone = speaking & (touched.sum(axis=0) == 1)
    labels = np.where(alone.any(axis=0), alone.argmax(axis=0), -1)
    stretches = [places for places in track.stretches(labels) if labels[places[0]] >= 0]
    if not stretches:
        return {}
    owners = np.array([labels[places[0]] for places in stretches])
    clusters = track.clusters(stretches).grouped(owners, len(names))
    return {names[row]: Voice(clusters.select([row])) for row in np.unique(owners).tolist()}


def _first_centres(track: VoiceTrack, overlap: Floats, fewest: int, most: int | None) -> Floats:
    stretches = track.stretches()
    clusters = track.clusters(stretches)
    is_sure = clusters.seconds >= min(_SHORTEST, float(np.median(clusters.seconds)))
    is_sure &= np.array([overlap[places].mean() < _MOST_OVERLAP for places in stretches])
    places = np.flatnonzero(is_sure) if is_sure.any() else np.arange(len(stretches))
    joined, _ = agglomerate(clusters.select(places.tolist()), fewest, most)
    return joined.centres


def _centres(
    track: VoiceTrack, labels: NDArray[np.int64], overlap: Floats, fewest: int, most: int | None
) -> Floats:
    """Of what each was given; of those that are alike after all, or hardly speak, fewer."""
    stretches = track.stretches(labels)
    clusters = track.clusters(stretches)
    owners = np.array([labels[places[0]] for places in stretches])
    is_clear = np.array([overlap[places].mean() < _MOST_OVERLAP for places in stretches])
    names = np.unique(owners)
    for name in names:
        if not is_clear[owners == name].any():
            is_clear[owners == name] = True
    totals = np.array([clusters.seconds[owners == name].sum() for name in names])
    least = max(_LEAST_SHARE * totals.sum(), min(_LEAST_SECONDS, totals.max() / 2))
    order = np.argsort(-totals)
    speaks = [
        name
        for rank, name in enumerate(names[order])
        if totals[order][rank] >= least or rank < fewest
    ]
    chosen = np.flatnonzero(is_clear & np.isin(owners, speaks))
    new = np.searchsorted(np.sort(speaks), owners[chosen])
    joined, _ = agglomerate(
        clusters.select(chosen.tolist()).grouped(new, len(speaks)), fewest, most
    )
    return joined.centres


def _likeliest(track: VoiceTrack, centres: Floats, changes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) labels. `changes` (n,) says where another may well begin."""
    scores: Floats = _SHARPNESS * (track.embeddings @ centres.T.astype(np.float32)).astype(float)
    count, speakers = scores.shape
    came_from = np.zeros((count, speakers), np.int64)
    total = scores[0]
    for place in range(1, count):
        best = int(total.argmax())
        changed = total[best] - (_CHANGE_AT_PAUSE if changes[place] else _CHANGE)
        stays = total >= changed
        came_from[place] = np.where(stays, np.arange(speakers), best)
        total = np.where(stays, total, changed) + scores[place]
    labels = np.zeros(count, np.int64)
    labels[-1] = total.argmax()
    for place in range(count - 1, 0, -1):
        labels[place - 1] = came_from[place, labels[place]]
    return labels


def _changes(track: VoiceTrack, activity: Activity) -> NDArray[np.bool_]:
    heard = activity.changes > _HEARD_CHANGE
    begins: NDArray[np.bool_] = np.ones(len(track), bool)
    begins[1:] = track.regions[1:] != track.regions[:-1]
    for place in range(1, len(track)):
        first, end = _frames(track.starts[place - 1], track.ends[place])
        begins[place] |= bool(heard[first:end].any())
    return begins


def _means(track: VoiceTrack, frames: NDArray[np.float32]) -> Floats:
    spans = (_frames(*span) for span in zip(track.starts, track.ends, strict=True))
    return np.array([(frames[first:end] > _TWO).mean() for first, end in spans])


def _frames(start: float, end: float) -> tuple[int, int]:
    return int(start / FRAME_SECONDS), int(end / FRAME_SECONDS) + 1


def _main_speakers(
    track: VoiceTrack, labels: NDArray[np.int64], activity: Activity
) -> NDArray[np.int16]:
    """(frames,) who speaks, -1 where nobody does; a change lies between two embeddings' middles,
    where it is heard best."""
    main = np.full(len(activity.speech), -1, np.int16)
    middles = ((track.starts + track.ends) / 2 / FRAME_SECONDS).astype(int)
    changes, speech = activity.changes, activity.speech
    breaks = np.flatnonzero(track.regions[1:] != track.regions[:-1]) + 1
    for first, end in pairwise([0, *breaks.tolist(), len(track)]):
        begin, _ = _frames(track.starts[first], 0)
        until = min(len(main), _frames(0, track.ends[end - 1])[1])
        main[begin:until] = labels[first]
        for place in range(first + 1, end):
            if labels[place] != labels[place - 1]:
                at = (middles[place - 1] + middles[place]) // 2
                low, high = max(begin, at - _SNAP), min(until, at + _SNAP + 1)
                distance = np.abs(np.arange(low, high) - at) / _SNAP
                clues = changes[low:high] + (1 - speech[low:high]) - 0.3 * distance
                main[low + int(clues.argmax()) : until] = labels[place]
    return main


def _second_speakers(main: NDArray[np.int16], activity: Activity) -> Iterator[tuple[int, int, int]]:
    """Who speaks as well, from and to which frame: whoever the segmentation's windows say, or else
    whoever speaks next to it."""
    two = (activity.overlap > _TWO) & (main >= 0)
    starts = [start for start, _ in activity.windows]
    for first, end in _runs(two, 3):
        if end - first < _LEAST_OVERLAP:
            continue
        edges = np.flatnonzero(np.diff(main[first:end])) + first + 1
        for begin, until in pairwise([first, *edges.tolist(), end]):
            windows = slice(bisect_right(starts, begin - FRAMES), bisect_left(starts, until))
            speaker = _second(int(main[begin]), begin, until, main, activity.windows[windows])
            if speaker is not None:
                yield speaker, begin, until


def _second(
    speaker: int,
    first: int,
    end: int,
    main: NDArray[np.int16],
    windows: Sequence[tuple[int, NDArray[np.uint8]]],
) -> int | None:
    """`windows` are those that hold any of these frames."""
    votes: dict[int, int] = {}
    for start, classes in windows:
        speaking = SPEAKERS[classes][: len(main) - start]
        around = main[start : start + len(speaking)]
        for frames in speaking.T:
            alone = frames & (speaking.sum(axis=1) == 1) & (around >= 0)
            within = frames[max(0, first - start) : end - start].sum()
            if within and alone.any():
                owner = int(np.bincount(around[alone]).argmax())
                votes[owner] = votes.get(owner, 0) + int(within)
    votes.pop(speaker, None)
    if votes:
        return max(votes, key=lambda owner: votes[owner])
    near = slice(max(0, first - 200), end + 200)
    others = np.flatnonzero((main[near] >= 0) & (main[near] != speaker)) + near.start
    if not len(others):
        return None
    return int(main[others[np.abs(others - (first + end) / 2).argmin()]])


def _runs(frames: NDArray[np.bool_], pause: int) -> list[tuple[int, int]]:
    """First and end of what is true, shorter pauses filled."""
    edges = np.flatnonzero(np.diff(np.r_[0, frames.astype(np.int8), 0]))
    runs: list[tuple[int, int]] = []
    for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if runs and first - runs[-1][1] < pause:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((first, end))
    return runs
