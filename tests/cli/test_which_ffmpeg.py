"""The tested ffmpeg decodes unless the user chose another; what the two give is kept apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from media_files import as_file
from test_hearing import Runs, runs
from tiny_model import play

from fls_cli.media.ffmpeg.locate import VARIABLE, bundled_ffmpeg, choose_ffmpeg, decoder_parts
from fls_cli.media.stream import probe
from fls_cli.options.bench import work_folder
from fls_models.errors import FfmpegMissing

__all__ = ["runs"]

Patch = pytest.MonkeyPatch
Script = Callable[[str], Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Makes a program `bin/ffmpeg` that does what it is given."""

    def write(body: str) -> Path:
        path = tmp_path / "bin" / "ffmpeg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def other(script: Script, monkeypatch: Patch) -> Path:
    """An ffmpeg that comes first on PATH: the tested one, which says another version."""
    decodes = f'exec "{bundled_ffmpeg()}" "$@"'
    path = script(f'[ "$1" = -version ] && exec echo ffmpeg version 1.2 of a friend\n{decodes}')
    monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)
    return path


def test_the_wheel_s_comes_before_path_s(other: Path) -> None:
    chosen = choose_ffmpeg()
    assert (chosen.origin, chosen.path) == ("wheel", bundled_ffmpeg())
    # What the wheel itself says that it brought.
    from importlib.metadata import files

    brought = [file for file in files("imageio-ffmpeg") or [] if file.parent.name == "binaries"]
    assert [Path(chosen.path)] == [
        Path(str(file.locate())) for file in brought if file.name.startswith("ffmpeg-")
    ]


def test_the_variable_of_imageio_changes_nothing(other: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(other))
    assert choose_ffmpeg().origin == "wheel"


def test_finding_the_wheel_s_starts_nothing(monkeypatch: Patch) -> None:
    def start(*arguments: object, **options: object) -> None:
        raise AssertionError(arguments)

    monkeypatch.setattr(subprocess, "Popen", start)
    assert choose_ffmpeg().origin == "wheel"
    assert decoder_parts() == {}


@pytest.mark.parametrize("name", ["ffmpeg", "{path}", "bin/ffmpeg", "~/bin/ffmpeg"])
def test_the_variable_takes_a_path_or_a_name(
    name: str, other: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, name.format(path=other))
    chosen = choose_ffmpeg()
    assert (chosen.origin, chosen.path, chosen.version) == ("variable", str(other), "1.2")


def test_an_empty_variable_is_none(other: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    assert choose_ffmpeg().origin == "wheel"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (None, "which is no program that can be run; set it to"),
        ("exit 3", "does not run (exit code 3); set FLS_FFMPEG to another, or unset it"),
        ("echo hello", "is no ffmpeg; set FLS_FFMPEG to another, or unset it"),
    ],
    ids=["nothing", "fails", "another program"],
)
def test_a_variable_that_names_no_ffmpeg_is_an_error(
    body: str | None,
    why: str,
    script: Script,
    tmp_path: Path,
    talk: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: Patch,
) -> None:
    path = tmp_path / "nothing" if body is None else script(body)
    monkeypatch.setenv(VARIABLE, str(path))
    played = play(capfd, "transcribe", str(talk), "--quiet")
    assert (played.code, played.out) == (3, "")
    assert played.err.startswith("fls: ")
    assert str(path) in played.err
    assert why in played.err
    assert VARIABLE in played.err


def test_a_file_of_another_machine_is_an_error(script: Script, monkeypatch: Patch) -> None:
    path = script("")
    path.write_bytes(b"\x7fELF of nowhere")
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(FfmpegMissing, match=r"does not run \(Exec format error\); set FLS_FFMPEG"):
        choose_ffmpeg()


@pytest.mark.usefixtures("no_bundled_ffmpeg")
def test_path_s_is_taken_where_the_wheel_has_none(script: Script, monkeypatch: Patch) -> None:
    path = script("echo ffmpeg version 4.4.2")
    monkeypatch.setenv("PATH", str(path.parent))
    chosen = choose_ffmpeg()
    assert (chosen.origin, chosen.path) == ("path", str(path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FfmpegMissing, match=r"pip install .*apt install ffmpeg.*FLS_FFMPEG"):
        choose_ffmpeg()


def test_without_the_package_path_s_is_taken(script: Script) -> None:
    path = script("echo ffmpeg version 4.4.2")
    root = Path(__file__).parents[2]
    told = subprocess.run(
        # No packages but ours.
        [
            *(sys.executable, "-S", "-c"),
            "from fls_cli.media.ffmpeg.locate import choose_ffmpeg; print(choose_ffmpeg().origin)",
        ],
        env={"PATH": str(path.parent), "PYTHONPATH": f"{root}{os.pathsep}{root / 'models'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "path\n"


def test_the_chosen_one_decodes(
    script: Script, tmp_path: Path, talk: Path, monkeypatch: Patch
) -> None:
    calls = tmp_path / "calls"
    body = f'[ "$1" = -version ] && exec echo ffmpeg version 1\necho "$*" >> "{calls}"\n'
    path = script(f'{body}exec "{bundled_ffmpeg()}" "$@"')
    probe(as_file(talk))
    assert not calls.exists()
    monkeypatch.setenv(VARIABLE, str(path))
    probe(as_file(talk))
    assert "-i file:talk.wav" in calls.read_text()


def test_ffmpeg_is_imported_only_when_used() -> None:
    script = (
        "import sys, fls_cli.media.stream, fls_cli.sources.resolve; "
        "from fls_cli.media.ffmpeg.locate import find_ffmpeg; "
        "find_ffmpeg(); print({'numpy', 'torch', 'ffmpeg', 'imageio_ffmpeg'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "set()\n"


# What is heard by it


def test_what_another_ffmpeg_decoded_is_heard_anew(
    runs: Runs, talk: Path, other: Path, monkeypatch: Patch
) -> None:
    for choice, heard in (("", 1), (str(other), 1), ("", 0), ("ffmpeg", 0)):
        monkeypatch.setenv(VARIABLE, choice)
        runs("transcribe", str(talk))
        assert runs.spent[0] == heard
    # The same program in another version is another.
    os.utime(other, ns=(0, 0))
    other.write_text(other.read_text().replace("version 1.2", "version 1.3"))
    runs("transcribe", str(talk))
    assert runs.spent[0] == 1


def test_results_in_a_folder_are_made_anew_by_another_ffmpeg(
    runs: Runs, talk: Path, other: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    for choice, heard in (("", 1), ("", 0), (str(other), 1), (str(other), 0)):
        monkeypatch.setenv(VARIABLE, choice)
        runs("transcribe", str(talk), "-o", f"{tmp_path / 'notes'}/", "--no-cache")
        assert runs.spent[0] == heard


def test_the_tested_one_is_in_no_key_however_it_was_found(
    tmp_path: Path, other: Path, monkeypatch: Patch
) -> None:
    assert decoder_parts() == {}
    assert work_folder(tmp_path) == tmp_path
    link = tmp_path / "link"
    link.symlink_to(bundled_ffmpeg() or "")
    monkeypatch.setenv(VARIABLE, str(link))
    assert decoder_parts() == {}
    monkeypatch.setenv(VARIABLE, str(other))
    assert json.dumps(decoder_parts()) == '{"decoder": "ffmpeg version 1.2 of a friend\\n"}'


def test_a_bench_keeps_what_another_ffmpeg_decoded_in_a_folder_of_its_own(
    tmp_path: Path, other: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setenv(VARIABLE, str(other))
    place = work_folder(tmp_path)
    assert place is not None
    assert place.parent == tmp_path
    assert work_folder(None) is None
