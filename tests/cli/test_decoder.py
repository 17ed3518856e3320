"""ffmpeg is never waited for in vain, and never outlives the one who asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from media_files import SECONDS, as_file, hear

from fls_cli.media.ffmpeg.locate import VARIABLE, Ffmpeg
from fls_cli.media.flaws import Flaw
from fls_cli.media.stream import stream
from fls_models.core.constants import SAMPLE_RATE
from fls_models.errors import InputError

pytestmark = pytest.mark.usefixtures("ffmpeg")


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
    told: list[Flaw] = []
    samples = stream(as_file(recordings / "pcm.wav"), warn=told.append)
    next(samples)
    children[-1].kill()
    read = 1 + sum(len(block) for block in samples) / SAMPLE_RATE
    assert read < SECONDS
    [flaw] = told
    assert (
        flaw.text == f"ffmpeg stopped after {read:.1f} s of 4.0 s (signal 9); only those are used."
    )
    assert (flaw.kind, flaw.is_loss) == ("cut off", True)
    assert (flaw.start, flaw.seconds) == pytest.approx((read, SECONDS - read), abs=0.001)


def test_ctrl_c_ends_ffmpeg(recordings: Path) -> None:
    script = """\
import sys, time
from pathlib import Path
from fls_cli.media.ffmpeg.process import Decoding
from fls_cli.media.source import Source
from fls_cli.media.ffmpeg.probe import Track
path = Path(sys.argv[1])
track = Track(0, "pcm_s16le", None, 1, False)
with Decoding(Source(str(path), "file", path, "x"), track) as decoding:
    next(decoding.packets())
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
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Chooses an ffmpeg made of shell, which says a version and else does what it is given."""

    def choose(body: str) -> None:
        path = tmp_path / "scripted"
        path.write_text(f'#!/bin/sh\n[ "$1" = -version ] && exec echo ffmpeg version 1\n{body}\n')
        path.chmod(0o755)
        monkeypatch.setenv(VARIABLE, str(path))

    return choose


def test_a_talkative_ffmpeg_does_not_block(
    recordings: Path, ffmpeg: Ffmpeg, scripted: Callable[[str], None]
) -> None:
    scripted(f'head -c 1000000 /dev/zero | tr "\\0" "x" >&2; exec "{ffmpeg.path}" "$@"')
    heard = hear(recordings / "pcm.wav")
    assert heard.seconds == pytest.approx(SECONDS, abs=0.01)


def test_an_ffmpeg_that_crashes_is_not_the_recording_s_fault(
    recordings: Path, scripted: Callable[[str], None]
) -> None:
    scripted("kill -SEGV $$")
    with pytest.raises(InputError, match=r"ffmpeg crashed on it.*set FLS_FFMPEG to another"):
        hear(recordings / "pcm.wav")
