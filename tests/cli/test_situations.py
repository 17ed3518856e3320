"""Whatever a container does with its clock, its channels or its header: everything is heard, each
sound at its time, and what is missing is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fls_cli.media.ffmpeg.locate import Ffmpeg
from fls_cli.media.stream import probe
from tests.cli.media_files import Heard, as_file, hear
from tests.cli.situation_makers import heard_clicks
from tests.cli.situations import SITUATIONS, Situation

# What differs in how it is laid out alone has the same clock as the others.
_LAID_OUT_ALIKE = ("joined with", " between", "joined, the ")


@pytest.mark.parametrize("name", SITUATIONS, ids=lambda name: name.replace(" ", "-"))
def test_all_is_heard_at_its_time(name: str, ffmpeg: Ffmpeg, made: dict[str, Path]) -> None:
    right = SITUATIONS[name]
    known_wrong = right.tested_ffmpeg_only and ffmpeg.origin == "variable"
    path = made[name]
    whole = hear(path)
    if not known_wrong:
        _check_whole(right, whole, probe(as_file(path)).duration)
    if not any(words in name for words in _LAID_OUT_ALIKE):
        _check_passage(path, whole)
    if right.kinds.count("damaged") + right.kinds.count("gap") == 1 and not known_wrong:
        _check_around_hole(path, right, whole)


class _Made(dict[str, Path]):
    """The files of situations, each made when it is first asked for."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        super().__init__()
        self._folders = folders

    def __missing__(self, name: str) -> Path:
        self[name] = SITUATIONS[name].make(self._folders.mktemp("situation"))
        return self[name]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return _Made(tmp_path_factory)


def _check_whole(right: Situation, heard: Heard, duration: float | None) -> None:
    if duration is not None and right.kinds == ():
        assert heard.seconds <= duration + 0.2
    assert [flaw.kind for flaw in heard.flaws] == list(right.kinds)
    assert heard.seconds == pytest.approx(right.seconds, abs=max(0.1, 2 * right.close))
    # At the edges of damage a decoder may make noise of what is left.
    holes = [
        (flaw.start - 0.5, flaw.start + (flaw.seconds or 0) + 0.5)
        for flaw in heard.flaws
        if flaw.start is not None and flaw.kind in ("damaged", "gap")
    ]
    clicks = [
        time
        for time in heard_clicks(heard.samples)
        if not any(begin < time < end for begin, end in holes) or time in right.clicks
    ]
    assert clicks == pytest.approx(list(right.clicks), abs=right.close)


def _check_passage(path: Path, whole: Heard) -> None:
    """It is on the same clock as the whole."""
    start = 2.5
    passage = hear(path, start=start, end=start + 0.75).samples
    expected = whole.samples[int(start * 16_000) :][: len(passage)]
    assert len(passage) == pytest.approx(min(12_000, len(whole.samples) - 40_000), abs=1)
    assert np.abs(passage - expected).max() < 0.1


def _check_around_hole(path: Path, right: Situation, whole: Heard) -> None:
    """Of a passage only its own damage is told."""
    [hole] = [flaw for flaw in whole.flaws if flaw.kind in ("damaged", "gap")]
    if hole.start is None or hole.seconds is None:
        return
    end = hole.start + hole.seconds
    assert hear(path, end=hole.start - 0.2).flaws == []
    half = hole.seconds / 2
    inside = hear(path, start=hole.start + half, end=end + 0.5).flaws
    assert [(flaw.start, flaw.seconds) for flaw in inside if flaw.kind == hole.kind] == [
        (pytest.approx(hole.start + half, abs=0.1), pytest.approx(half, abs=0.2))
    ]
    behind = hear(path, start=end + 0.2).flaws
    assert [flaw.kind for flaw in behind] == [kind for kind in right.kinds if kind == "cut off"]


def test_what_is_missing_of_joined_wavs_is_of_all_of_them(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = SITUATIONS["wav joined, the second cut off"].make(tmp_path)
    assert probe(as_file(path)).duration == pytest.approx(7.0)
    [flaw] = hear(path).flaws
    assert "6.3 s of 7.0 s could be read" in flaw.text
    [flaw] = hear(path, start=5.0).flaws
    assert "1.3 s of 2.0 s could be read" in flaw.text


def test_a_passage_of_a_part_behind_the_first(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    for name in ("webm joined", "mkv joined", "opus chained", "ts joined", "mp3 joined"):
        folder = tmp_path / name
        folder.mkdir()
        found = hear(SITUATIONS[name].make(folder), start=5.2)
        assert heard_clicks(found.samples) == pytest.approx([0.8], abs=0.2)
        assert found.seconds == pytest.approx(1.8, abs=0.2)
        assert found.flaws == []
