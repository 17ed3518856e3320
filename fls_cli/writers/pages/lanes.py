"""The stripes of a timeline: what was heard, as few paths, and evidence as bands.

A lane of what was heard has at most 1200 columns, each a pixel wide or stretched to be, so that an
hour takes no more room in a page than some minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log2
from typing import TYPE_CHECKING

from markupsafe import Markup

from fls_cli.writers.pages.markup import clocks, play_attributes
from fls_models.core.results import Passage, Span
from fls_models.speakers.turn import SpeakerTurn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fls_models.extractor.inspection.inspection import Inspection

LEVELS = 9
"""Strengths of fusion that are told apart: from 1 to 16 or more frames in one, two a doubling."""

_COLUMNS = 1200
# Parts of a column of the waveform, whose mean is drawn over the loudest of them.
_PARTS = 6
_EVIDENCE, _WAVEFORM, _DENSITY, _FUSION = 24, 56, 44, 16
# A speaker's row, and from one to the next; how many have a colour of their own.
_TURN, _NEXT = 8, 11
COLOURS = 8


@dataclass(frozen=True)
class Lane:
    """A stripe of the drawing; `svg` is SVG for a stripe that begins at 0."""

    label: str
    height: int
    svg: Markup


def inspection_lanes(inspection: Inspection) -> Iterator[Lane]:
    """Sound, content density, and each round of fusion; nothing where there are no frames."""
    import numpy as np

    from fls_models.extractor.inspection.columns import columns

    count = min(_COLUMNS, inspection.frames_before)
    if not count:
        return
    values = columns(inspection, np.linspace(inspection.start, inspection.end, count + 1))
    parts = columns(
        inspection, np.linspace(inspection.start, inspection.end, _PARTS * count + 1)
    ).peaks
    peaks = np.nan_to_num(parts).reshape(count, _PARTS)
    sound = _wave("loudest", peaks.max(axis=1)) + _wave("mean", peaks.mean(axis=1))
    yield Lane("Waveform", _WAVEFORM, _stretched(count, _WAVEFORM, sound))
    if inspection.has_head:
        density = _area(np.nan_to_num(values.density))
        yield Lane("Content density", _DENSITY, _stretched(count, _DENSITY, density))
    for number, joined in enumerate(values.joined, 1):
        before, after = inspection.lengths[number - 1 : number + 1]
        label = f"Fusion, round {number}: {before:,} to {after:,} frames"
        yield Lane(label, _FUSION, _stretched(count, _FUSION, _strip(joined)))


def evidence_lane(label: str, passages: Sequence[Passage], span: Span, offset: float) -> Lane:
    """Passages as bands that can be pressed, within a lane that stands for `span`."""
    shapes = [f'<rect class="row" width="100%" height="{_EVIDENCE}"/>']
    for passage in passages:
        left, right = (per_cent(time, span) for time in (passage.span.start, passage.span.end))
        shapes.append(
            f'<rect class="band" x="{left:.3f}%" width="{right - left:.3f}%" y="1" '
            f'height="{_EVIDENCE - 2}" {play_attributes(passage.span, offset)}>'
            f"<title>{'-'.join(clocks(passage.span))}</title></rect>"
        )
    return Lane(label, _EVIDENCE, Markup("".join(shapes)))


def speaker_lane(turns: Sequence[SpeakerTurn], span: Span) -> Lane:
    """When each speaks: a row for each, in the order in which they begin to."""
    paths: dict[str, str] = {}
    rows: dict[str, int] = {}
    scale = _COLUMNS / 100
    for turn in turns:
        left, right = (scale * per_cent(time, span) for time in (turn.start, turn.end))
        top = _NEXT * rows.setdefault(turn.speaker, len(rows))
        width = max(1.0, right - left)
        place = f"M{left:.1f} {top}h{width:.1f}v{_TURN}h-{width:.1f}z"
        paths[turn.speaker] = paths.get(turn.speaker, "") + place
    height = _NEXT * len(paths)
    shapes = "".join(
        f'<path class="speaker colour-{number % COLOURS}" d="{path}"/>'
        for number, path in enumerate(paths.values())
    )
    return Lane("Speakers", height, _stretched(_COLUMNS, height, shapes))


def per_cent(time: float, span: Span) -> float:
    """How far into the span a time lies, from 0 to 100."""
    length = span.end - span.start
    return min(100.0, max(0.0, 100 * (time - span.start) / length)) if length else 0.0


def _stretched(count: int, height: int, shapes: str) -> Markup:
    return Markup(
        f'<svg width="100%" height="{height}" viewBox="0 0 {count} {height}" '
        f'preserveAspectRatio="none">{shapes}</svg>'
    )


def _wave(name: str, peaks: NDArray[np.float64]) -> str:
    # Quiet speech is to be seen beside a loud noise, and silence as a line.
    half = _WAVEFORM / 2
    reach = [max(0.5, half * float(peak) ** 0.6) for peak in peaks]
    top = "".join(f"V{half - up:.1f}h1" for up in reach)
    bottom = "".join(f"V{half + down:.1f}h-1" for down in reversed(reach))
    return f'<path class="waveform {name}" d="M0 {half}{top}{bottom}z"/>'


def _area(density: NDArray[np.float64]) -> str:
    steps = "".join(f"V{_DENSITY * (1 - float(value)):.1f}h1" for value in density)
    return f'<path class="density" d="M0 {_DENSITY}{steps}V{_DENSITY}z"/>'


def _strip(joined: NDArray[np.float64]) -> str:
    """A round of fusion: a path for each strength, of all the stretches that have it."""
    levels = [
        min(LEVELS - 1, round(2 * log2(float(count)))) if count == count else None
        for count in joined
    ]
    paths = [""] * LEVELS
    first = 0
    for level, columns in groupby(levels):
        width = len(list(columns))
        if level is not None:
            paths[level] += f"M{first} 0h{width}v{_FUSION}h-{width}z"
        first += width
    return "".join(
        f'<path class="fusion level-{level}" d="{path}"/>'
        for level, path in enumerate(paths)
        if path
    )
