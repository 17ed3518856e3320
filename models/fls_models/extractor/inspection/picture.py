"""An inspection as a picture: panels over one time axis, as PNG or SVG.

Sound, content density, rounds of fusion as strips, and what the CTC head reads: each word under
its time where there is room for all, else as much of every stretch as there is room for.
matplotlib is imported when something is drawn.
"""

import io
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fls_models.core.constants import FRAME_RATE
from fls_models.core.optional import optional
from fls_models.core.timestamps import clock_time
from fls_models.extractor.inspection.columns import Columns, columns
from fls_models.extractor.inspection.inspection import Inspection

_DPI = 120
_WIDTH = 16.0
# Inches: of the panels that are always there, of a strip, of a line of text; and what is around.
_PANEL, _STRIP, _LINE, _AROUND = 1.3, 0.32, 0.145, 1.1
# About as many as there are dots from left to right.
_COLUMNS = 1600
# Points; inches that a letter takes then, and that text has from left to right.
_TEXT_SIZE, _LETTER, _ROOM = 7.0, 0.056, 14.2
_MAX_LINES = 12
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MAX_TICKS, _MAX_BLOCKS = 16, 9
# More borders of sections would hide what is between them.
_MAX_SECTIONS = 30
# From here on all is one colour: pauses are, and speech differs below.
_MANY = 16
# Told apart in grey, too; the strips' cividis is made for all eyes.
_WAVE, _DENSITY, _BORDER, _FAINT = "#56718c", "#c24e00", "#000000", "#d0d0d0"


@dataclass(frozen=True)
class _Text:
    """A line of text at a time, so many lines below the first."""

    time: float
    line: int
    text: str


def picture(inspection: Inspection, name: str, suffix: str) -> bytes:
    """The same inspection gives the same bytes.

    Args:
        name: of the recording, for the title.
        suffix: `.png` or `.svg`.
    """
    matplotlib = optional("matplotlib", "Drawing a picture")
    buffer = io.BytesIO()
    # No dates and random names; a dollar in a text is none of mathematics.
    settings: Any = {"svg.hashsalt": "fls", "svg.fonttype": "none", "text.parse_math": False}
    metadata = {"Date": None} if suffix == ".svg" else {"Software": None}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # Letters that the font lacks become boxes.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        _figure(inspection, name).savefig(
            buffer, format=suffix.removeprefix("."), metadata=metadata
        )
    return buffer.getvalue()


def _figure(inspection: Inspection, name: str) -> Any:
    from matplotlib.figure import Figure

    # A recording of nothing has an axis, too.
    end = max(inspection.end, inspection.start + 1 / FRAME_RATE)
    texts = _words(inspection) or list(_phrases(inspection))
    lines = 1 + max((text.line for text in texts), default=0)
    heights = [_PANEL, _PANEL, _STRIP * max(1, inspection.rounds), _LINE * (lines + 1)]
    figure = Figure(figsize=(_WIDTH, sum(heights) + _AROUND), dpi=_DPI, layout="constrained")
    figure.suptitle(_title(inspection, name), fontsize=10)
    # The narrow column is the strips' scale, so that all panels end at the same place.
    grid = figure.add_gridspec(4, 2, height_ratios=heights, width_ratios=[1, 0.01])
    panels = [figure.add_subplot(grid[0, 0])]
    panels += [figure.add_subplot(grid[row, 0], sharex=panels[0]) for row in (1, 2, 3)]
    # Columns of equally many frames: else they would differ by that.
    step = ceil(max(1, inspection.frames_before) / _COLUMNS) / FRAME_RATE
    count = ceil((end - inspection.start) / step)
    borders: NDArray[np.float64] = inspection.start + step * np.arange(count + 1, dtype=np.float64)
    values = columns(inspection, borders)
    _draw_sound(panels[0], borders, values)
    _draw_density(panels[1], borders, values, inspection)
    _draw_rounds(panels[2], figure.add_subplot(grid[2, 1]), borders, values, inspection)
    _draw_texts(panels[3], texts, lines, inspection)
    is_marked = 1 < len(inspection.sections) <= _MAX_SECTIONS
    for axes in panels:
        # Behind words, which would not be read otherwise.
        colour = _BORDER if axes is not panels[3] else _FAINT
        for section in inspection.sections[1:] if is_marked else ():
            begin = section.times[0, 0]
            axes.axvline(begin, color=colour, linewidth=0.9, linestyle="--")
        axes.label_outer()
    panels[0].set_xlim(inspection.start, end)
    ticks = _ticks(inspection, _MAX_TICKS)
    panels[-1].set_xticks(ticks, [clock_time(tick) for tick in ticks])
    sections = ", dashed: a new section" if is_marked else ""
    panels[-1].set_xlabel(f"time (minutes:seconds{sections})", fontsize=8)
    figure.align_ylabels(panels)
    return figure


def _title(inspection: Inspection, name: str) -> str:
    lengths = " → ".join(map(str, inspection.lengths))
    count = len(inspection.sections)
    parts = [
        f"{inspection.end - inspection.start:.1f} s",
        f"{lengths} frames in {count} section{'s' * (count != 1)}",
        *([f"mean density {inspection.mean_density:.2f}"] if inspection.has_head else []),
        f"{inspection.model} at budget {inspection.budget}",
    ]
    return f"{textwrap.shorten(name, 80)}: {', '.join(parts)}"


def _draw_sound(axes: Any, borders: NDArray[np.float64], values: Columns) -> None:
    axes.fill_between(
        borders[:-1], -values.peaks, values.peaks, step="post", color=_WAVE, linewidth=0
    )
    axes.axhline(0, color=_WAVE, linewidth=0.5)
    highest = np.nan_to_num(values.peaks).max()
    axes.set_ylim(-1.05 * (highest or 1.0), 1.05 * (highest or 1.0))
    _label(axes, "waveform\n(1: full scale)")


def _draw_density(
    axes: Any, borders: NDArray[np.float64], values: Columns, inspection: Inspection
) -> None:
    axes.fill_between(borders[:-1], values.density, step="post", color=_DENSITY, linewidth=0)
    # Means over more time are lower.
    axes.set_ylim(0, 1.05 * max(0.2, np.nan_to_num(values.density).max()))
    each = borders[1] - borders[0]
    mean = f", mean\nof {each:.2g} s" if each > 1.5 / FRAME_RATE else ""
    _label(axes, f"content density{mean}" if inspection.has_head else "density:\nno CTC head")


def _draw_rounds(
    axes: Any, scale: Any, borders: NDArray[np.float64], values: Columns, inspection: Inspection
) -> None:
    from matplotlib.colors import LogNorm

    if not inspection.rounds:
        scale.axis("off")
        axes.text(0.5, 0.5, "no frames were fused", transform=axes.transAxes, ha="center")
        axes.set_yticks([])
        return
    image = axes.imshow(
        values.joined,
        norm=LogNorm(1, _MANY),
        cmap="cividis",
        aspect="auto",
        interpolation="nearest",
        extent=(borders[0], borders[-1], inspection.rounds + 0.5, 0.5),
    )
    numbers = range(1, inspection.rounds + 1)
    lengths = inspection.lengths[1:]
    labels = [f"{number}: {count}" for number, count in zip(numbers, lengths, strict=True)]
    axes.set_yticks(numbers, labels)
    _label(axes, "round:\nframes left")
    bar = axes.figure.colorbar(image, cax=scale, extend="max")
    ticks = [1, 4, _MANY]
    bar.set_ticks(ticks, labels=list(map(str, ticks)), minor=False)
    bar.set_ticks([], minor=True)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("frames\nin one", fontsize=7)


def _draw_texts(axes: Any, texts: list[_Text], lines: int, inspection: Inspection) -> None:
    axes.set_ylim(lines + 0.5, -0.5)
    axes.set_yticks([])
    _label(axes, "CTC head\nreads")
    for text in texts:
        axes.text(text.time, text.line, text.text, fontsize=_TEXT_SIZE, va="center", clip_on=True)
    if not texts:
        message = "nothing" if inspection.has_head else "there is none"
        axes.text(0.5, 0.5, message, transform=axes.transAxes, fontsize=8, ha="center", va="center")


def _words(inspection: Inspection) -> list[_Text]:
    """Each word where it begins, on the first line with room for it; none if not all have room."""
    letter_seconds = _LETTER * (inspection.end - inspection.start) / _ROOM
    free: list[float] = []
    texts: list[_Text] = []
    for word in inspection.words:
        text = word.text.strip()
        # Two letters' room, so that neighbours do not touch.
        seconds = letter_seconds * (len(text) + 2)
        start = max(inspection.start, min(word.start, inspection.end - seconds))
        line = next((row for row, end in enumerate(free) if end <= start), len(free))
        if line == _MAX_LINES:
            return []
        free[line : line + 1] = [start + seconds]
        texts.append(_Text(start, line, text))
    return texts


def _phrases(inspection: Inspection) -> Iterator[_Text]:
    """Of each stretch from one round time to the next, as much as its place has room for."""
    edges = [*_ticks(inspection, _MAX_BLOCKS), inspection.end]
    if edges[0] > inspection.start:
        edges.insert(0, inspection.start)
    for start, end in pairwise(edges):
        words = (word.text for word in inspection.words if start <= word.start < end)
        phrase = "".join(words).strip()
        if not phrase:
            continue
        room = _ROOM * (end - start) / (inspection.end - inspection.start) / _LETTER
        # These times are not always those of the axis.
        entry = f"{clock_time(start)}  {phrase}"
        lines = textwrap.wrap(
            entry, max(8, floor(room) - 2), max_lines=_MAX_LINES, placeholder=" …"
        )
        # Not on the tick itself, which is the end of what is before it.
        aside = (end - start) / max(8, room)
        for line, text in enumerate(lines):
            yield _Text(start + aside, line, text)


def _ticks(inspection: Inspection, max_ticks: int) -> list[int]:
    """Round times in the recording, at most so many."""
    seconds = inspection.end - inspection.start
    step = next((step for step in _STEPS if seconds / step < max_ticks), ceil(seconds / max_ticks))
    return list(range(step * ceil(inspection.start / step), ceil(inspection.end), step)) or [0]


def _label(axes: Any, text: str) -> None:
    axes.set_ylabel(text, fontsize=8)
    axes.tick_params(labelsize=7)
