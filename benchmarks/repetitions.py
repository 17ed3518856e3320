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
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from checkout import ROOT, located
from numpy.typing import NDArray

from fls_models.audio.vad import Piece, SpeechChunk
from fls_models.transcription import whisper as transcription
from fls_models.transcription.loops import Run, runs, without_loops
from fls_models.transcription.whisper import Transcriber

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


def read_aloud(voice: str, text: str, folder: Path) -> Samples:
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
    options = ["-r", "48000"] if list(sources) == ["-n"] else []
    subprocess.run(
        ["sox", "-V1", "-R", *options, *sources, *form, str(place), *effects], check=True
    )
    with wave.open(str(place), "rb") as sound:
        content = sound.readframes(sound.getnframes())
    return np.frombuffer(content, np.int16).astype(np.float32) / np.float32(32768)


def said_again_and_again(folder: Path) -> dict[str, tuple[Samples, int]]:
    """Recordings in which a phrase is truly repeated, by all voices, and how often."""
    recordings = {}
    for voice in VOICES:
        for before, phrase, times, after in PHRASES:
            text = " ".join([before, *[phrase] * times, after])
            recordings[f"{voice}, {phrase!r} x{times}"] = (read_aloud(voice, text, folder), times)
    return recordings


def sounds(folder: Path) -> dict[str, Samples]:
    """30 s each of what is no speech, or none that anybody understands."""
    place = folder / "sound.wav"

    def synthesized(*effects: str) -> Samples:
        return sox(["-n"], place, ["synth", "30", *effects])

    talk = sox([str(ROOT / "examples" / "lecture.mp3")], folder / "talk.wav", ["trim", "0", "30"])
    hummed = "hmmmmmm mmmmmm mmmmm hmmmm mmmmmm aaaaah aaaaaah ooooh oooooh"
    read_aloud("espeak", hummed, folder)
    hum = sox([str(folder / "said.wav")], place, ["repeat", "4", "trim", "0", "29"])
    notes = []
    for note in ("A3", "C4", "E4", "G4", "B4", "E4"):
        notes.append(synthesized("pluck", note, "trim", "0", "0.6"))
    melody = np.tile(np.concatenate(notes), 9)[: 30 * RATE]
    generator = np.random.default_rng(2)
    applause = np.zeros(30 * RATE, np.float32)
    for first in generator.integers(0, len(applause) - 400, 3000):
        burst = generator.uniform(-1, 1, 400) * np.exp(-np.arange(400) / 60)
        applause[first : first + 400] += generator.uniform(0.03, 0.2) * burst
    recordings = {
        "speech backwards": talk[::-1].copy(),
        "speech backwards, later": talk[: 20 * RATE][::-1].copy(),
        "hums": hum,
        "a melody": melody,
        "one note": synthesized("pluck", "C4"),
        "applause": applause,
        "pink noise": synthesized("pinknoise", "vol", "0.2"),
        "brown noise": synthesized("brownnoise", "vol", "0.5"),
        "white noise": synthesized("whitenoise", "vol", "0.2"),
        "noise in syllables": synthesized("whitenoise", "tremolo", "4", "90", "vol", "0.4"),
        "a hum of 50 Hz": synthesized("sine", "50", "vol", "0.3"),
        "silence": np.zeros(30 * RATE, np.float32),
    }
    for name, low, high in (("a", "700", "1100"), ("u", "300", "800"), ("e", "500", "1800")):
        voice = synthesized("sawtooth", "120", "vol", "0.3")
        save(folder / "voice.wav", voice)
        first = sox([str(folder / "voice.wav")], place, ["bandpass", low, "100"])
        second = sox([str(folder / "voice.wav")], place, ["bandpass", high, "150"])
        beat = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * np.arange(len(first)) / RATE)
        recordings[f"the vowel {name} in syllables"] = ((first + second) * beat).astype(np.float32)
    return recordings


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

    def hear(self, name: str, samples: Samples, language: str | None = None) -> Heard:
        """As a recording is heard."""
        self._noted = []
        if self._details:
            print(name, flush=True)
        list(self._transcriber.sentences([samples], "fast", language=language))
        return Heard(name, tuple(self._noted))

    def hear_all(self, name: str, samples: Samples) -> Heard:
        """All of it as if it were speech."""
        samples = samples[: 30 * RATE]
        speech = ((0, len(samples)),)
        chunk = SpeechChunk(Piece(samples, 0.0, speech), len(samples) / RATE)
        cut = transcription._cut
        # Where a stream is cut at its pauses.
        vars(transcription)["_cut"] = lambda _: (each for each in [chunk])
        try:
            return self.hear(name, samples, language="en")
        finally:
            vars(transcription)["_cut"] = cut


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--details", action="store_true", help="print every run")
    arguments = parser.parse_args()
    missing = [name for name in ("flite", "espeak-ng", "sox") if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"needs {', '.join(missing)}")
    listener = Ear(located("mini").speech, arguments.details)
    with tempfile.TemporaryDirectory() as folder:
        true = said_again_and_again(Path(folder))
        true_runs = [
            (run, loop, times)
            for name, (samples, times) in true.items()
            for run, loop, _ in listener.hear(name, samples).runs
        ]
        false = sounds(Path(folder))
        looped = [listener.hear(name, samples) for name, samples in false.items()]
        looped += [listener.hear_all(f"{name}, all", samples) for name, samples in false.items()]
    # Written more than twice as often as it was said: there, too, the decoder loops.
    real_runs = [(run, loop) for run, loop, times in true_runs if run.times <= 2 * times]
    lost = [(run, loop) for run, loop, times in true_runs if run.times > 2 * times]
    print(
        f"true: {len(true)} recordings; the decoder writes "
        f"{sum(run.times for run, _ in real_runs)} repetitions in {len(real_runs)} runs"
    )
    before = sum(run.times if _words(run) > 8 else 1 for run, _ in real_runs)
    print(
        f"  stay: before {before}, after {sum(1 if loop else run.times for run, loop in real_runs)}"
    )
    loop_runs = [(run, loop) for hearing in looped for run, loop, _ in hearing.runs]
    print(
        f"loops: {len(loop_runs)} in {len(looped)} hearings of {len(false)} sounds, "
        f"{len(lost)} in true repetitions"
    )
    loop_runs += lost
    before = sum(_words(run) <= 8 for run, _ in loop_runs)
    print(f"  go: before {before}, after {sum(loop for _, loop in loop_runs)}")
    print("  of: " + "; ".join(hearing.name for hearing in looped if hearing.runs))


def _words(run: Run) -> int:
    return (run.end - run.first) // run.times


if __name__ == "__main__":
    main()
