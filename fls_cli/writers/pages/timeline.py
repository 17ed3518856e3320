"""A recording drawn along its time: sound, content density, fusion, and where evidence lies.

One inline SVG as wide as the page. Lanes are stretched to that width, texts are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from fls_cli.writers.pages.lanes import LEVELS, evidence_lane, heard_lanes, per_cent
from fls_cli.writers.pages.markup import clocks, counted, escaped
from fls_models.core.results import Passage, Span
from fls_models.core.timestamps import clock_time

if TYPE_CHECKING:
    from fls_models.extractor.inspection.inspection import Inspection

_LABEL = 20  # pixels above a lane for what it is
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


def timeline(
    span: Span, *, heard: Inspection | None, rows: Sequence[Row] = (), offset: float = 0.0
) -> str:
    """A figure of `span` with a legend below it.

    Args:
        span: the stretch of the recording that is drawn; all that was heard, where it was.
        heard: its sound, density and fusion; without it, only `rows` are drawn.
        rows: evidence, a lane for each that has any.
        offset: the second of the recording at which the page's audio begins.
    """
    shown = [row for row in rows if row.passages]
    lanes = [evidence_lane(row.label, row.passages, span, offset) for row in shown]
    lanes += heard_lanes(heard) if heard else ()
    bottom = sum(_LABEL + lane.height + _GAP for lane in lanes)
    stripes, labels, top = "", "", 0
    for lane in lanes:
        labels += f'<text class="lane" x="0" y="{top + 14}">{escaped(lane.label)}</text>'
        stripe = f'<svg y="{top + _LABEL}" width="100%" height="{lane.height}">'
        stripes += f"{stripe}{lane.drawn}</svg>"
        top += _LABEL + lane.height + _GAP
    return f"""<figure class="timeline">
<svg id="timeline" role="img" aria-label="{escaped(_described(span, heard, shown))}" \
width="100%" height="{bottom + _AXIS}" data-start="{span.start:.3f}" data-end="{span.end:.3f}">
{stripes}{_borders(heard, span, bottom) if heard else ""}{labels}{_axis(span, bottom)}
<line class="playhead" x1="0" x2="0" y1="0" y2="{bottom}"/>
</svg>
<figcaption>
{_legend(heard, bool(shown))}
</figcaption>
</figure>"""


def _borders(heard: Inspection, span: Span, bottom: int) -> str:
    """Lines where one pass ends and the next begins."""
    starts = [one.times[0, 0] for one in heard.sections[1:] if one.frames_before]
    places = [f"{per_cent(float(start), span):.3f}%" for start in starts]
    return "".join(
        f'<line class="border" x1="{place}" x2="{place}" y1="0" y2="{bottom}"/>' for place in places
    )


def _axis(span: Span, top: int) -> str:
    length = span.end - span.start
    step = next((step for step in _STEPS if length / step <= _TICKS), ceil(length / _TICKS))
    drawn = [f'<line class="axis" x1="0" x2="100%" y1="{top}" y2="{top}"/>']
    for number in range(ceil(span.start / step), int(span.end // step) + 1):
        place = per_cent(number * step, span)
        tick = f'x1="{place:.3f}%" x2="{place:.3f}%" y1="{top}" y2="{top + 5}"'
        anchor = "middle"
        if place < _NEAR_AN_END:
            anchor = "start"
        elif place > 100 - _NEAR_AN_END:
            anchor = "end"
        time = clock_time(number * step)
        drawn.append(
            f'<line class="axis" {tick}/><text class="tick{" odd" if number % 2 else ""}" '
            f'x="{place:.3f}%" y="{top + 19}" text-anchor="{anchor}">{time}</text>'
        )
    return "".join(drawn)


def _described(span: Span, heard: Inspection | None, rows: Sequence[Row]) -> str:
    """What the drawing shows, in words, for those who do not see it."""
    said = [f"Timeline from {' to '.join(clocks(span))}."]
    for row in rows:
        places = ", ".join(" to ".join(clocks(passage.span)) for passage in row.passages)
        said.append(f"{row.label}: {places}.")
    if heard and heard.frames_before:
        if heard.has_head:
            said.append(f"Content density is {heard.mean_density:.2f} on average.")
        said.append(_fusion_in_words(heard))
    return " ".join(said)


def _fusion_in_words(heard: Inspection) -> str:
    frames = counted(heard.frames_before, "frame")
    passes = counted(len(heard.sections), "pass")
    if not heard.rounds:
        return f"{frames}, none of them fused, make {passes} of the language model."
    return (
        f"{frames} were fused to {heard.frames_after:,} in {counted(heard.rounds, 'round')}, "
        f"for {passes} of the language model."
    )


def _legend(heard: Inspection | None, has_evidence: bool) -> str:
    if has_evidence:
        said = ["Evidence plays when it is pressed; anywhere else, the player moves there."]
    else:
        said = ["The player moves to where the timeline is pressed."]
    if heard and not heard.frames_before:
        said.append("Nothing was heard.")
    elif heard:
        said.append("The waveform shows the loudest sample of each moment, and the mean of those.")
        if heard.has_head:
            said.append("Content density is how much each moment says, as the CTC head judges it.")
        else:
            said.append("There is no CTC head: every frame counts as much as any other.")
        said.append(_fusion_in_words(heard))
        if len(heard.sections) > 1:
            said.append("Dashed lines part what is read in one pass from the next.")
    legend = f"<p>{escaped(' '.join(said))}</p>"
    return f"{legend}\n{_key()}" if heard and heard.rounds else legend


def _key() -> str:
    swatches = "".join(
        f'<li><svg width="24" height="14" aria-hidden="true"><rect class="fusion level-{level}" '
        f'width="24" height="14"/></svg> {2 ** (level // 2)}'
        f"{' or more' if level == LEVELS - 1 else ''}</li>"
        for level in range(0, LEVELS, 2)
    )
    return f'<div class="key"><span>Frames fused into one, about:</span><ul>{swatches}</ul></div>'
