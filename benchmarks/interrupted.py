"""A folder summarised with interruptions: what is lost, what is done twice, two runs at once.

    python benchmarks/interrupted.py EPISODES/ [--model mini]

`fls summarize EPISODES/ -o NOTES/` is killed (SIGKILL) when a third of the notes is there, then run
again and interrupted (Ctrl-C) at two thirds, then run to the end. At last, with other notes and an
empty cache, two runs work on the folder at once. Needs the model's weights.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter, sleep

from checkout import FLS, cache_with_weights, environment

from fls_cli.sources.resolve import open_sources


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("episodes", type=Path)
    parser.add_argument("--model", default="mini")
    arguments = parser.parse_args()
    with open_sources([str(arguments.episodes)]) as sources:
        total = len(sources)
    with tempfile.TemporaryDirectory() as place:
        notes = Path(place) / "notes"
        cache = cache_with_weights(Path(place) / "cache")
        for end, count in ((signal.SIGKILL, total // 3), (signal.SIGINT, 2 * total // 3)):
            before = _finished(notes)
            run = _start(arguments, notes, cache)
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
                f"{sum(path.is_file() for path in notes.rglob('*.part'))} unfinished files left"
            )
        before = _finished(notes)
        begun = perf_counter()
        code = _start(arguments, notes, cache).wait()
        now = _finished(notes)
        print(
            f"to the end: exit code {code}, {len(now)} of {total} finished, "
            f"{_changed(before, now)} of the earlier ones done again, "
            f"{perf_counter() - begun:.0f} s"
        )
        begun = perf_counter()
        code = _start(arguments, notes, cache).wait()
        print(
            f"once more: exit code {code}, {_changed(now, _finished(notes))} done again, "
            f"{perf_counter() - begun:.1f} s"
        )
        both = Path(place) / "both"
        cache = cache_with_weights(Path(place) / "second-cache")
        begun = perf_counter()
        runs = [_start(arguments, both, cache, stderr=subprocess.PIPE) for _ in range(2)]
        outputs = [run.communicate()[1] for run in runs]
        same = all(
            (both / path.relative_to(notes)).read_bytes() == path.read_bytes() for path in now
        )
        shares = [total - _skipped(text, total) for text in outputs]
        print(
            f"two at once: exit codes {runs[0].returncode} and {runs[1].returncode}, "
            f"{shares[0]} and {shares[1]} of {total} done, results "
            f"{'the same' if same else 'NOT the same'} as alone, {perf_counter() - begun:.0f} s"
        )


def _start(
    arguments: argparse.Namespace, notes: Path, cache: Path, stderr: int | None = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    command = [*FLS, "summarize", str(arguments.episodes)]
    command += ["-o", f"{notes}/", "--model", arguments.model, "--offline"]
    return subprocess.Popen(command, env=environment(cache), stderr=stderr, text=True)


def _finished(notes: Path) -> dict[Path, int]:
    """Notes and when each was written."""
    return {path: path.stat().st_mtime_ns for path in notes.rglob("*.md")}


def _changed(before: dict[Path, int], now: dict[Path, int]) -> int:
    return sum(now.get(path) != time for path, time in before.items())


def _skipped(output: str, total: int) -> int:
    for line in output.splitlines():
        if line.endswith(f"of {total} were finished before"):
            return int(line.split()[1])
    return 0


if __name__ == "__main__":
    main()
