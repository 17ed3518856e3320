"""How long an hour of MP3 takes to decode: with the container's times, and as raw samples only.

    python benchmarks/decoding.py

The other way lets ffmpeg's resampler pad and mix, and takes what comes as it is: samples without
times, which are in wrong places where rate, channels or clocks change.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fls_cli.media.ffmpeg.locate import find_ffmpeg
from fls_cli.sources.decode import decode
from fls_models.core.constants import SAMPLE_RATE

LECTURE = Path(__file__).resolve().parent.parent / "examples" / "lecture.mp3"
ROUNDS = 5
MIX = "aresample=async=1:first_pts=0:rematrix_maxval=1"


def hour(folder: Path) -> Path:
    """The lecture again and again, in stereo."""
    path = folder / "hour.mp3"
    command = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-stream_loop", "16", "-i"]
    options = ["-t", "3600", "-ac", "2", "-ar", "44100", "-b:a", "128k"]
    subprocess.run([*command, str(LECTURE), *options, str(path)], check=True)
    return path


def with_times(path: Path) -> int:
    return sum(len(block) for block in decode(str(path)))


def as_raw_samples(path: Path) -> int:
    command = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-i", str(path), "-map", "0:a:0"]
    output = ["-af", MIX, "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "f32le", "pipe:"]
    count = 0
    with subprocess.Popen([*command, *output], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        while block := child.stdout.read(4 * SAMPLE_RATE):
            samples = np.frombuffer(block, np.float32)
            assert np.isfinite(samples).all()
            count += len(samples)
    return count


def timed(work: Callable[[Path], int], path: Path) -> tuple[float, float, int]:
    """Wall seconds, processor seconds with those of children, samples."""
    before, began = _spent(), time.perf_counter()
    count = work(path)
    return time.perf_counter() - began, _spent() - before, count


def _spent() -> float:
    return sum(os.times()[:4])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = hour(Path(folder))
        runs_by_name: dict[str, list[tuple[float, float, int]]] = {}
        for _ in range(ROUNDS):
            for name, work in [("raw samples", as_raw_samples), ("with times", with_times)]:
                runs_by_name.setdefault(name, []).append(timed(work, path))
    load = os.getloadavg()[0]
    for name, runs in runs_by_name.items():
        wall, spent, count = min(runs)
        print(
            f"{name}: {wall:.2f} s, {spent:.2f} s of processors, {count / SAMPLE_RATE:.3f} s heard"
        )
    best = {name: min(runs) for name, runs in runs_by_name.items()}
    for place, clock in enumerate(["wall", "processors"]):
        ratio = best["with times"][place] / best["raw samples"][place]
        print(f"with times / raw samples, {clock}: {ratio:.2f}")
    print(f"load at the end: {load:.1f}")


if __name__ == "__main__":
    main()
