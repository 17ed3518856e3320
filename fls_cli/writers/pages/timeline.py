"""A recording drawn along its time: sound, content density, fusion, and where evidence lies.

One inline SVG as wide as the page. Lanes are stretched to that width, texts are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING

from markupsafe import Markup

from fls_cli.writers.pages.lanes import (
    COLOURS,
    LEVELS,
    Lane,
    evidence_lane,
    inspection_lanes,
    per_cent,
    speaker_lane,
)
from fls_cli.writers.pages.markup import clocks, counted
from fls_models.core.results import Passage, Span
from fls_models.core.timestamps import clock_time
from fls_models.speakers.turn import SpeakerTurn

if TYPE_CHECKING:
    from fls_models.extractor.inspection.inspection import Inspection

_LABEL = 20  # pixels above a lane for what it is, as in parts.html
_GAP = 8  # and below it
_AXIS = 24
# The most ticks of the axis; on a narrow page every other one goes without its time.
_TICKS = 10
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000, 36000)
_NEAR_AN_END = 7  # per cent, within which a time below the axis would be cut off


@dataclass(frozen=True)
class Row:
    """A lane of evidence: whose it is, and the passages."""

    label: str
    passages: Sequence[Passage]


@dataclass(frozen=True)
class Timeline:
    """What parts.html draws, in pixels from the top: lanes and where each begins, lines, texts."""

    span: Span
    lanes: Sequence[tuple[int, Lane]]
    bottom: int
    height: int
    borders: Markup
    axis: Markup
    description: str
    legend: str
    levels: int
    # A colour's number, a name and how long it speaks.
    speakers: Sequence[tuple[int, str, str]] = ()


def timeline(
    span: Span,
    *,
    inspection: Inspection | None,
    rows: Sequence[Row] = (),
    turns: Sequence[SpeakerTurn] = (),
    offset: float = 0.0,
) -> Timeline:
    """A figure of `span` with a legend below it.

    Args:
        span: the stretch of the recording that is drawn; all that was heard, where it was.
        heard: its sound, density and fusion; without it, only `rows` are drawn.
        rows: evidence, a lane for each that has any.
        turns: who speaks when, a lane for all.
        offset: the second of the recording at which the page's audio begins.
    """
    evidence = [row for row in rows if row.passages]
    lanes = [evidence_lane(row.label, row.passages, span, offset) for row in evidence]
    lanes += [speaker_lane(turns, span)] if turns else []
    lanes += inspection_lanes(inspection) if inspection else ()
    speakers = _speakers(turns)
    tops = [0, *accumulate(_LABEL + lane.height + _GAP for lane in lanes)]
    return Timeline(
        span,
        list(zip(tops, lanes, strict=False)),
        bottom=tops[-1],
        height=tops[-1] + _AXIS,
        borders=_borders(inspection, span, tops[-1]) if inspection else Markup(""),
        axis=_axis(span, tops[-1]),
        description=_described(span, inspection, evidence, speakers),
        legend=_legend(inspection, bool(evidence)),
        levels=LEVELS if inspection and inspection.rounds else 0,
        speakers=speakers,
    )


def _speakers(turns: Sequence[SpeakerTurn]) -> list[tuple[int, str, str]]:
    seconds: dict[str, float] = {}
    for turn in turns:
        seconds[turn.speaker] = seconds.get(turn.speaker, 0.0) + turn.end - turn.start
    return [
        (number % COLOURS, name, clock_time(spoken))
        for number, (name, spoken) in enumerate(seconds.items())
    ]


def _borders(inspection: Inspection, span: Span, bottom: int) -> Markup:
    """Lines where one pass ends and the next begins."""
    starts = [section.times[0, 0] for section in inspection.sections[1:] if section.frames_before]
    places = [f"{per_cent(float(start), span):.3f}%" for start in starts]
    lines = (
        f'<line class="border" x1="{place}" x2="{place}" y1="0" y2="{bottom}"/>' for place in places
    )
    return Markup("".join(lines))


def _axis(span: Span, top: int) -> Markup:
    length = span.end - span.start
    step = next((step for step in _STEPS if length / step <= _TICKS), ceil(length / _TICKS))
    shapes = [f'<line class="axis" x1="0" x2="100%" y1="{top}" y2="{top}"/>']
    for number in range(ceil(span.start / step), int(span.end // step) + 1):
        place = per_cent(number * step, span)
        tick = f'x1="{place:.3f}%" x2="{place:.3f}%" y1="{top}" y2="{top + 5}"'
        anchor = "middle"
        if place < _NEAR_AN_END:
            anchor = "start"
        elif place > 100 - _NEAR_AN_END:
            anchor = "end"
        time = clock_time(number * step)
        shapes.append(
            f'<line class="axis" {tick}/><text class="tick{" odd" if number % 2 else ""}" '
            f'x="{place:.3f}%" y="{top + 19}" text-anchor="{anchor}">{time}</text>'
        )
    return Markup("".join(shapes))


def _described(
    span: Span,
    inspection: Inspection | None,
    rows: Sequence[Row],
    speakers: Sequence[tuple[int, str, str]],
) -> str:
    """What the drawing shows, in words, for those who do not see it."""
    sentences = [f"Timeline from {' to '.join(clocks(span))}."]
    for row in rows:
        places = ", ".join(" to ".join(clocks(passage.span)) for passage in row.passages)
        sentences.append(f"{row.label}: {places}.")
    if speakers:
        shares = ", ".join(f"{name} for {spoken}" for _, name, spoken in speakers)
        sentences.append(f"Speakers: {shares}.")
    if inspection and inspection.frames_before:
        if inspection.has_head:
            sentences.append(f"Content density is {inspection.mean_density:.2f} on average.")
        sentences.append(_fusion_in_words(inspection))
    return " ".join(sentences)


def _fusion_in_words(inspection: Inspection) -> str:
    frames = counted(inspection.frames_before, "frame")
    passes = counted(len(inspection.sections), "pass")
    if not inspection.rounds:
        return f"{frames}, none of them fused, make {passes} of the language model."
    return (
        f"{frames} were fused to {inspection.frames_after:,} in "
        f"{counted(inspection.rounds, 'round')}, for {passes} of the language model."
    )


def _legend(inspection: Inspection | None, has_evidence: bool) -> str:
    if has_evidence:
        sentences = ["Evidence plays when it is pressed; anywhere else, the player moves there."]
    else:
        sentences = ["The player moves to where the timeline is pressed."]
    if inspection and not inspection.frames_before:
        sentences.append("Nothing was heard.")
    elif inspection:
        sentences.append(
            "The waveform shows the loudest sample of each moment, and the mean of those."
        )
        if inspection.has_head:
            sentences.append(
                "Content density is how much each moment says, as the CTC head judges it."
            )
        else:
            sentences.append("There is no CTC head: every frame counts as much as any other.")
        sentences.append(_fusion_in_words(inspection))
        if len(inspection.sections) > 1:
            sentences.append("Dashed lines part what is read in one pass from the next.")
    return " ".join(sentences)
