"""Runs the jobs in this folder, in order, for as long as there is time, and never twice.

    python benchmarks/gpu/run.py --out DIR [--wheels DIR] [--earlier DIR] [--minutes 9] [JOB ...]

Each job is a process of its own and leaves DIR/JOB.json behind, which is whole JSON at any time. A
job is over when its file says `"done": true`; one that was cut short goes on where it stopped,
with the results of `--earlier` (a folder with what an earlier call left) if DIR is new. `run.json`
says what became of each job, with the end of what it printed. The exit status is 0 when all jobs
are over.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from common import ROOT, machine, plain_parser, read_json, use_wheels, write_json

HERE = Path(__file__).parent
# The script with its arguments, and the minutes without which it is not worth beginning.
JOBS: dict[str, tuple[list[str], float]] = {
    "parity": (["parity.py"], 0.5),
    "memory": (["speed.py", "--memory", "plain"], 1.7),
    "memory-low": (["speed.py", "--memory", "low"], 1.7),
    "speed": (["speed.py"], 1.5),
    "profiling": (["profiling.py"], 1.0),
    "load": (["load.py"], 4.0),
}
# To write results and to stop, in seconds.
_LAST = 15.0


def main() -> int:
    parser = plain_parser(__doc__)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=", ".join(JOBS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--earlier", type=Path)
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--minutes", type=float, default=9.0, help="for all jobs together")
    parser.add_argument("--place", type=Path, help="folder on a local disk for random models")
    parser.add_argument("--toy", action="store_true", help="a rehearsal: tiny, on the CPU")
    arguments = parser.parse_args()
    if unknown := set(arguments.jobs) - JOBS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(JOBS)}")
    end = perf_counter() + 60 * arguments.minutes
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.earlier and arguments.earlier.is_dir():
        for file in sorted(arguments.earlier.glob("*.json")):
            if not (arguments.out / file.name).exists():
                shutil.copyfile(file, arguments.out / file.name)
    try:
        use_wheels(arguments.wheels)
    except (subprocess.SubprocessError, OSError) as error:
        # The jobs fall back on bf16, and say so.
        print(f"the wheels cannot be installed: {error}", flush=True)
        arguments.wheels = None
    progress = read_json(arguments.out / "run.json")
    progress |= {"machine": machine(), "toy": arguments.toy}
    jobs: dict[str, Any] = progress.setdefault("jobs", {})
    names = arguments.jobs or list(JOBS)
    for name in names:
        jobs[name] = {**jobs.get(name, {}), **run(name, arguments, end)}
        write_json(arguments.out / "run.json", progress)
    for name in names:
        print(f"{name:12} {jobs[name]['state']}", flush=True)
    return 0 if all(jobs[name]["state"] in ("done", "was done") for name in names) else 3


def run(name: str, arguments: argparse.Namespace, end: float) -> dict[str, Any]:
    """Runs a job unless it is over or there is no time; how it went."""
    result = arguments.out / f"{name}.json"
    earlier = read_json(result)
    if earlier.get("done") and earlier.get("toy") == arguments.toy:
        return {"state": "was done"}
    script, min_minutes = JOBS[name]
    left = end - perf_counter() - _LAST
    if left < (0 if arguments.toy else 60 * min_minutes):
        return {"state": "no time"}
    command = [sys.executable, str(HERE / script[0]), *script[1:]]
    command += ["--out", str(arguments.out), "--minutes", f"{left / 60:.3f}"]
    command += ["--wheels", str(arguments.wheels)] if arguments.wheels else []
    command += ["--place", str(arguments.place)] if arguments.place else []
    command += ["--toy"] if arguments.toy else []
    print(f"\n== {name}", flush=True)
    begun = perf_counter()
    status, output = watched(command, left + _LAST / 2)
    state = read_json(result)
    return {
        "state": "done" if state.get("done") else "stopped" if status is None else "not done",
        "status": status,
        "seconds": round(perf_counter() - begun, 1),
        "problems": sorted(state.get("problems", {})),
        "left_out": state.get("left_out", []),
        "said": output.splitlines()[-60:],
    }


def watched(command: list[str], seconds: float) -> tuple[int | None, str]:
    """Runs a command, shows what it prints, stops it after so long (None) with all it began."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
            # Its own group, to stop all of it; not its own session, which could outlive this one.
            process_group=0,
        )
        try:
            status: int | None = process.wait(max(1.0, seconds))
        except subprocess.TimeoutExpired:
            status = None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        log.seek(0)
        output = log.read()
    print(output[-6000:], flush=True)
    return status, output[-20_000:]


if __name__ == "__main__":
    sys.exit(main())
