"""What was said again and again stays, what the decoder repeats in a loop goes: counts both.

    python benchmarks/repetitions.py [--details]

Makes its recordings itself, with flite, espeak-ng and sox: phrases said 4 to 12 times, and sounds
of which Whisper makes loops at temperature 0: hums, music, noise, speech backwards. Each sound is
heard twice: as a recording is, and all of it as if the voice activity detector had taken it for
speech. Before is what stood here until "words-1": one of four or more repetitions of 1 to 8 words.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from fls_cli.storage.paths import cache_folder  # noqa: E402
from fls_models.audio.vad import Piece  # noqa: E402
from fls_models.transcription import whisper as transcription  # noqa: E402
from fls_models.transcription.languages import Part  # noqa: E402
from fls_models.transcription.loops import Run, runs, without_loops  # noqa: E402
from fls_models.transcription.whisper import EFFORTS, Transcriber  # noqa: E402
from fls_models.weights import card  # noqa: E402
from fls_models.weights import store as weights  # noqa: E402

Samples = NDArray[np.float32]
RATE = 16_000
VOICES = ("slt", "awb", "kal", "rms", "espeak")
# What is said, how often, and before and after it; a full stop is a pause.
PHRASES = (
    ("Say it with me.", "I will not lie.", 5, "Very good."),
    ("Do you agree?", "Yes.", 6, "The motion is carried."),
    ("He shook his head.", "No,", 4, "he said."),
    ("The crowd began to shout.", "Let them go.", 8, "Then it was quiet."),
    ("All of them repeated the oath.", "I swear.", 12, "The judge sat down."),
    ("The children sang.", "Row the boat,", 4, "gently down the stream."),
    ("Count the votes.", "One vote for the mayor.", 7, "That is all."),
    ("And the chorus went like this.", "We shall all be free some day.", 5, "It was late."),
)


@dataclass(frozen=True)
class Heard:
    """Runs that the decoder wrote, whether each was taken for a loop, and what is repeated."""

    name: str
    runs: tuple[tuple[Run, bool, str], ...]


def spoken(voice: str, text: str, folder: Path) -> Samples:
    """A text read aloud, 16 kHz."""
    raw, place = folder / "raw.wav", folder / "said.wav"
    if voice == "espeak":
        command = ["espeak-ng", "-s", "150", "-w", str(raw), text]
    else:
        command = ["flite", "-voice", voice, "-t", text, "-o", str(raw)]
    subprocess.run(command, check=True)
    return sox([str(raw)], place, [])


def sox(sources: Sequence[str], place: Path, effects: Sequence[str]) -> Samples:
    """What sox makes of a source: 16 kHz mono."""
    form = ["-r", str(RATE), "-c", "1", "-b", "16"]
    # Plucked strings are made at 48 kHz only.
    made = ["-r", "48000"] if list(sources) == ["-n"] else []
    subprocess.run(["sox", "-V1", "-R", *made, *sources, *form, str(place), *effects], check=True)
    with wave.open(str(place), "rb") as sound:
        content = sound.readframes(sound.getnframes())
    return np.frombuffer(content, np.int16).astype(np.float32) / 32768


def said_again_and_again(folder: Path) -> dict[str, tuple[Samples, int]]:
    """Recordings in which a phrase is truly repeated, by all voices, and how often."""
    made = {}
    for voice in VOICES:
        for before, phrase, times, after in PHRASES:
            text = " ".join([before, *[phrase] * times, after])
            made[f"{voice}, {phrase!r} x{times}"] = (spoken(voice, text, folder), times)
    return made


def sounds(folder: Path) -> dict[str, Samples]:
    """30 s each of what is no speech, or none that anybody understands."""
    place = folder / "sound.wav"

    def made(*effects: str) -> Samples:
        return sox(["-n"], place, ["synth", "30", *effects])

    talk = sox([str(ROOT / "examples" / "lecture.mp3")], folder / "talk.wav", ["trim", "0", "30"])
    hummed = "hmmmmmm mmmmmm mmmmm hmmmm mmmmmm aaaaah aaaaaah ooooh oooooh"
    spoken("espeak", hummed, folder)
    hum = sox([str(folder / "said.wav")], place, ["repeat", "4", "trim", "0", "29"])
    notes = []
    for note in ("A3", "C4", "E4", "G4", "B4", "E4"):
        notes.append(made("pluck", note, "trim", "0", "0.6"))
    melody = np.tile(np.concatenate(notes), 9)[: 30 * RATE]
    dice = np.random.default_rng(2)
    applause = np.zeros(30 * RATE, np.float32)
    for first in dice.integers(0, len(applause) - 400, 3000):
        burst = dice.uniform(-1, 1, 400) * np.exp(-np.arange(400) / 60)
        applause[first : first + 400] += dice.uniform(0.03, 0.2) * burst
    found = {
        "speech backwards": talk[::-1].copy(),
        "speech backwards, later": talk[: 20 * RATE][::-1].copy(),
        "hums": hum,
        "a melody": melody,
        "one note": made("pluck", "C4"),
        "applause": applause,
        "pink noise": made("pinknoise", "vol", "0.2"),
        "brown noise": made("brownnoise", "vol", "0.5"),
        "white noise": made("whitenoise", "vol", "0.2"),
        "noise in syllables": made("whitenoise", "tremolo", "4", "90", "vol", "0.4"),
        "a hum of 50 Hz": made("sine", "50", "vol", "0.3"),
        "silence": np.zeros(30 * RATE, np.float32),
    }
    for name, low, high in (("a", "700", "1100"), ("u", "300", "800"), ("e", "500", "1800")):
        voice = made("sawtooth", "120", "vol", "0.3")
        save(folder / "voice.wav", voice)
        first = sox([str(folder / "voice.wav")], place, ["bandpass", low, "100"])
        second = sox([str(folder / "voice.wav")], place, ["bandpass", high, "150"])
        beat = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * np.arange(len(first)) / RATE)
        found[f"the vowel {name} in syllables"] = ((first + second) * beat).astype(np.float32)
    return found


def save(place: Path, samples: Samples) -> None:
    """As 16-bit WAV."""
    with wave.open(str(place), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes((samples * 32767).clip(-32768, 32767).astype(np.int16).tobytes())


class Ear:
    """Whisper, greedy, that notes the runs it writes and what becomes of them."""

    def __init__(self, folder: Path, details: bool) -> None:
        self._transcriber = Transcriber(folder)
        self._details = details
        self._noted: list[tuple[Run, bool, str]] = []
        # The one place where a run is judged.
        vars(transcription)["without_loops"] = self._judge

    def _judge(self, items: Sequence[Any], texts: Sequence[str], is_loop: Any) -> list[Any]:
        for run in runs(texts):
            words = items[run.first : run.end]
            once = "".join(texts[run.first : run.first + len(words) // run.times]).strip()
            self._noted.append((run, is_loop(run), once))
            if self._details:
                none = sum(word.end - word.start <= 0.02 for word in words) / len(words)
                sure = sum(word.probability for word in words) / len(words)
                print(
                    f"    {once!r} x{run.times} {words[0].start:.1f}-{words[-1].end:.1f} s, "
                    f"{none:.0%} without time, probability {sure:.2f}, loop: {self._noted[-1][1]}"
                )
        return without_loops(items, texts, is_loop)

    def hear(self, name: str, samples: Samples) -> Heard:
        """As a recording is heard."""
        return self._heard(name, lambda: list(self._transcriber.sentences([samples], "fast")))

    def hear_all(self, name: str, samples: Samples) -> Heard:
        """All of it as if it were speech."""
        samples = samples[: 30 * RATE]
        speech = ((0, len(samples)),)
        piece, part = Piece(samples, 0.0, speech), Part("en", speech)
        return self._heard(name, lambda: self._transcriber._decode(piece, part, EFFORTS["fast"]))

    def _heard(self, name: str, run: Any) -> Heard:
        self._noted = []
        if self._details:
            print(name, flush=True)
        run()
        return Heard(name, tuple(self._noted))


def main() -> None:
    """Parses the command line and prints both counts, before and after."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--details", action="store_true", help="print every run")
    arguments = parser.parse_args()
    missing = [name for name in ("flite", "espeak-ng", "sox") if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"needs {', '.join(missing)}")
    installed = weights.store_of(card.load("mini"), cache_folder()).pull()
    ear = Ear(installed.speech, arguments.details)
    with tempfile.TemporaryDirectory() as folder:
        true = said_again_and_again(Path(folder))
        heard = [
            (run, loop, times)
            for name, (samples, times) in true.items()
            for run, loop, _ in ear.hear(name, samples).runs
        ]
        false = sounds(Path(folder))
        looped = [ear.hear(name, samples) for name, samples in false.items()]
        looped += [ear.hear_all(f"{name}, all", samples) for name, samples in false.items()]
    # Written more than twice as often as it was said: there, too, the decoder loops.
    said = [(run, loop) for run, loop, times in heard if run.times <= 2 * times]
    lost = [(run, loop) for run, loop, times in heard if run.times > 2 * times]
    print(
        f"true: {len(true)} recordings; the decoder writes {sum(run.times for run, _ in said)} "
        f"repetitions in {len(said)} runs"
    )
    before = sum(run.times if _words(run) > 8 else 1 for run, _ in said)
    print(f"  stay: before {before}, after {sum(1 if loop else run.times for run, loop in said)}")
    found = [(run, loop) for one in looped for run, loop, _ in one.runs]
    print(
        f"loops: {len(found)} in {len(looped)} hearings of {len(false)} sounds, "
        f"{len(lost)} in true repetitions"
    )
    found += lost
    before = sum(_words(run) <= 8 for run, _ in found)
    print(f"  go: before {before}, after {sum(loop for _, loop in found)}")
    print("  of: " + "; ".join(one.name for one in looped if one.runs))


def _words(run: Run) -> int:
    return (run.end - run.first) // run.times


if __name__ == "__main__":
    main()
