"""The sound of pages: small, the same each time, in its place, and never waited for in vain."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from media_files import as_file

from fls_cli.media.ffmpeg.locate import Ffmpeg
from fls_cli.media.stream import stream
from fls_cli.sources.decode import decode
from fls_cli.writers.pages import page_audio as module
from fls_cli.writers.pages.page_audio import page_audio
from fls_models.core.constants import SAMPLE_RATE
from fls_models.errors import EnvironmentLacks

pytestmark = pytest.mark.usefixtures("ffmpeg")

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]


def blocks(seconds: int) -> Iterator[Samples]:
    """A click at the beginning of every third second, in silence."""
    for second in range(seconds):
        block = np.zeros(SAMPLE_RATE, np.float32)
        if second % 3 == 0:
            block[:200] = 0.8 * np.sin(np.arange(200) * 0.5)
        yield block


def test_it_is_small_and_every_sound_is_in_its_place(tmp_path: Path) -> None:
    made = page_audio(blocks(30))
    assert len(made) == pytest.approx(30 * 4000, rel=0.02)
    assert made[:1] == b"\xff", "MPEG frames from the first byte on"
    (tmp_path / "page.mp3").write_bytes(made)
    heard = np.concatenate(list(stream(as_file(tmp_path / "page.mp3"))))
    assert len(heard) / SAMPLE_RATE == pytest.approx(30, abs=0.2)
    for second in range(0, 30, 3):
        place = max(0, second * SAMPLE_RATE - 1600)
        loudest = place + int(np.abs(heard[place : place + SAMPLE_RATE]).argmax())
        assert loudest / SAMPLE_RATE == pytest.approx(second, abs=0.12)


def test_the_same_samples_give_the_same_bytes_however_they_come() -> None:
    whole = np.concatenate(list(blocks(9)))
    assert page_audio(blocks(9)) == page_audio([whole[:777], whole[777:]])


def test_more_than_pipes_hold_is_no_deadlock_and_one_block_is_taken_at_a_time() -> None:
    taken = 0

    def noise() -> Iterator[Samples]:
        nonlocal taken
        random = np.random.default_rng(0)
        for taken in range(1, 301):  # noqa: B007
            yield random.uniform(-1, 1, SAMPLE_RATE).astype(np.float32)

    assert len(page_audio(noise())) > 1_000_000
    assert taken == 300


def test_what_goes_wrong_with_the_samples_is_told_and_ends_ffmpeg(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    class Recorded(real):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    def broken() -> Iterator[Samples]:
        yield from blocks(2)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    with pytest.raises(KeyboardInterrupt):
        page_audio(broken())
    assert [child.returncode is not None for child in started] == [True]


def test_an_ffmpeg_that_cannot_write_mp3_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    poor = tmp_path / "ffmpeg"
    poor.write_text("#!/bin/sh\necho \"Unknown encoder 'libmp3lame'\" >&2\nexit 8\n")
    poor.chmod(0o755)
    monkeypatch.setattr(module, "choose_ffmpeg", lambda: Ffmpeg(str(poor), "variable"))
    with pytest.raises(EnvironmentLacks, match=r"Unknown encoder 'libmp3lame'.*set FLS_FFMPEG"):
        page_audio(blocks(60))


def test_a_talk_comes_out_as_long_as_it_is() -> None:
    talk = Path(__file__).parents[2] / "examples" / "talk.mp4"
    samples = list(decode(str(talk)))
    seconds = sum(map(len, samples)) / SAMPLE_RATE
    assert len(page_audio(samples)) / 4000 == pytest.approx(seconds, abs=0.2)
