"""An inspection as lines of text: rows of characters over a time axis, as wide as asked.

A pure function of the inspection and the width: short recordings in full, with every word under
its time; long ones as an overview in a dozen stretches, each with some of what is said in it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log2
from typing import TYPE_CHECKING

from fls_cli.console.text import clean
from fls_models.core.constants import WINDOW_SECONDS
from fls_models.core.timestamps import clock_time

if TYPE_CHECKING:
    from fls_models.core.results import Word
    from fls_models.extractor.inspection.inspection import Inspection

# A row's length in seconds, and what is from one tick of an axis to the next.
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
# Columns a second in which people's words have room beneath each other.
_ROOMY = 13
_MOST_ROOMY, _MOST = 24, 12
# Columns from tick to tick where words stand at their times, and where phrases stand at the ticks.
_TICK, _PHRASE = 12, 23
# Lines of text below a stretch, and columns by which a word may come late before it takes the next.
_TEXT_LINES, _LATE = 3, 4
# Columns that sections have on average, for their borders to be marked.
_APART = 8
_LABEL = 8
_NARROWEST = 24


@dataclass(frozen=True)
class Alphabet:
    """What is drawn with. `levels` are nothing and eight heights."""

    levels: str
    tick: str
    border: str
    more: str
    arrow: str


FINE = Alphabet(" ▁▂▃▄▅▆▇█", "│", "┃", "…", "→")
PLAIN = Alphabet(" .,:;+*#@", "|", "!", "...", "->")


def alphabet_for(encoding: str | None) -> Alphabet:
    """The finest that can be written in an encoding."""
    try:
        "".join((FINE.levels, FINE.tick, FINE.border, FINE.more, FINE.arrow)).encode(
            encoding or "ascii"
        )
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return FINE


def inspection_lines(
    inspection: Inspection, name: str, width: int = 80, alphabet: Alphabet = FINE
) -> list[str]:
    """What was heard, and what became of it: totals, what the rows mean, and the rows.

    No line is longer than `width` (at least 24) columns.
    """
    width = max(_NARROWEST, width)
    head = _wrapped(f"{clean(name)}: {_totals(inspection, alphabet)}", width)
    if not inspection.frames_before:
        return [*head, *_wrapped("Nothing was heard in it.", width)]
    scale = _Scale.of(inspection)
    borders = _borders(inspection, width)
    legend = _legend(inspection, scale, alphabet, marked=bool(borders))
    return [
        *head,
        *(line for text in legend for line in _wrapped(text, width)),
        *_stretches(inspection, scale, borders, width, alphabet),
    ]


def is_overview(inspection: Inspection, width: int) -> bool:
    """Whether it is too long for every word to be shown."""
    return _roomy(max(_NARROWEST, width)) != _row_seconds(inspection, max(_NARROWEST, width))


@dataclass(frozen=True)
class _Scale:
    """Levels of rows: of the wave, the loudest sample is the highest; of rounds, 1 is the lowest,
    and so many levels are a doubling.
    """

    loudest: float
    doubling: int

    @classmethod
    def of(cls, inspection: Inspection) -> _Scale:
        loudest = max(float(section.peaks.max()) for section in inspection.sections)
        strongest = inspection.frames_before / inspection.frames_after
        return cls(loudest, 2 if strongest <= 8 else 1)

    def joined(self, count: float) -> int:
        return min(8, 1 + round(self.doubling * log2(count)))


def _totals(inspection: Inspection, alphabet: Alphabet) -> str:
    seconds = inspection.end - inspection.start
    windows = ceil(seconds / WINDOW_SECONDS)
    lengths = f" {alphabet.arrow} ".join(map(str, inspection.lengths))
    parts = [
        _length(seconds),
        f"{windows} window{'s' * (windows != 1)}",
        f"{len(inspection.sections)} section{'s' * (len(inspection.sections) != 1)}",
        f"frames {lengths}",
        f"mean density {inspection.mean_density:.2f}" if inspection.has_head else "no CTC head",
        f"{inspection.model}, {inspection.budget}",
    ]
    return ", ".join(parts)


def _borders(inspection: Inspection, width: int) -> list[float]:
    """Where sections begin, in seconds, but for the first; none where they would hide the rows."""
    cell_seconds = _row_seconds(inspection, width) / (width - _LABEL)
    if (inspection.end - inspection.start) / cell_seconds < _APART * len(inspection.sections):
        return []
    return [float(section.times[0, 0]) for section in inspection.sections[1:]]


def _legend(
    inspection: Inspection, scale: _Scale, alphabet: Alphabet, *, marked: bool
) -> list[str]:
    marks = alphabet.levels
    lines = ["wave: the loudest sample. density: how much a frame says, from 0 to 1."]
    if not inspection.has_head:
        lines = ["wave: the loudest sample. Without a CTC head every frame counts as much."]
    if inspection.rounds:
        marked_counts = [(scale.joined(count), count) for count in (1, 2, 4, 8, 16, 32, 64, 128)]
        levels = " ".join(f"{marks[level]} {count}" for level, count in marked_counts if level < 8)
        lines.append(f"rounds: how many frames became one, {levels} {marks[8]} more.")
    if marked:
        lines.append(f"{alphabet.border} a new section, fused for itself.")
    return lines


def _stretches(
    inspection: Inspection,
    scale: _Scale,
    borders: Sequence[float],
    width: int,
    alphabet: Alphabet,
) -> list[str]:
    import numpy as np

    from fls_models.extractor.inspection.columns import columns

    room = width - _LABEL
    seconds = _row_seconds(inspection, width)
    cell_seconds = seconds / room
    overview = is_overview(inspection, width)
    cells = _PHRASE if overview else _TICK
    tick = min(next((step for step in _STEPS if step / cell_seconds >= cells), seconds), seconds)
    origin = floor(inspection.start / tick) * tick
    count = max(1, ceil((inspection.end - origin) / seconds - 1e-6))
    values = columns(inspection, origin + cell_seconds * np.arange(count * room + 1))
    lines: list[str] = []
    for row in range(count):
        first, part = origin + row * seconds, slice(row * room, (row + 1) * room)
        places = [floor((border - first) / cell_seconds) for border in borders]
        wave = [_level(8 * peak / (scale.loudest or 1.0)) for peak in values.peaks[part]]
        density = [_level(8 * share) for share in values.density[part]]
        rows = [("wave", wave), ("density", density)]
        for number, joined in enumerate(values.joined[:, part], 1):
            levels = [scale.joined(frames) if frames == frames else 0 for frames in joined]
            rows.append((f"round {number}", levels))
        row_texts = [("", _axis(first, seconds, tick, room, alphabet))]
        row_texts += [(label, _drawn(levels, places, alphabet)) for label, levels in rows]
        words = [word for word in inspection.words if first <= word.start < first + seconds]
        if overview:
            texts = _phrases(words, first, seconds, tick, room, alphabet)
        else:
            texts = _placed(words, first, cell_seconds, room, alphabet)
        row_texts += [("text" if not turn else "", text) for turn, text in enumerate(texts)]
        lines += ["", *(f"{label:{_LABEL}}{text}".rstrip() for label, text in row_texts)]
    return lines


def _roomy(width: int) -> int:
    """The longest row, in seconds, that has room for what is said in it."""
    return max((step for step in _STEPS if (width - _LABEL) / step >= _ROOMY), default=_STEPS[0])


def _row_seconds(inspection: Inspection, width: int) -> int:
    roomy, duration = _roomy(width), inspection.end - inspection.start
    if duration <= _MOST_ROOMY * roomy:
        return roomy
    return next((step for step in _STEPS if duration <= _MOST * step), ceil(duration / _MOST))


def _axis(first: float, seconds: int, tick: int, room: int, alphabet: Alphabet) -> str:
    text = [" "] * room
    for number in range(ceil(seconds / tick)):
        at = round(number * tick * room / seconds)
        label = f"{alphabet.tick}{clock_time(first + number * tick + 1e-6)}"[: room - at]
        text[at : at + len(label)] = label
    return "".join(text)


def _level(height: float) -> int:
    """Nothing where nothing was heard, or next to nothing."""
    return round(min(8.0, height)) if height == height else 0


def _drawn(levels: Sequence[int], borders: Sequence[int], alphabet: Alphabet) -> str:
    return "".join(
        alphabet.border if place in borders else alphabet.levels[level]
        for place, level in enumerate(levels)
    )


def _placed(
    words: Sequence[Word], first: float, cell_seconds: float, room: int, alphabet: Alphabet
) -> list[str]:
    """Words where they begin, on the first line that has room for them, without the empty ones."""
    lines = [""] * _TEXT_LINES
    for word in words:
        text = _text(word)[:room]
        target = min(int((word.start - first) / cell_seconds), room - len(text))
        gap = word.text[:1].isspace()
        places = [max(target, len(line) + (gap and bool(line))) for line in lines]
        candidates = [
            line_number for line_number, at in enumerate(places) if at + len(text) <= room
        ]
        if not candidates:
            continue
        late = [line_number for line_number in candidates if places[line_number] - target <= _LATE]
        number = min(late) if late else min(candidates, key=lambda line_number: places[line_number])
        lines[number] = lines[number].ljust(places[number]) + text
    return [line for line in lines if line]


def _phrases(
    words: Sequence[Word], first: float, seconds: int, tick: int, room: int, alphabet: Alphabet
) -> list[str]:
    """At each tick, as much of what is said from there on as has room."""
    lines = [""] * _TEXT_LINES
    for number in range(ceil(seconds / tick)):
        begin = first + number * tick
        at = round(number * tick * room / seconds)
        wide = min(room, round((number + 1) * tick * room / seconds) - 1) - at
        if wide < _LABEL:
            continue
        speech = "".join(
            f" {_text(word)}" if word.text[:1].isspace() else _text(word)
            for word in words
            if begin <= word.start < begin + tick
        )
        parts = textwrap.wrap(speech.strip(), wide)
        if len(parts) > _TEXT_LINES:
            last = textwrap.wrap(parts[_TEXT_LINES - 1], max(1, wide - len(alphabet.more)))[0]
            parts = [*parts[: _TEXT_LINES - 1], last + alphabet.more]
        for line, part in enumerate(parts):
            lines[line] = lines[line].ljust(at) + part
    return [line for line in lines if line]


def _text(word: Word) -> str:
    return clean(word.text).replace("\n", " ").replace("\t", " ").strip()


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _length(seconds: float) -> str:
    """`1:02.3`, to the nearest tenth."""
    whole, tenth = divmod(round(seconds * 10), 10)
    return f"{clock_time(whole)}.{tenth}"
