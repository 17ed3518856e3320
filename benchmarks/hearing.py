"""Ten minutes of talk to words with times: several windows at once, against one after the other.

    python benchmarks/hearing.py [--noise DECIBELS] [RECORDING ...]

The baseline is how `fls` heard before: faster-whisper over CTranslate2's 8-bit weights, a piece
after the other, with a pass of its own for the words' times, at balanced. `fls` hears at balanced
and at fast now. All get the same pieces of the same recordings, the language is looked for in all,
and they take turns, each in a process of its own. Without recordings, those of `examples/` are
joined and repeated until they are ten minutes. With white noise so much louder than the speech,
much is doubted, and drawn again.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from checkout import ROOT, located
from numpy.typing import NDArray

from fls_cli.media.stream import stream
from fls_cli.sources.resolve import open_sources
from fls_models.audio.vad import cut_at_pauses
from fls_models.audio.whisper.effort import EFFORTS
from fls_models.core.constants import SAMPLE_RATE
from fls_models.transcription import whisper as transcription
from fls_models.transcription.languages import LanguageDetector, Part

EXAMPLES = ("lecture.mp3", "podcasts/bread-and-time.mp3", "podcasts/night-train.opus", "talk.mp4")
SECONDS = 600
BLOCK = SAMPLE_RATE
BALANCED = EFFORTS["balanced"]


class OneByOne:
    """Hears a piece after the other, as `fls` did until it heard several at once."""

    def __init__(self, folder: Path) -> None:
        from faster_whisper import WhisperModel

        self._whisper = WhisperModel(str(folder), device="cpu", compute_type="int8")
        self._encode = self._whisper.encode
        self._whisper.encode = self._encode_once
        self._last: tuple[NDArray[np.float32], Any] | None = None
        self._languages = LanguageDetector(self)

    def words(self, blocks: Iterator[NDArray[np.float32]]) -> Iterator[str]:
        before = None
        for chunk in cut_at_pauses(blocks):
            if chunk.piece is None:
                continue
            parts = self._languages.parts(chunk.piece, before)
            before = parts[-1].language if parts else before
            for part in parts or [Part("en", chunk.piece.speech)]:
                ranges = transcription._chunks(chunk.piece, part)
                sound = np.concatenate(
                    [chunk.piece.samples[one["start"] : one["end"]] for one in ranges]
                )
                segments, _ = self._whisper.transcribe(
                    sound,
                    language=part.language,
                    beam_size=BALANCED.beams,
                    temperature=list(BALANCED.temperatures),
                    condition_on_previous_text=False,
                    word_timestamps=True,
                )
                found = transcription._words_of(list(segments), part, ranges)
                yield from (word.text for word in found)

    def features(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        from faster_whisper.audio import pad_or_trim

        features: NDArray[np.float32] = pad_or_trim(
            self._whisper.feature_extractor(samples)[..., :-1]
        )
        return features

    def encode(self, features: Sequence[NDArray[np.float32]]) -> list[torch.Tensor]:
        return [torch.from_numpy(np.array(self._encode_once(one)))[0] for one in features]

    def language_probabilities(self, encoded: Sequence[torch.Tensor]) -> list[dict[str, float]]:
        from ctranslate2 import StorageView

        view = StorageView.from_array(torch.stack(list(encoded)).numpy())
        found = self._whisper.model.detect_language(view)
        return [{token[2:-2]: p for token, p in one} for one in found]

    def _encode_once(self, features: NDArray[np.float32]) -> Any:
        """Which language it is and which words are asked of the same frames."""
        if self._last is None or not np.array_equal(self._last[0], features):
            self._last = features.copy(), self._encode(features)
        return self._last[1]


class Together:
    """As `fls` hears now, without its cache."""

    def __init__(self, folder: Path, budget: str = "balanced") -> None:
        self._transcriber = transcription.Transcriber(folder)
        self._budget = budget
        # The model is loaded for the first recording: here, for one of nothing.
        list(self._transcriber.sentences((), budget))

    def words(self, blocks: Iterator[NDArray[np.float32]]) -> Iterator[str]:
        for sentence in self._transcriber.sentences(blocks, self._budget):
            yield from (word.text for word in sentence.words)


def samples_of(recordings: Sequence[str]) -> NDArray[np.float32]:
    """Of all recordings one after the other; of the examples again and again, for ten minutes."""
    names = recordings or [str(ROOT / "examples" / name) for name in EXAMPLES]
    sounds: list[NDArray[np.float32]] = []
    with open_sources(names) as sources:
        for source in sources:
            sounds += stream(source)
    joined = np.concatenate(sounds)
    if recordings:
        return joined
    repeated = np.concatenate([sound for sound, _ in zip(cycle([joined]), range(3), strict=False)])
    return repeated[: SECONDS * SAMPLE_RATE]


def measured(
    words: Callable[[Iterator[NDArray[np.float32]]], Iterator[str]], sound: NDArray[np.float32]
) -> tuple[float, float, float, list[str]]:
    """Seconds, of processors, too, and until the first word; the words."""
    blocks = (sound[at : at + BLOCK] for at in range(0, len(sound), BLOCK))
    wall, processor, first, found = time.perf_counter(), time.process_time(), 0.0, []
    for word in words(blocks):
        first = first or time.perf_counter() - wall
        found.append(word)
    return time.perf_counter() - wall, time.process_time() - processor, first, found


def plain(words: Sequence[str]) -> str:
    return " ".join(re.sub(r"[^\w\s]", "", "".join(words).lower()).split())


def heard(way: str, recordings: Sequence[str], noise: float | None) -> dict[str, Any]:
    """One run of a way, in this process."""
    sound = samples_of(recordings)
    if noise is not None:
        power = float(np.square(sound).mean()) * 10 ** (noise / 10)
        random = np.random.default_rng(0).standard_normal(len(sound), np.float32)
        sound = sound + random * np.float32(power**0.5)
        sound /= np.abs(sound).max()
    wall, processor, first, words = measured(WAYS[way](located("mini").speech).words, sound)
    seconds = len(sound) / SAMPLE_RATE
    return {"audio": seconds, "wall": wall, "processors": processor, "first": first, "words": words}


WAYS: dict[str, Callable[[Path], OneByOne | Together]] = {
    "one by one": OneByOne,
    "together": Together,
    "fast": partial(Together, budget="fast"),
}


def main() -> None:
    import jiwer

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--noise", type=float, metavar="DECIBELS")
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(heard(arguments.only, arguments.recordings, arguments.noise)))
        return
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in WAYS}
    for _ in range(arguments.rounds):
        for name, results in runs.items():
            # Each in a process of its own, as commands are: one that has run both is slower.
            command = [sys.executable, __file__, "--only", name, *arguments.recordings]
            if arguments.noise is not None:
                command += [f"--noise={arguments.noise}"]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            results.append(json.loads(done.stdout))
            run = results[-1]
            print(
                f"{name:10} {run['audio']:.0f} s of audio in {run['wall']:.1f} s, "
                f"{run['processors']:.1f} s of processors, first sentence after "
                f"{run['first']:.1f} s, {len(run['words'])} words",
                flush=True,
            )
    before = runs.pop("one by one")
    for name, now in runs.items():
        for what in ("wall", "processors", "first"):
            ratios = [one[what] / two[what] for one, two in zip(before, now, strict=True)]
            print(f"{name}, {what}: {statistics.median(ratios):.2f} times sooner")
        differing = jiwer.wer(plain(before[0]["words"]), plain(now[0]["words"]))
        print(f"{name}: words that differ: {100 * differing:.2f} %")


if __name__ == "__main__":
    main()
