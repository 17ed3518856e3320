"""Which files of a folder are taken for recordings, and what it takes to find out."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from media_files import ENCODINGS

from fls_cli.folders import MEDIA_SUFFIXES, files_below, is_recording
from fls_cli.inputs import open_sources


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that ffmpeg is started for, by name."""
    names: list[str] = []
    start = subprocess.Popen

    def noted(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        names.append(command[command.index("-i") + 1].removeprefix("file:"))
        return start(command, **options)

    monkeypatch.setattr(subprocess, "Popen", noted)
    return names


@pytest.mark.parametrize("suffix", sorted(MEDIA_SUFFIXES))
def test_suffixes_of_media_are_enough(tmp_path: Path, probed: list[str], suffix: str) -> None:
    for name in (f"a{suffix}", f"b.c{suffix.upper()}"):
        (tmp_path / name).write_bytes(b"\x47\x00")
        assert is_recording(tmp_path / name)
    (tmp_path / f"empty{suffix}").touch()
    # Said to be empty when it is read, and not passed over in silence.
    assert is_recording(tmp_path / f"empty{suffix}")
    assert probed == []


def test_suffixes_that_python_knows_are_enough(tmp_path: Path, probed: list[str]) -> None:
    for name, taken in {
        "a.3gpp": True,
        "a.snd": True,
        "a.qt": True,
        "notes.txt": False,
        "notes.PDF": False,
        "cover.jpg": False,
        "page.html": False,
        "talk.mp3.gz": False,
        "talk.wav.zip": False,
        "list.m3u": False,
        "list.m3u8": False,
        "tune.mid": False,
        "subtitles.ass": False,
    }.items():
        (tmp_path / name).write_bytes(b"\x00\x01\x02")
        assert is_recording(tmp_path / name) == taken, name
    assert probed == []


def test_our_own_results_are_no_recordings(
    recordings: Path, tmp_path: Path, probed: list[str]
) -> None:
    shutil.copy(recordings / "tone.mp3", tmp_path)
    results = tmp_path / "results"
    results.mkdir()
    for suffix in (".txt", ".md", ".srt", ".vtt", ".json", ".jsonl"):
        # Whatever stands in them.
        shutil.copy(recordings / "tone.mp3", results / f"tone{suffix}")
    assert files_below(tmp_path) == [tmp_path / "tone.mp3"]
    assert probed == []


@pytest.mark.parametrize("name", [*ENCODINGS, "two-tracks.mkv", "late-index.mp4"])
@pytest.mark.parametrize(
    "disguise", ["recording", "Part 3.5 of it", "x.recording", "data:,x", "x.\udcff"]
)
def test_sound_is_found_where_the_suffix_says_nothing(
    recordings: Path, videos: Path, tmp_path: Path, name: str, disguise: str
) -> None:
    folder = recordings if (recordings / name).exists() else videos
    shutil.copy(folder / name, tmp_path / disguise)
    assert files_below(tmp_path) == [tmp_path / disguise]


def test_what_holds_no_sound_is_left_out(videos: Path, tmp_path: Path) -> None:
    chance = random.Random(0)
    (tmp_path / "empty").touch()
    (tmp_path / "README").write_text("RIFF is no header here.\n" * 500)
    (tmp_path / "latin").write_bytes("Größe\n".encode("latin-1"))
    (tmp_path / "utf16").write_text("Größe\n", encoding="utf-16")
    (tmp_path / "playlist").write_text("#EXTM3U\nhttp://host/x.mp3\n")
    (tmp_path / "silent").symlink_to(videos / "silent.mp4")
    (tmp_path / "program").symlink_to(os.path.realpath(sys.executable))
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "fifo")
    os.mkfifo(tmp_path / "fifo.mp3")
    for size in (10, 1000, 100_000):
        (tmp_path / f"noise-{size}").write_bytes(chance.randbytes(size))
    assert files_below(tmp_path) == []


def test_ffmpeg_looks_only_at_what_may_be_media(
    recordings: Path, tmp_path: Path, probed: list[str]
) -> None:
    shutil.copy(recordings / "tone.flac", tmp_path / "b")
    shutil.copy(recordings / "tone.flac", tmp_path / "a.flac")
    (tmp_path / "LICENSE").write_text("Do as you like.\n")
    (tmp_path / "settings.yaml").write_text("a: b\n")
    (tmp_path / "empty").touch()
    (tmp_path / ".hidden").write_bytes(b"\x00\x01")
    assert files_below(tmp_path) == [tmp_path / "a.flac", tmp_path / "b"]
    assert probed == ["b"]


def test_source_code_is_no_stream_of_a_camera(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "index.ts").write_text("export const answer: number = 42;\n" * 300)
    (tmp_path / "module.mts").write_text("export {};\n")
    shutil.copy(recordings / "tone.ts", tmp_path)
    assert files_below(tmp_path) == [tmp_path / "tone.ts"]


def test_links_to_folders_are_not_followed_and_links_to_files_are(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.mp3").write_bytes(b"x")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "round").symlink_to(tmp_path)
    (tmp_path / "here" / "b.mp3").symlink_to(tmp_path / "elsewhere" / "a.mp3")
    assert files_below(tmp_path / "here") == [tmp_path / "here" / "b.mp3"]


def test_a_folder_of_thousands_opens_at_once(tmp_path: Path, probed: list[str]) -> None:
    for number in range(2000):
        folder = tmp_path / f"season-{number % 20}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.mp3").touch()
    begun = time.perf_counter()
    with open_sources([str(tmp_path)]) as sources:
        taken = time.perf_counter() - begun
    assert len(sources) == 2000
    assert probed == []
    # 0.05 s on an idle machine.
    assert taken < 1
