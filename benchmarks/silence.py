"""Whether words are made up where nobody speaks, and what that costs; and speech over music.

    apt install sox flite espeak-ng
    python benchmarks/silence.py [--minutes 60] [--music FOLDER] [--speech MANIFEST] [--json FILE]

So many minutes of each: digital silence, a room's hiss, noises, tones and vowels, applause, a made
melody and, of the files in a folder, music: again and again, each time somewhat louder or quieter
and, of music, faster or slower, so that nothing is known from the time before. Then a talk, with an
hour of a room's hiss behind it, and the speech of a manifest (that of `fls bench asr`) over music
10 and 0 dB below it: how many words are wrong.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from time import perf_counter

import numpy as np
from checkout import ROOT, located
from numpy.typing import NDArray
from repetitions import RATE, sounds, sox

from fls_cli.sources.decode import decode
from fls_models.bench.asr import compare, load_manifest
from fls_models.pipelines.cascade import CascadeModel

Samples = NDArray[np.float32]
GAINS = (1.0, 0.8, 0.63, 0.5, 0.9, 0.71, 0.56)
SPEEDS = ("1", "1.02", "0.98", "1.04", "0.96")
_BLOCK = 10 * RATE


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--music", type=Path, metavar="FOLDER")
    parser.add_argument("--speech", type=Path, metavar="MANIFEST")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60
    ear = CascadeModel(located("mini")).transcriber
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        kinds = {**made(Path(folder))}
        if arguments.music:
            kinds["music"] = music(arguments.music, Path(folder))
        for name, parts in kinds.items():
            begun = perf_counter()
            text = " ".join(s.text for s in ear.sentences(filled(parts, seconds), "balanced"))
            rows[name] = {"words": len(text.split()), "seconds": perf_counter() - begun}
            print(
                f"{name}: {rows[name]['words']} words in {rows[name]['seconds']:.0f} s {text[:80]}"
            )
        talk = np.concatenate(list(decode(ROOT / "examples" / "lecture.mp3")))
        spent = []
        for rest in (0.0, seconds):
            begun = perf_counter()
            blocks = [talk, *filled([hiss(60.0)], rest)]
            count = len(" ".join(s.text for s in ear.sentences(blocks, "balanced")).split())
            spent.append((count, perf_counter() - begun))
        (words, alone), (with_rest, behind) = spent
        print(
            f"a talk: {words} words in {alone:.0f} s; with hiss behind: {with_rest}, {behind:.0f} s"
        )
        if arguments.music and arguments.speech:
            over_music(ear, arguments, Path(folder))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def made(folder: Path) -> dict[str, list[Samples]]:
    """Sounds by kind."""
    each = sounds(folder)
    return {
        "silence": [np.zeros(60 * RATE, np.float32)],
        "a room's hiss": [hiss(60.0)],
        "noises": [each[f"{name} noise"] for name in ("pink", "brown", "white")],
        "noise in syllables": [each["noise in syllables"]],
        "tones": [each[name] for name in ("one note", "a hum of 50 Hz", "a melody")],
        "vowels": [each[f"the vowel {name} in syllables"] for name in "aue"],
        "applause": [each["applause"]],
    }


def hiss(seconds: float) -> Samples:
    random = np.random.default_rng(3)
    return (random.standard_normal(round(seconds * RATE)) * 0.002).astype(np.float32)


def music(source: Path, folder: Path) -> list[Samples]:
    """Each file at each speed, 16 kHz."""
    files = sorted(file for file in source.iterdir() if file.suffix in (".wav", ".mp3", ".ogg"))
    place = folder / "music.wav"
    return [
        sox([str(file)], place, ["speed", speed]) * np.float32(0.9)
        for speed in SPEEDS
        for file in files
    ]


def filled(parts: list[Samples], seconds: float) -> Iterator[Samples]:
    """So many seconds of them, in blocks."""
    left = round(seconds * RATE)
    for part, gain in zip(cycle(parts), cycle(GAINS), strict=False):
        if left <= 0:
            return
        sound = part[:left] * np.float32(gain)
        left -= len(sound)
        for first in range(0, len(sound), _BLOCK):
            yield sound[first : first + _BLOCK]


def over_music(ear: object, arguments: argparse.Namespace, folder: Path) -> None:
    background = np.concatenate(music(arguments.music, folder))
    for below in (None, 10.0, 0.0):
        errors = words = at = 0
        for utterance in load_manifest(arguments.speech):
            sound = np.concatenate(list(decode(utterance.audio)))
            if below is not None:
                under = background[at : at + len(sound)]
                at = (at + len(sound)) % (len(background) - 60 * RATE)
                gain = np.sqrt(np.square(sound).mean() / max(1e-9, np.square(under).mean()))
                sound = sound + under * np.float32(gain * 10 ** (-below / 20))
            sentences = ear.sentences([sound], "balanced", language="en")  # type: ignore[attr-defined]
            found = compare(utterance.name, utterance.text, " ".join(s.text for s in sentences))
            errors, words = errors + found.errors, words + found.words
        under_it = "no music" if below is None else f"music {below:.0f} dB below"
        print(f"speech, {under_it}: {errors / words:.2%} of {words} words wrong", flush=True)


if __name__ == "__main__":
    main()
