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
from media_files import ENCODINGS, hear, tone, write_wav
from permissions import ordinary
from tiny_model import SAID, TinyModel, play

from fls_cli.sources.folders import MEDIA_SUFFIXES, files_below, is_recording
from fls_cli.sources.resolve import open_sources
from fls_models.errors import EmptyInput, InputError


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
    begun = time.process_time()
    with open_sources([str(tmp_path)]) as sources:
        taken = time.process_time() - begun
    assert len(sources) == 2000
    assert probed == []
    # 0.05 s of a processor.
    assert taken < 1


@pytest.fixture
def shut(tmp_path: Path) -> Path:
    """A folder with a recording, beside folders that may not be read or not be entered."""
    for name in ("a.mp3", "closed/b.mp3", "names/c.mp3", "names/below/d.mp3", "open/e.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "closed").chmod(0)
    (tmp_path / "names").chmod(0o444)
    return tmp_path


def test_folders_that_may_not_be_read_leave_the_others(shut: Path) -> None:
    for named in (f"{shut}", f"{shut}/", f"{shut}/*", f"{shut}/**", f"{shut}/**/*.mp3"):
        told: dict[str, str] = {}
        with (
            ordinary(),
            open_sources(
                [named, "x.mp3"],
                failed=lambda name, error, told=told: told.update({name: str(error)}),
            ) as sources,
        ):
            names = [str(source.path) for source in sources]
        assert names == [f"{shut}/a.mp3", f"{shut}/open/e.mp3", "x.mp3"], named
        assert list(told) == [f"{shut}/closed", f"{shut}/names"], named
        for name, error in told.items():
            assert error == (
                f"{name}: this folder could not be read: Permission denied; allow it with chmod or "
                "ask its owner."
            )


def test_nothing_but_folders_that_may_not_be_read_is_not_called_empty(shut: Path) -> None:
    told: list[str] = []
    for name in ("a.mp3", "open/e.mp3"):
        (shut / name).unlink()
    with (
        ordinary(),
        open_sources([str(shut)], failed=lambda name, error: told.append(name)) as sources,
    ):
        assert sources == []
    assert told == [f"{shut}/closed", f"{shut}/names"]
    with ordinary(), pytest.raises(InputError, match="this folder could not be read"):
        files_below(shut)
    with ordinary(), pytest.raises(InputError, match="closed: this folder could not be read"):
        files_below(shut / "closed", unreadable=lambda error: None)


def test_an_unreadable_folder_is_a_failed_input(
    tiny: TinyModel, talk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    closed = talk.parent / "lost+found"
    closed.mkdir(mode=0)
    with ordinary():
        played = play(capfd, "transcribe", str(talk.parent))
    assert played.code == 1
    assert played.lines == [f"==> {talk} <==", *SAID]
    assert played.err.splitlines()[0].startswith(f"fls: {closed}: this folder could not be read")
    assert "fls: 1 of 2 failed:" in played.err


def test_clips_of_ours_are_passed_over_unless_named(
    tmp_path: Path, tiny: TinyModel, capfd: pytest.CaptureFixture[str]
) -> None:
    talks = tmp_path / "talks"
    talks.mkdir()
    talk = write_wav(talks / "talk.wav", tone(440, 4))
    asked = ("ask", str(talks), "-q", "What stands along the streets?")
    first = play(capfd, *asked, "--clips", str(talks / "clips"))
    clips = sorted((talks / "clips").iterdir())
    assert clips
    # Whatever they are called by now.
    clips[0] = clips[0].rename(talks / "clips" / "quote.WAV")
    again = play(capfd, *asked)
    assert (again.code, again.out) == (0, first.out)
    count = len(clips)
    which = "a clip that fls cut out is" if count == 1 else f"{count} clips that fls cut out are"
    assert f"fls: {talks}: {which} passed over; name a clip to have it heard" in again.err
    notes: list[str] = []
    for named, found in {
        f"{talks}/*": [talk],
        f"{talks}/**": [talk],
        f"{talks}/clips/*.WAV": [clips[0]],
        str(clips[0]): [clips[0]],
    }.items():
        with open_sources([named], note=notes.append) as sources:
            assert [source.path for source in sources] == found, named
    assert len(notes) == 2
    with (
        pytest.raises(EmptyInput, match="a folder of nothing"),
        open_sources([str(talks / "clips")]),
    ):
        pass
    assert hear(clips[0]).seconds > 0
