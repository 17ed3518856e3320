"""How soon the first word of an answer comes: for the first question about a recording, and later.

    python benchmarks/second_question.py RECORDING [--model mini] [--read WHAT]
        [--other FLS] [--other-model mini] [--rounds 3] [--json]

Each question is put by a process of its own, as from a shell; the time is that from its start to
the first byte it prints, imports included. The first one finds an empty cache. Then another
question is put twice: with all that was kept; and with the transcript alone, so that the recording
is read again. In the end the transcript is printed, from what was kept and anew, and the version.

`--other` is the `fls` of another build, whose cache is its own; the two take turns, and the ratio
is that build's time by this one's. Needs the model's weights.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from checkout import FLS, cache_with_weights, environment

FIRST = "What is the main point?"
SECOND = "What is said at the very end?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--other", type=Path, metavar="FLS")
    parser.add_argument("--other-model", metavar="NAME")
    parser.add_argument("--read", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as place:
        model, read = arguments.model, arguments.read
        builds = [Build("this", FLS, cache_with_weights(Path(place) / "this"), model, read)]
        if arguments.other:
            cache = cache_with_weights(Path(place) / "other")
            other_model = arguments.other_model or model
            builds.append(Build("other", [str(arguments.other)], cache, other_model))
        for build in builds:
            build.warm_up()
        for _ in range(arguments.rounds):
            for build in builds:
                for what, seconds in build.times(arguments.recording).items():
                    times[what][build.name].append(seconds)
    medians = {
        what: {name: statistics.median(seconds) for name, seconds in each.items()}
        for what, each in times.items()
    }
    if arguments.json:
        print(json.dumps(medians))
        return
    for what, median in medians.items():
        line = "  ".join(f"{name} {value:6.2f} s" for name, value in median.items())
        share = 100 * median["this"] / medians["first question"]["this"]
        ratio = f"  {median['other'] / median['this']:5.2f}" if "other" in median else ""
        print(f"{what:34} {line} {share:6.1f} %{ratio}")


@dataclass
class Build:
    """A build of `fls`: how it is called, where it keeps what it heard, who answers, by what."""

    name: str
    command: Sequence[str]
    cache: Path
    model: str
    reads: str = "auto"

    def warm_up(self) -> None:
        """Reads the weights and the libraries into the system's file cache, outside the race."""
        silence = self.cache / "silence.wav"
        _silence(silence)
        self._ask(silence, FIRST)

    def times(self, recording: Path) -> dict[str, float]:
        shutil.rmtree(self.cache / "recordings", ignore_errors=True)
        times = {
            "first question": self._ask(recording, FIRST),
            "second question": self._ask(recording, SECOND),
        }
        shutil.rmtree(self.cache / "recordings" / "states", ignore_errors=True)
        times["second question, transcript kept"] = self._ask(recording, SECOND)
        if self.reads != "frames":
            options = [str(recording), "--model", self.model, "--quiet", "--offline"]
            times["transcript, kept"] = self._seconds("transcribe", *options)
            times["transcript, anew"] = self._seconds("transcribe", *options, "--no-cache")
        times["version"] = self._seconds("--version")
        return times

    def _ask(self, recording: Path, question: str) -> float:
        options = ["--model", self.model, "--read", self.reads, "--max-tokens", "1"]
        return self._seconds("ask", str(recording), question, *options, "--quiet", "--offline")

    def _seconds(self, *words: str) -> float:
        """To the first byte."""
        variables = environment(self.cache)
        if self.command != FLS:
            # It finds packages of its own.
            del variables["PYTHONPATH"]
        command = [*self.command, *words]
        begun = perf_counter()
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.read(1)
            seconds = perf_counter() - begun
            process.stdout.read()
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed")
        return seconds


def _silence(place: Path) -> None:
    import wave

    with wave.open(str(place), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(2 * 16_000))


if __name__ == "__main__":
    main()
