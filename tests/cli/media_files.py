"""Recordings made once a session, and an ear for what comes out of them.

They are made by the tested ffmpeg, so that every ffmpeg decodes the same bytes.
"""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import pytest

from fls_cli.media.ffmpeg.locate import VARIABLE, Ffmpeg, bundled_ffmpeg, choose_ffmpeg, find_ffmpeg
from fls_cli.media.flaws import Flaw
from fls_cli.media.source import Source
from fls_cli.media.stream import stream
from fls_cli.sources.resolve import open_sources
from fls_models.core.constants import SAMPLE_RATE

SECONDS = 4
PITCH = 440

# File name -> how it is encoded; all hold the same four seconds of one sine.
ENCODINGS: dict[str, list[str]] = {
    "pcm.wav": [],
    "float.wav": ["-c:a", "pcm_f32le"],
    "tone.flac": [],
    "tone.mp3": ["-q:a", "4"],
    "aac.m4a": [],
    "alac.m4a": ["-c:a", "alac"],
    "vorbis.ogg": ["-c:a", "libvorbis"],
    "tone.opus": [],
    "opus.webm": ["-c:a", "libopus"],
    "tone.mkv": ["-c:a", "flac"],
    "tone.mov": ["-c:a", "aac"],
    "tone.avi": ["-c:a", "libmp3lame"],
    "tone.aiff": [],
    "tone.ac3": [],
    "tone.ts": ["-c:a", "mp2"],
    "tone.aac": [],
    "tone.wma": [],
    "tone.wv": [],
    "tone.au": [],
    "tone.caf": [],
    "tone.amr": ["-c:a", "libopencore_amrnb", "-ar", "8000"],
}
# ffmpeg could only guess how long these are.
WITHOUT_DURATION = {"tone.amr"}


def run_ffmpeg(*arguments: str | Path, stdout: IO[bytes] | None = None) -> None:
    program = bundled_ffmpeg() or find_ffmpeg()
    command = [program, "-nostdin", "-y", "-loglevel", "error", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=stdout)


def sine(pitch: int, seconds: float) -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=frequency={pitch}:duration={seconds}:sample_rate=44100"]


def picture(seconds: float) -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc=size=64x48:rate=5:duration={seconds}"]


def write_wav(path: Path, samples: np.ndarray, rate: int = SAMPLE_RATE) -> Path:
    """`samples` (n,) or (n, channels) in -1..1 as 16-bit PCM."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def tone(pitch: float, seconds: float, rate: int = SAMPLE_RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)


def pitch_of(samples: np.ndarray) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(samples))


@dataclass
class Heard:
    samples: np.ndarray
    flaws: list[Flaw]
    name: str

    @property
    def warnings(self) -> list[str]:
        return [f"{self.name}: {flaw.text}" for flaw in self.flaws]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def as_file(path: Path) -> Source:
    return Source(str(path), "file", path, path.name, PurePosixPath(path.name))


def hear(location: str | Path, **options: float | None) -> Heard:
    """All of one recording, by the same road as a command takes."""
    flaws: list[Flaw] = []
    with open_sources([str(location)]) as [source]:
        blocks = list(stream(source, warn=flaws.append, **options))
    return Heard(np.concatenate(blocks), flaws, source.name)


@pytest.fixture(params=["wheel", "path"], ids="{}_ffmpeg".format)
def ffmpeg(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Ffmpeg:
    """The tested ffmpeg, then the one on PATH, which is skipped where there is none.

    Where TEST_FFMPEG=required is set, as .ci/run does, its absence is an error.
    """
    if request.param == "path":
        found = shutil.which("ffmpeg")
        if found is None or os.path.realpath(found) == os.path.realpath(bundled_ffmpeg() or ""):
            missing = "there is no second ffmpeg on PATH: apt install ffmpeg"
            if os.environ.get("TEST_FFMPEG") == "required":
                pytest.fail(missing)
            pytest.skip(missing)
        monkeypatch.setenv(VARIABLE, found)
    # Another is run to ask for its version, once: now, and not while children are counted.
    return choose_ffmpeg()


@pytest.fixture
def no_bundled_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An imageio-ffmpeg that brings no ffmpeg, as it is where no wheel fits the machine."""
    binaries = tmp_path / "packages" / "imageio_ffmpeg" / "binaries"
    binaries.mkdir(parents=True)
    (binaries.parent / "__init__.py").touch()
    (binaries / "README.md").touch()
    monkeypatch.delitem(sys.modules, "imageio_ffmpeg", raising=False)
    monkeypatch.syspath_prepend(binaries.parents[1])


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file for each of ENCODINGS."""
    folder = tmp_path_factory.mktemp("recordings")
    outputs: list[str] = []
    for name, options in ENCODINGS.items():
        outputs += ["-map", "0:a", *options, str(folder / name)]
    run_ffmpeg(*sine(PITCH, SECONDS), *outputs)
    return folder


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Video files.

    late-index.mp4 and early-index.mp4: one tone, the index after and before the rest.
    two-tracks.mkv: 300 Hz mono German, then 900 Hz stereo English; late.mkv: sound from 1.5 s on;
    short-sound.mkv: sound ends 3 s before the picture; silent.mp4: no audio track.
    """
    folder = tmp_path_factory.mktemp("videos")
    both = [*picture(SECONDS), *sine(PITCH, SECONDS), "-c:v", "mpeg4"]
    run_ffmpeg(*both, folder / "late-index.mp4")
    run_ffmpeg(*both, "-movflags", "+faststart", folder / "early-index.mp4")
    tracks = [*picture(2), *sine(300, 2), *sine(900, 2), "-map", "0", "-map", "1", "-map", "2"]
    languages = ["-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=eng"]
    stereo = ["-ac:a:0", "1", "-ac:a:1", "2"]
    default = ["-disposition:a:0", "default", "-disposition:a:1", "0"]
    common = [*tracks, *languages, *stereo, "-c:v", "mpeg4", "-c:a", "flac"]
    run_ffmpeg(*common, *default, folder / "two-tracks.mkv")
    run_ffmpeg(*common, "-disposition:a", "0", folder / "no-default.mkv")
    run_ffmpeg(
        *picture(SECONDS),
        *["-itsoffset", "1.5"],
        *sine(PITCH, 2),
        *["-c:v", "mpeg4", "-c:a", "flac"],
        folder / "late.mkv",
    )
    run_ffmpeg(*picture(5), *sine(PITCH, 2), "-c:v", "mpeg4", folder / "short-sound.mkv")
    run_ffmpeg(*picture(1), "-c:v", "mpeg4", folder / "silent.mp4")
    return folder


@dataclass
class Site:
    """A web server on this machine; `asked` lists the paths that were requested of it.

    Of the paths in `cut` it sends only the first half of what it promises.
    """

    folder: Path
    address: str = ""
    asked: list[str] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    site = Site(folder)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, directory=str(folder), **options)

        def do_GET(self) -> None:
            site.asked.append(self.path)
            if target := site.redirects.get(self.path):
                self.send_response(302)
                self.send_header("Location", target)
                self.end_headers()
            elif self.path in site.cut:
                content = (folder / self.path.lstrip("/")).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
            else:
                super().do_GET()

        def log_message(self, *arguments: object) -> None:
            pass

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    thread.join()
    server.server_close()
