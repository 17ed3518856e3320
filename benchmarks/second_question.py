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
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from fls_cli.storage.paths import cache_folder  # noqa: E402

FIRST = "What is the main point?"
SECOND = "What is said at the very end?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        cache = Path(place)
        (cache / "weights").symlink_to(cache_folder() / "weights")
        # Reads the weights and the libraries into the system's file cache, outside the race.
        silence = cache / "silence.wav"
        _silence(silence)
        _ask(silence, FIRST, chosen.model, cache)
        shutil.rmtree(cache / "recordings", ignore_errors=True)

        found["first question"] = _ask(chosen.recording, FIRST, chosen.model, cache)
        found["second question"] = _ask(chosen.recording, SECOND, chosen.model, cache)
        shutil.rmtree(cache / "recordings" / "states")
        found["second question, transcript kept"] = _ask(
            chosen.recording, SECOND, chosen.model, cache
        )
        found["first question again"] = _ask(chosen.recording, FIRST, chosen.model, cache)
    if chosen.json:
        print(json.dumps(found))
        return
    for name, seconds in found.items():
        share = seconds / found["first question"]
        print(f"{name:34} {seconds:7.2f} s {100 * share:6.1f} %")


def _ask(recording: Path, question: str, model: str, cache: Path) -> float:
    command = [sys.executable, "-m", "fls_cli", "ask", str(recording), question]
    command += ["--model", model, "--max-tokens", "1", "--quiet", "--offline"]
    road = os.pathsep.join([str(ROOT), str(ROOT / "models")])
    environment = {**os.environ, "FLS_CACHE": str(cache), "FLS_KEEP": "yes", "PYTHONPATH": road}
    begun = perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
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
