"""ffmpeg is found, is never waited for in vain, and never outlives the one who asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from media_files import SECONDS, as_file, hear

from fls_cli.media import SAMPLE_RATE, find_ffmpeg, stream
from fls_models.errors import FfmpegMissing, InputError


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every ffmpeg that was started, in order."""
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    class Recorded(real):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    return started


def test_blocks_are_bounded_and_come_before_the_file_ends(
    recordings: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    samples = stream(as_file(recordings / "pcm.wav"))
    first = next(samples)
    assert first.shape == (SAMPLE_RATE,)
    assert children[-1].poll() is None, "ffmpeg waits for us, so what is left is not in memory"
    lengths = [len(block) for block in samples]
    assert set(lengths[:-1]) <= {SAMPLE_RATE}
    assert 0 < lengths[-1] <= SAMPLE_RATE


@pytest.mark.filterwarnings("error")
def test_a_closed_stream_leaves_no_child(
    recordings: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    samples = stream(as_file(recordings / "pcm.wav"))
    next(samples)
    child = children[-1]
    samples.close()
    assert child.returncode == -signal.SIGKILL
    assert child.stdout.closed
    assert child.stderr.closed

    def fail() -> None:
        for _ in stream(as_file(recordings / "pcm.wav")):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert all(child.returncode is not None for child in children)


def test_ffmpeg_dying_in_the_middle_is_told(
    recordings: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    told: list[str] = []
    samples = stream(as_file(recordings / "pcm.wav"), warn=told.append)
    next(samples)
    children[-1].kill()
    read = 1 + sum(len(block) for block in samples) / SAMPLE_RATE
    assert read < SECONDS
    assert told == [
        f"pcm.wav: ffmpeg stopped after {read:.1f} s of 4.0 s (signal 9); only those are used."
    ]


def test_ctrl_c_ends_ffmpeg(recordings: Path) -> None:
    script = """\
import sys, time
from pathlib import Path
from fls_cli.decoder import Decoding
from fls_cli.inputs import Source
path = Path(sys.argv[1])
with Decoding(Source(str(path), "file", path, "x"), 0, 0.0, None) as decoding:
    next(decoding.blocks())
    print(decoding._process.pid, flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(recordings / "pcm.wav")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        text=True,
    )
    child = int(process.stdout.readline())
    os.kill(child, 0)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in complaints
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.fixture
def own_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place on PATH for an ffmpeg made of shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder / "ffmpeg"


def write_script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_a_talkative_ffmpeg_does_not_block(recordings: Path, own_ffmpeg: Path) -> None:
    real = find_ffmpeg()
    write_script(own_ffmpeg, f'head -c 1000000 /dev/zero | tr "\\0" "x" >&2; exec "{real}" "$@"')
    heard = hear(recordings / "pcm.wav")
    assert heard.seconds == pytest.approx(SECONDS, abs=0.01)


def test_an_ffmpeg_that_crashes_is_not_the_recording_s_fault(
    recordings: Path, own_ffmpeg: Path
) -> None:
    write_script(own_ffmpeg, "kill -SEGV $$")
    with pytest.raises(InputError, match="ffmpeg crashed on it"):
        hear(recordings / "pcm.wav")


def test_ffmpeg_on_path_comes_first(own_ffmpeg: Path) -> None:
    assert find_ffmpeg() != str(own_ffmpeg)
    write_script(own_ffmpeg, "exit 1")
    assert find_ffmpeg() == str(own_ffmpeg)


def test_without_ffmpeg_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import imageio_ffmpeg

    def none() -> str:
        raise RuntimeError

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", none)
    with pytest.raises(FfmpegMissing, match="apt install ffmpeg"):
        find_ffmpeg()


def test_numpy_and_ffmpeg_are_imported_only_when_used() -> None:
    script = (
        "import sys, fls_cli.media, fls_cli.inputs; "
        "print({'numpy', 'torch', 'ffmpeg', 'imageio_ffmpeg'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "set()\n"
