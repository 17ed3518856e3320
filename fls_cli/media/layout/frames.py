"""The parts of a stream without a clock: recordings that were joined, and what damage left."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

from fls_cli.media.layout.audio_frames import MPEG, promised_seconds
from fls_cli.media.layout.frame_runs import FrameKind, Run
from fls_cli.media.layout.headers import FRAMES, kind_at, next_header
from fls_cli.media.layout.kinds import Bytes, Part

# Of less it is not known how much it stands for: a frame is torn there.
_SHORTEST_HOLE = 0.2
# What a header may promise more than there is.
_TOLERANCE = 1.0
# In bytes.
_LONGEST_FRAME = 1 << 13
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"RIFF")


def frame_parts(data: Bytes, begin: int, name: str) -> list[Part]:
    """A part for each recording from a byte on, and for what follows a hole in one.

    `name` is ffmpeg's of the kind of frames; where the last part has an end, another kind begins.
    """
    kind = FRAMES[name]
    promises = promised_seconds(data, begin) if kind is MPEG else {}
    runs, foreign = _own(data, list(kind.runs(data, begin, sorted(promises))), kind)
    recordings = _begun_at(promises, runs)
    promises = _without_insertions(promises, recordings)
    parts = [part for runs in recordings for part in _parts(data, runs, promises)]
    if not parts:
        return [Part(begin)]
    # What lies before the first frame and behind the last belongs to them.
    parts[0] = replace(parts[0], begin=begin)
    parts[-1] = replace(parts[-1], end=foreign)
    return parts


def _own(data: Bytes, runs: list[Run], kind: FrameKind) -> tuple[list[Run], int | None]:
    """The runs before a recording of another kind, and where that begins, if there is one.

    What stands between frames and is no frame is no damage if it is a recording.
    """
    begins = [*(run.begin for run in runs[1:]), len(data)]
    for number, (run, following) in enumerate(zip(runs, begins, strict=True)):
        if following <= run.end:
            continue
        name = kind_at(data, run.end)
        foreign: int | None = run.end
        if name is None or FRAMES.get(name) is kind:
            # It may begin within a frame that was cut off.
            begin = max(run.begin + 1, run.end - _LONGEST_FRAME)
            foreign = next_header(data, begin, following, tags=False)
        if foreign is not None:
            end = min(run.end, foreign)
            return [*runs[:number], replace(run, end=end, torn=end < run.end)], foreign
    return runs, None


def _begun_at(begins: Container[int], runs: Iterable[Run]) -> list[list[Run]]:
    """Runs that belong together: the first, or one of `begins`, and what follows."""
    groups: list[list[Run]] = []
    for run in runs:
        if run.begin in begins or not groups:
            groups.append([])
        groups[-1].append(run)
    return groups


def _without_insertions(
    promises: Mapping[int, float], recordings: Iterable[list[Run]]
) -> dict[int, float]:
    """What recordings promise, where another was put into one, and it goes on behind that.

    So are advertisements in podcasts: what is missing of the first stands in excess behind the one
    within it, and anything less is missing there.
    """
    promises = dict(promises)
    interrupted: list[tuple[int, float]] = []
    for runs in recordings:
        if (promised := promises.get(runs[0].begin)) is None:
            continue
        lost = promised - sum(run.seconds for run in runs)
        while interrupted and lost < -_TOLERANCE:
            begin, rest = interrupted.pop()
            promises[begin] -= rest
            promises[runs[0].begin] += rest
            lost += rest
        if lost > _TOLERANCE:
            interrupted.append((runs[0].begin, lost))
    return promises


def _parts(data: Bytes, runs: list[Run], promises: Mapping[int, float]) -> list[Part]:
    """Those of one recording."""
    breaks = {
        after.begin: (after.begin - before.end) / before.bytes_per_second
        for before, after in pairwise(runs)
        if not data[before.end : before.end + 16].startswith(_TAGS)
    }
    bad = {at: hole for at, hole in breaks.items() if hole > _SHORTEST_HOLE}
    promised = promises.get(runs[0].begin, 0.0)
    lost = promised - sum(run.seconds for run in runs) - sum(bad.values())
    if len(breaks) == len(bad) + 1 and lost > _SHORTEST_HOLE:
        # A block was left out, and its length is what the header promises more than there is.
        holes, lost = {at: bad.get(at, lost) for at in breaks}, 0.0
    else:
        holes = bad
    parts = [
        Part(
            begin=group[0].begin,
            end=group[-1].end,
            hole=holes.get(group[0].begin, 0.0),
            lacks="end" if group[-1].torn else None,
            seconds=sum(run.seconds for run in group),
            torn=_torn(group, breaks),
        )
        for group in _begun_at(holes, runs)
    ]
    if promised and lost < _SHORTEST_HOLE:
        parts[-1] = replace(parts[-1], ended=True)
    if lost > 0 and (len(parts) == 1 or lost > _TOLERANCE):
        parts[-1] = replace(parts[-1], seconds=(parts[-1].seconds or 0.0) + lost)
    return parts


def _torn(runs: Iterable[Run], breaks: Container[int]) -> tuple[float, ...]:
    """Where in runs that are read as one recording a frame is torn, in seconds."""
    times, seconds = [], 0.0
    for run in runs:
        if seconds and run.begin in breaks:
            times.append(seconds)
        seconds += run.seconds
    return tuple(times)
