"""A folder summarised with interruptions: what is lost, what is done twice, two runs at once.

    python benchmarks/interrupted.py EPISODES/ [--model mini]

`fls summarize EPISODES/ -o NOTES/` is killed (SIGKILL) when a third of the notes is there, then run
again and interrupted (Ctrl-C) at two thirds, then run to the end. At last, with other notes and an
empty cache, two runs work on the folder at once. Needs the model's weights.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, sleep

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from fls_cli.sources.resolve import open_sources  # noqa: E402
from fls_cli.storage.paths import cache_folder  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("episodes", type=Path)
    parser.add_argument("--model", default="mini")
    chosen = parser.parse_args()
    with open_sources([str(chosen.episodes)]) as sources:
        total = len(sources)
    with tempfile.TemporaryDirectory() as place:
        notes = Path(place) / "notes"
        cache = _cache(Path(place) / "cache")
        for end, count in ((signal.SIGKILL, total // 3), (signal.SIGINT, 2 * total // 3)):
            before = _finished(notes)
            run = _start(chosen, notes, cache)
            while len(_finished(notes)) < count and run.poll() is None:
                sleep(0.05)
            # In the middle of the next one.
            sleep(1)
            run.send_signal(end)
            code = run.wait()
            now = _finished(notes)
            print(
                f"{end.name}: exit code {code}, {len(now)} of {total} finished, "
                f"{_changed(before, now)} of the earlier ones done again, "
                f"{len(_leftovers(notes))} unfinished files left"
            )
        before = _finished(notes)
        begun = perf_counter()
        code = _start(chosen, notes, cache).wait()
        now = _finished(notes)
        print(
            f"to the end: exit code {code}, {len(now)} of {total} finished, "
            f"{_changed(before, now)} of the earlier ones done again, "
            f"{perf_counter() - begun:.0f} s"
        )
        begun = perf_counter()
        code = _start(chosen, notes, cache).wait()
        print(
            f"once more: exit code {code}, {_changed(now, _finished(notes))} done again, "
            f"{perf_counter() - begun:.1f} s"
        )
        both = Path(place) / "both"
        cache = _cache(Path(place) / "second-cache")
        begun = perf_counter()
        runs = [_start(chosen, both, cache, said=subprocess.PIPE) for _ in range(2)]
        said = [run.communicate()[1] for run in runs]
        same = all(
            (both / path.relative_to(notes)).read_bytes() == path.read_bytes() for path in now
        )
        shares = [total - _skipped(text, total) for text in said]
        print(
            f"two at once: exit codes {runs[0].returncode} and {runs[1].returncode}, "
            f"{shares[0]} and {shares[1]} of {total} done, results "
            f"{'the same' if same else 'NOT the same'} as alone, {perf_counter() - begun:.0f} s"
        )


def _start(
    chosen: argparse.Namespace, notes: Path, cache: Path, said: int | None = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fls_cli", "summarize", str(chosen.episodes)]
    command += ["-o", f"{notes}/", "--model", chosen.model, "--offline"]
    road = os.pathsep.join([str(ROOT), str(ROOT / "models")])
    environment = {**os.environ, "FLS_CACHE": str(cache), "FLS_KEEP": "yes", "PYTHONPATH": road}
    return subprocess.Popen(command, env=environment, stderr=said, text=True)


def _cache(place: Path) -> Path:
    place.mkdir()
    (place / "weights").symlink_to(cache_folder() / "weights")
    return place


def _finished(notes: Path) -> dict[Path, int]:
    """Notes and when each was written."""
    return {path: path.stat().st_mtime_ns for path in notes.rglob("*.md")}


def _changed(before: dict[Path, int], now: dict[Path, int]) -> int:
    return sum(now.get(path) != written for path, written in before.items())


def _leftovers(notes: Path) -> list[Path]:
    return [path for path in notes.rglob("*.part") if path.is_file()]


def _skipped(said: str, total: int) -> int:
    for line in said.splitlines():
        if line.endswith(f"of {total} were finished before"):
            return int(line.split()[1])
    return 0


if __name__ == "__main__":
    main()
