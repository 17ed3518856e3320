"""Pictures of a table: score against operations, score against length; a panel for each task.

matplotlib is imported when something is drawn.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from fls_models.bench.scoring.tables import ALL, Line

NAMES = ("score-vs-tflops", "score-vs-length")
SUFFIXES = (".png", ".svg")

_AXES = {
    "judge": ("judge, 1 to 5", 1),
    "choices": ("right choice, %", 100),
    "facts": ("facts held, %", 100),
    "wer": ("word error rate, % (less is better)", 100),
}
# Told apart by shape as well: not everybody sees these colours.
_STYLES = {
    "fusion": ("#0072b2", "o"),
    "random": ("#999999", "x"),
    "avgpool": ("#e69f00", "s"),
    "mostsim": ("#009e73", "^"),
    "single-pass": ("#56b4e9", "v"),
    "no-density": ("#d55e00", "D"),
    "uncompressed": ("#000000", "*"),
    "ntk-rope": ("#cc79a7", "P"),
    "cascade": ("#7a5c00", "h"),
}
_PANEL = (5.2, 4.0)
_DPI = 120
# Points of 1/72 inch from one method to the next.
_ASIDE = 2.0
# Names beside each other under a panel.
_COLUMNS = 5


def draw(lines: Sequence[Line], folder: Path, title: str) -> list[Path]:
    """Both pictures as PNG and SVG in a folder that is there; those that hold no point are not
    made. Returns what was written.
    """
    panels = _panels(lines)
    paths = []
    for name, against in zip(NAMES, ("tflops", "rate"), strict=True):
        points = {panel: chain(*_points(lines, *panel, against).values()) for panel in panels}
        # Not those where no method has a place on the axis.
        filled = [panel for panel in panels if any(place for place, _ in points[panel])]
        if not filled:
            continue
        figure = _figure(lines, filled, against, title)
        for suffix in SUFFIXES:
            path = folder / f"{name}{suffix}"
            _save(figure, path)
            paths.append(path)
    return paths


def _panels(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Each task with its first metric; what is of all of them is for tables."""
    panels: dict[str, str] = {}
    for line in lines:
        if line.task == ALL:
            continue
        metric = next((name for name in _AXES if name in line.scores), None)
        if metric is not None:
            panels.setdefault(line.task, metric)
    return list(panels.items())


def _points(
    lines: Sequence[Line], task: str, metric: str, against: str
) -> dict[str, list[tuple[float, Line]]]:
    """By method, from left to right. Methods that have no place on the axis have place 0."""
    points: dict[str, list[tuple[float, Line]]] = {}
    for line in lines:
        if line.task == task and metric in line.scores:
            # Tokens of a transcript are no frames.
            words = against == "rate" and line.method == "cascade"
            place = 0.0 if words else getattr(line, against) or 0.0
            points.setdefault(line.method, []).append((place, line))
    return {method: sorted(series, key=lambda point: point[0]) for method, series in points.items()}


def _figure(
    lines: Sequence[Line], panels: Sequence[tuple[str, str]], against: str, title: str
) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.transforms import ScaledTranslation

    size = (_PANEL[0] * len(panels), _PANEL[1])
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=10)
    # Panels of one metric are compared by eye.
    alike = len({metric for _, metric in panels}) == 1
    row = figure.subplots(1, len(panels), squeeze=False, sharey=alike)[0]
    named: dict[str, Any] = {}
    for axes, (task, metric) in zip(row, panels, strict=True):
        by_method = _points(lines, task, metric, against)
        middle = (len(by_method) - 1) / 2
        for number, (method, points) in enumerate(by_method.items()):
            # Side by side, because intervals on one another cannot be read. On paper, not in
            # numbers: most methods take as many frames and operations as the others.
            aside = (number - middle) * _ASIDE / 72
            moved = ScaledTranslation(aside, 0.0, figure.dpi_scale_trans)
            named.setdefault(method, _plot(axes, method, metric, points, moved))
        _mark(axes, against, [place for series in by_method.values() for place, _ in series])
        axes.set_title(task, fontsize=10)
        axes.set_ylabel(_AXES[metric][0])
        if alike:
            axes.label_outer(remove_inner_ticks=True)
        axes.grid(alpha=0.25)
    # One for all panels and outside of them: within, it hides what lies below.
    figure.legend(
        named.values(),
        named.keys(),
        loc="outside lower center",
        ncols=_COLUMNS * len(panels),
        fontsize=7,
    )
    return figure


def _plot(
    axes: Any, method: str, metric: str, points: Sequence[tuple[float, Line]], moved: Any
) -> Any:
    """Draws a method as far aside as `moved` says; returns what stands for it in a legend."""
    colour, marker = _STYLES.get(method, ("#444444", "."))
    scale = _AXES[metric][1]
    handle = None
    for place, line in points:
        if not place:
            value = scale * line.scores[metric].value
            handle = axes.axhline(value, color=colour, linestyle="--", linewidth=1.2)
    placed = [(place, line.scores[metric]) for place, line in points if place]
    if not placed:
        return handle
    values = [scale * estimate.value for _, estimate in placed]
    # A resampled interval holds the value but for rounding.
    below = [max(0.0, scale * (estimate.value - estimate.low)) for _, estimate in placed]
    above = [max(0.0, scale * (estimate.high - estimate.value)) for _, estimate in placed]
    handle = axes.errorbar(
        [place for place, _ in placed],
        values,
        yerr=[below, above],
        color=colour,
        marker=marker,
        capsize=2,
        linewidth=1.2,
        markersize=5,
        elinewidth=0.7,
    )
    # Afterwards, so that the axes' limits are those of the numbers.
    for artist in handle.get_children():
        artist.set_transform(artist.get_transform() + moved)
    return handle


def _mark(axes: Any, against: str, places: Sequence[float]) -> None:
    dashed = not all(places)
    if against == "tflops":
        note = "; dashed: not counted" if dashed else ""
        axes.set_xlabel(f"TFLOPs an item (methods set apart a little{note})")
        return
    axes.set_xlabel("frames read for 30 s of audio" + (" (dashed: reads text)" if dashed else ""))
    axes.set_xscale("log", base=2)
    ticks = sorted({round(place) for place in places if place})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)


def _save(figure: Any, path: Path) -> None:
    from matplotlib import rc_context

    # The same table gives the same bytes: no date, no random names.
    with rc_context({"svg.hashsalt": "fls"}):
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, metadata=metadata)
