"""The parts of a stream without a clock: recordings that were joined, and what damage left."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

from fls_cli.media.layout.audio_frames import MPEG, promised_seconds
from fls_cli.media.layout.frame_runs import FrameKind, Run
from fls_cli.media.layout.headers import begins_here, joined_behind, next_header
from fls_cli.media.layout.kinds import WHOLE, Bytes, Part

# Less may be the cut between two recordings.
_SHORTEST_HOLE = 0.2
# What a header may promise more than there is.
_TOLERANCE = 1.0
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"RIFF")


def frame_parts(data: Bytes, kind: FrameKind) -> tuple[Part, ...]:
    """A part for each recording, and for what follows a hole in one."""
    promises = promised_seconds(data) if kind is MPEG else {}
    recordings = _begun_at(promises, list(kind.runs(data, sorted(promises))))
    parts = [part for runs in recordings for part in _parts(data, runs, promises)]
    if not parts:
        return (WHOLE,)
    # What lies before the first frame and behind the last belongs to them.
    parts[0] = replace(parts[0], begin=0)
    foreign: list[Part] = []
    for number, part in enumerate(parts):
        following = parts[number + 1].begin if number + 1 < len(parts) else len(data)
        if part.end is not None and following > part.end:
            at = next_header(data, part.end, following, tags=False)
            if begins_here(data, part.end, but=kind):
                at = part.end
            if at is not None:
                foreign += joined_behind(data, at, following, tags=False)
    begins = {part.end for part in foreign}
    # What stands between frames and is no frame is no damage if it is a recording.
    parts = [replace(part, hole=0.0) if part.begin in begins else part for part in parts]
    parts = sorted([*parts, *foreign], key=lambda part: part.begin)
    parts[-1] = replace(parts[-1], end=None)
    return tuple(parts)


def _begun_at(begins: Container[int], runs: Iterable[Run]) -> list[list[Run]]:
    """Runs that belong together: the first, or one of `begins`, and what follows."""
    groups: list[list[Run]] = []
    for run in runs:
        if run.begin in begins or not groups:
            groups.append([])
        groups[-1].append(run)
    return groups


def _parts(data: Bytes, runs: list[Run], promises: Mapping[int, float]) -> list[Part]:
    """Those of one recording."""
    holes = {
        after.begin: (after.begin - before.end) / before.bytes_per_second
        for before, after in pairwise(runs)
        if not data[before.end : before.end + 16].startswith(_TAGS)
    }
    bad = {at: hole for at, hole in holes.items() if hole > _SHORTEST_HOLE}
    promised = promises.get(runs[0].begin, 0.0)
    lost = promised - sum(run.seconds for run in runs) - sum(bad.values())
    if len(holes) == len(bad) + 1 and lost > _TOLERANCE:
        # A block was left out, and its length is what the header promises more than there is.
        holes, lost = {at: bad.get(at, lost) for at in holes}, 0.0
    else:
        holes = bad
    parts = [
        Part(
            begin=group[0].begin,
            end=group[-1].end,
            hole=holes.get(group[0].begin, 0.0),
            lacks="end" if group[-1].torn else None,
            seconds=sum(run.seconds for run in group),
        )
        for group in _begun_at(holes, runs)
    ]
    if lost > 0 and (len(parts) == 1 or lost > _TOLERANCE):
        parts[-1] = replace(parts[-1], seconds=(parts[-1].seconds or 0.0) + lost)
    return parts
