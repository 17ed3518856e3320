"""An inspection as text: rows whose characters can be checked one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fls_cli.writers.inspection_text import FINE, PLAIN, alphabet_for, inspection_lines, is_overview
from fls_models.core.results import Word
from fls_models.extractor.inspection.inspection import InspectedSection, Inspection


def section(seconds: int, first: float = 0.0, each: int = 5) -> InspectedSection:
    """Loud and full of content every other second; then `each` frames become one in the first
    round and all of a second in the next.
    """
    count = 25 * seconds
    edges = first + np.arange(count + 1) * 0.04
    loud = (np.arange(count) // 25 % 2 == 0).astype(np.float32)
    return InspectedSection(
        times=np.stack([edges[:-1], edges[1:]], axis=1),
        peaks=0.5 * loud,
        density=loud,
        rounds=(np.arange(0, count, each), np.arange(0, count, 25)),
    )


def inspection(seconds: int = 10, words: tuple[Word, ...] = ()) -> Inspection:
    return Inspection(0.0, float(seconds), (section(seconds),), words, True, "mini", "fast")


def word(start: float, text: str) -> Word:
    return Word(start, start + 0.2, f" {text}", 0.9)


def rows(lines: list[str], label: str) -> list[str]:
    return [line[8:] for line in lines if line.startswith(f"{label} ")]


def test_the_first_line_has_the_totals() -> None:
    first, *_ = inspection_lines(inspection(), "talk.mp4", 120)
    assert first == (
        "talk.mp4: 0:10.0, 1 window, 1 section, frames 250 → 50 → 10, mean density 0.50, mini, fast"
    )


def test_rows_stand_over_their_times() -> None:
    lines = inspection_lines(inspection(), "talk.mp4", 78)
    # Two rows of five seconds, fourteen columns each.
    loud, quiet = "█" * 14, " " * 14
    assert rows(lines, "wave") == [
        (loud + quiet + loud + quiet + loud),
        quiet + loud + quiet + loud,
    ]
    assert rows(lines, "density") == rows(lines, "wave")
    # Five in one are nearest to four, 25 to 32.
    assert rows(lines, "round 1") == ["▃" * 70] * 2
    assert rows(lines, "round 2") == ["▆" * 70] * 2
    assert "▁ 1 ▂ 2 ▃ 4 ▄ 8 ▅ 16 ▆ 32 ▇ 64 █ more." in lines[3]
    axes = [line[8:] for line in lines if line[8:9] == "│"]
    assert axes == [
        "".join(f"│0:0{second}".ljust(14) for second in seconds).rstrip()
        for seconds in (range(5), range(5, 10))
    ]


def test_words_stand_under_their_times() -> None:
    said = (word(0.0, "good"), word(1.0, "morning"), word(1.1, "everyone"), word(7.0, "trees"))
    lines = inspection_lines(inspection(words=said), "talk.mp4", 78)
    at = lines.index(next(line for line in lines if line.startswith("text")))
    assert lines[at][8:] == "good".ljust(14) + "morning"
    # Where there is no room beside it: one line below.
    assert lines[at + 1][8:] == " " * 15 + "everyone"
    assert rows(lines, "text")[1] == " " * 28 + "trees"


def test_a_word_at_the_edge_stays_inside() -> None:
    lines = inspection_lines(inspection(words=(word(4.9, "institutions"),)), "talk.mp4", 78)
    assert rows(lines, "text") == ["institutions".rjust(70)]


def test_a_new_section_is_marked() -> None:
    halves = (section(4), section(6, 4.0))
    lines = inspection_lines(replace(inspection(), sections=halves), "talk.mp4", 78)
    assert "2 sections" in lines[0]
    assert "┃ a new section, fused for itself." in lines
    for label in ("wave", "density", "round 1", "round 2"):
        first, second = rows(lines, label)
        assert (first.index("┃"), "┃" in second) == (56, False)


def test_of_very_many_sections_none_is_marked() -> None:
    many = tuple(section(4, first) for first in range(0, 1200, 4))
    lines = inspection_lines(replace(inspection(1200), sections=many), "talk.mp4", 80)
    assert "300 sections" in lines[0]
    assert not any("┃" in line for line in lines)


def test_long_recordings_are_an_overview_in_a_dozen_rows_at_most() -> None:
    said = tuple(word(second, f"w{second}") for second in range(600))
    lines = inspection_lines(inspection(600, said), "talk.mp4", 80)
    assert is_overview(inspection(600, said), 80)
    assert not is_overview(inspection(100), 80)
    assert len(rows(lines, "wave")) == 10
    assert rows(lines, "text")[0].startswith("w0 w1 w2 ")
    # What is said from the 20th second on stands there.
    assert rows(lines, "text")[0][24:].startswith("w20 w21 ")
    assert any("…" in line for line in lines)


def test_a_stretch_begins_at_a_round_time() -> None:
    later = Inspection(61.5, 65.5, (section(4, 61.5),), (), True, "mini", "fast")
    lines = inspection_lines(later, "talk.mp4", 78)
    assert lines[0].startswith("talk.mp4: 0:04.0")
    assert "│1:01" in "\n".join(lines)
    assert rows(lines, "wave")[0] == " " * 7 + "█" * 14 + " " * 14 + "█" * 14


@pytest.mark.parametrize("width", [1, 24, 40, 80, 200])
@pytest.mark.parametrize("seconds", [1, 30, 3600])
def test_no_line_is_wider_than_the_terminal(width: int, seconds: int) -> None:
    said = tuple(word(place / 2, "incomprehensibilities") for place in range(2 * seconds))
    for alphabet in (FINE, PLAIN):
        lines = inspection_lines(inspection(seconds, said), "talk.mp4", width, alphabet)
        assert max(map(len, lines)) <= max(24, width)


def test_without_a_head_that_is_said() -> None:
    without = replace(inspection(), has_head=False)
    text = " ".join(inspection_lines(without, "talk.mp4", 200))
    assert "no CTC head" in text
    assert "mean density" not in text


def test_nothing_and_silence_are_said() -> None:
    nothing = Inspection(0.0, 0.01, (), (), True, "mini", "fast")
    assert inspection_lines(nothing, "talk.mp4")[-1] == "Nothing was heard in it."
    mute = replace(section(4), peaks=np.zeros(100, np.float32), rounds=())
    silent = replace(inspection(4), sections=(mute,))
    lines = inspection_lines(silent, "talk.mp4")
    assert "frames 100," in lines[0]
    assert not any(line.startswith("round") for line in lines)


def test_only_harmless_characters_leave() -> None:
    said = (word(0.0, "a\x1b[31mb\nc"),)
    text = "\n".join(inspection_lines(inspection(words=said), "\x1b]0;x.mp3"))
    assert "\x1b" not in text
    assert "a[31mb c" in text


@pytest.mark.parametrize(
    ("encoding", "alphabet"),
    [("utf-8", FINE), ("ascii", PLAIN), ("latin-1", PLAIN), (None, PLAIN), ("none", PLAIN)],
)
def test_the_alphabet_is_what_can_be_written(encoding: str | None, alphabet: object) -> None:
    assert alphabet_for(encoding) is alphabet
    if alphabet is PLAIN:
        "\n".join(inspection_lines(inspection(), "talk.mp4", 80, PLAIN)).encode("ascii")
