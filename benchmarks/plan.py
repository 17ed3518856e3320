"""Whether a question takes as long as `fls plan` expects.

    python benchmarks/plan.py RECORDING... [--budgets fast,balanced] [--model mini] [--read auto] \\
        [--speakers auto]

`fls plan --measure` plans for all recordings, and measures on the first. Then each is asked a
question about all of it, at each budget by a process of its own that neither finds nor keeps
anything (`--no-cache`); the time is that of the whole process. Needs the model's weights.

Whatever else the machine does meanwhile is measured, too. The processor's seconds tell how much
that was: of one thread, they are what the question takes when nothing else runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from time import perf_counter
from typing import Any

from checkout import FLS, environment

QUESTION = "What is the main argument?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--budgets", default="balanced")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--read", default="auto")
    parser.add_argument("--speakers")
    arguments = parser.parse_args()
    options = ["--model", arguments.model, "--read", arguments.read, "--offline"]
    if arguments.speakers:
        options += ["--speakers", arguments.speakers]
    plan_lines = _fls("plan", "--measure", "--json", *options, *arguments.recordings).stdout
    plans = {plan["source"]: plan for plan in map(json.loads, plan_lines.splitlines())}
    print(f"{'recording':24} {'audio s':>8} budget   expected s actual s ratio processor s")
    for recording in arguments.recordings:
        for budget in arguments.budgets.split(","):
            _show(recording, plans[recording], budget, options)


def _show(recording: str, plan: dict[str, Any], budget: str, options: list[str]) -> None:
    begun, before = perf_counter(), _processor_seconds()
    _fls("ask", recording, QUESTION, "--budget", budget, "--no-cache", "--quiet", *options)
    actual, spent = perf_counter() - begun, _processor_seconds() - before
    expected = plan["budgets"][budget]["seconds"]
    print(
        f"{Path(recording).name:24} {plan['audio_seconds']:8.1f} {budget:8} {expected:10.1f} "
        f"{actual:8.1f} {expected / actual:5.2f} {spent:11.1f}",
        flush=True,
    )


def _processor_seconds() -> float:
    """Of all processes that were started here and have ended."""
    return sum(os.times()[2:4])


def _fls(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*FLS, *arguments]
    return subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    main()
