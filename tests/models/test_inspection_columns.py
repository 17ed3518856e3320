"""Inspections at any resolution, against loops over frames; and drawn, as files that hold them."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from numpy.typing import NDArray

from fls_models.core.results import Word
from fls_models.extractor.inspection.columns import columns
from fls_models.extractor.inspection.inspection import InspectedSection, Inspection
from fls_models.extractor.inspection.picture import picture

PNG = b"\x89PNG\r\n\x1a\n"
LEFT = (230, 100, 60)


def section(first: float, count: int, dice: np.random.Generator, share: int = 1) -> Any:
    """`count` frames from a time on, fused in some rounds to LEFT, or fewer."""
    edges = first + np.arange(count + 1) * 0.04
    kept, rounds = np.arange(count), []
    for left in LEFT:
        kept = np.sort(dice.permutation(kept[1:])[: left // share - 1])
        kept = np.concatenate([[0], kept])
        rounds.append(kept)
    return InspectedSection(
        times=np.stack([edges[:-1], edges[1:]], axis=1),
        peaks=dice.random(count).astype(np.float32),
        density=dice.random(count).astype(np.float32),
        rounds=tuple(rounds[: 3 if share == 1 else 2]),
    )


@pytest.fixture
def found() -> Inspection:
    """Sections of 20.4 and 9.6 seconds from 100 s on; the second had a round less."""
    dice = np.random.default_rng(0)
    sections = (section(100.0, 510, dice), section(120.4, 240, dice, share=2))
    words = tuple(Word(100.5 + i, 101.0 + i, f" word{i}", 0.9) for i in range(29))
    return Inspection(100.0, 130.0, sections, words, True, "tiny", "fast")


def loop(found: Inspection, start: float, end: float) -> tuple[float, float, list[float]]:
    """Peak, mean density and, for each round, frames for one that is left."""
    peaks, said, parts = [], [], [[] for _ in range(found.rounds)]  # type: ignore[var-annotated]
    for one in found.sections:
        for frame, (begin, until) in enumerate(one.times):
            if not start <= (begin + until) / 2 < end:
                continue
            peaks.append(one.peaks[frame])
            said.append(one.density[frame])
            for number in range(found.rounds):
                starts = [*one.rounds[min(number, len(one.rounds) - 1)], one.frames_before]
                place = max(index for index, first in enumerate(starts) if first <= frame)
                parts[number].append(1 / (starts[place + 1] - starts[place]))
    return max(peaks), float(np.mean(said)), [1 / float(np.mean(part)) for part in parts]


@pytest.mark.parametrize("count", [1, 7, 30, 299])
def test_columns_are_those_of_a_loop_over_frames(found: Inspection, count: int) -> None:
    borders = np.linspace(100, 130, count + 1)
    drawn = columns(found, borders)
    for place in range(count):
        peak, said, joined = loop(found, borders[place], borders[place + 1])
        assert drawn.peaks[place] == peak
        assert drawn.density[place] == pytest.approx(said, abs=1e-6)
        assert drawn.joined[:, place] == pytest.approx(joined, rel=1e-9)


def test_no_frame_counts_twice(found: Inspection) -> None:
    drawn = columns(found, np.arange(100.0, 130.5))
    # Seconds of 25 frames.
    assert (25 / drawn.joined).sum(axis=1) == pytest.approx(found.lengths[1:])
    assert drawn.density.mean() == pytest.approx(found.mean_density)


def test_short_columns_show_the_frame_around_them_and_none_beyond_the_ends(
    found: Inspection,
) -> None:
    drawn = columns(found, 99.98 + 0.01 * np.arange(3013))
    expected = np.concatenate([one.density for one in found.sections])
    assert (drawn.density[2:3002].reshape(750, 4) == expected[:, None]).all()
    for values in (drawn.peaks, drawn.density, *drawn.joined):
        assert np.isnan(values).nonzero()[0].tolist() == [0, 1, *range(3002, 3012)]


def test_nothing_has_empty_columns() -> None:
    drawn = columns(Inspection(0, 0.01, (), (), True, "tiny", "fast"), np.linspace(0, 1, 6))
    assert np.isnan(drawn.peaks).all()
    assert drawn.joined.shape == (0, 5)


# Pictures


def pixels(png: bytes) -> NDArray[np.float32]:
    return np.asarray(matplotlib.image.imread(io.BytesIO(png), format="png"))[..., :3]


def test_a_png_shows_what_is_there(found: Inspection) -> None:
    drawn = picture(found, "talk.mp4", ".png")
    assert drawn.startswith(PNG)
    width, height = struct.unpack(">II", drawn[16:24])
    assert width == 1920
    assert 400 < height < 1000
    shown = pixels(drawn)
    # Sound, density and the strips are each in colours of their own.
    blue, red = np.array([86, 113, 140]) / 255, np.array([194, 78, 0]) / 255
    for colour in (blue, red):
        assert (np.abs(shown - colour).max(axis=-1) < 0.02).sum() > 5000
    unfused = replace(found, sections=tuple(replace(one, rounds=()) for one in found.sections))
    yellow = (shown[..., 0] - shown[..., 2] > 0.5) & (shown[..., 1] > 0.7)
    plain = pixels(picture(unfused, "talk.mp4", ".png"))
    assert yellow.sum() > 2000
    assert not ((plain[..., 0] - plain[..., 2] > 0.5) & (plain[..., 1] > 0.7)).any()
    quiet = replace(
        found, sections=tuple(replace(one, peaks=one.peaks * 0) for one in found.sections)
    )
    silent = pixels(picture(quiet, "talk.mp4", ".png"))
    assert (np.abs(silent - blue).max(axis=-1) < 0.02).sum() < 5000


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_inspection_gives_the_same_bytes(found: Inspection, suffix: str) -> None:
    assert picture(found, "a.mp3", suffix) == picture(found, "a.mp3", suffix)
    assert picture(found, "a.mp3", suffix) != picture(found, "b.mp3", suffix)


def test_an_svg_names_the_recording_the_numbers_and_every_word(found: Inspection) -> None:
    text = picture(found, "a $5 <talk> $6.mp4", ".svg").decode()
    assert "a $5 &lt;talk&gt; $6.mp4: 30.0 s, 750 → 345 → 150 → 110 frames in 2 sections" in text
    assert all(f">word{i}</text>" in text for i in range(29))
    assert ">3: 110</text>" in text
    assert ">1:44</text>" in text


def test_of_too_many_words_the_first_of_each_stretch_are_drawn(found: Inspection) -> None:
    many = tuple(Word(100 + i / 50, 100 + i / 50, f" word{i}", 0.9) for i in range(1500))
    text = picture(replace(found, words=many), "a.mp3", ".svg").decode()
    # Stretches of five seconds.
    for first, time in enumerate(("1:40", "1:45", "1:50", "1:55", "2:00", "2:05")):
        assert f">{time}  word{250 * first} word{250 * first + 1} " in text
    assert "word249<" not in text
    assert " …</text>" in text


def test_what_has_no_words_no_head_or_no_sound_is_drawn(found: Inspection) -> None:
    silent = picture(replace(found, words=()), "a.mp3", ".svg").decode()
    assert ">nothing</text>" in silent
    headless = picture(replace(found, words=(), has_head=False), "a.mp3", ".svg").decode()
    assert ">there is none</text>" in headless
    assert "mean density" not in headless
    nothing = Inspection(3.0, 3.0, (), (), True, "tiny", "fast")
    assert picture(nothing, "a.mp3", ".png").startswith(PNG)
