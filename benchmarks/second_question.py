"""How soon the first word of an answer comes: for the first question about a recording, and later.

    python benchmarks/second_question.py RECORDING [--model mini] [--json]

Each question is put by a process of its own, as from a shell, and stops after one token; the time
is that of the whole process, imports included. The first one finds an empty cache. Then another
question is put three times: with all that was kept; with the transcript alone, so that the
recording is read again; and the first question once more. Needs the model's weights.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter

from checkout import FLS, cache_with_weights, environment

FIRST = "What is the main point?"
SECOND = "What is said at the very end?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        cache = cache_with_weights(Path(place))
        ask = partial(_ask, arguments.recording, arguments.model, cache)
        # Reads the weights and the libraries into the system's file cache, outside the race.
        silence = cache / "silence.wav"
        _silence(silence)
        _ask(silence, arguments.model, cache, FIRST)
        shutil.rmtree(cache / "recordings", ignore_errors=True)

        times["first question"] = ask(FIRST)
        times["second question"] = ask(SECOND)
        shutil.rmtree(cache / "recordings" / "states")
        times["second question, transcript kept"] = ask(SECOND)
        times["first question again"] = ask(FIRST)
    if arguments.json:
        print(json.dumps(times))
        return
    for name, seconds in times.items():
        share = seconds / times["first question"]
        print(f"{name:34} {seconds:7.2f} s {100 * share:6.1f} %")


def _ask(recording: Path, model: str, cache: Path, question: str) -> float:
    command = [*FLS, "ask", str(recording), question]
    command += ["--model", model, "--max-tokens", "1", "--quiet", "--offline"]
    begun = perf_counter()
    subprocess.run(command, env=environment(cache), check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - begun


def _silence(place: Path) -> None:
    import wave

    with wave.open(str(place), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(2 * 16_000))


if __name__ == "__main__":
    main()
