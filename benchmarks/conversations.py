"""Long conversations whose turns are known, put together from single turns of some voices.

    python benchmarks/conversations.py turns.jsonl FOLDER --minutes 10 30 60 --voices 2 4 6 8

A line of turns.jsonl is `{"audio": PATH, "voice": NAME}`, paths relative to it, of one
voice in silence: speech of any origin. FOLDER gets WAV and RTTM files, and a manifest of all for
`fls bench speakers`. Voices speak as often as chance has it, each at its own loudness, one to three
turns in a row; pauses are 0.1 to 0.8 s, and every sixth turn begins 0.3 to 0.8 s before the end of
the one before. Nothing is said twice while there is something else to say.
"""

from __future__ import annotations

import argparse
import json
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from checkout import ROOT
from numpy.typing import NDArray

from fls_cli.sources.decode import decode
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.jsonl import read_lines
from fls_models.speakers.turn import SpeakerTurn, write_rttm

assert ROOT
NOISE = 3e-4


def main() -> None:
    parser = argparse.ArgumentParser(description="Conversations of known turns.")
    parser.add_argument("turns", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 30, 60])
    parser.add_argument("--voices", type=int, nargs="+", default=[2, 4, 6, 8])
    arguments = parser.parse_args()
    spoken: dict[str, list[NDArray[np.float32]]] = {}
    for _, raw in read_lines(arguments.turns):
        sound = np.concatenate(list(decode(arguments.turns.parent / str(raw["audio"]))))
        spoken.setdefault(str(raw["voice"]), []).append(sound)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for minutes in arguments.minutes:
        for count in arguments.voices:
            name = f"{minutes:g}-minutes-{count}-voices"
            draw = np.random.default_rng([round(minutes), count])
            voices = [str(voice) for voice in draw.choice(sorted(spoken), count, replace=False)]
            chosen = {voice: spoken[voice] for voice in voices}
            samples, turns = conversation(chosen, minutes * 60, draw)
            write_wav(arguments.folder / f"{name}.wav", samples)
            (arguments.folder / f"{name}.rttm").write_text(write_rttm(turns, name), "utf-8")
            lines.append(json.dumps({"audio": f"{name}.wav", "rttm": f"{name}.rttm"}) + "\n")
            print(f"{name}: {len(turns)} turns", flush=True)
    (arguments.folder / "conversations.jsonl").write_text("".join(lines), "utf-8")


def conversation(
    spoken: Mapping[str, Sequence[NDArray[np.float32]]], seconds: float, draw: np.random.Generator
) -> tuple[NDArray[np.float32], list[SpeakerTurn]]:
    """Samples, and who speaks when in them."""
    samples = np.zeros(round((seconds + 60) * SAMPLE_RATE), np.float32)
    share = draw.dirichlet(np.full(len(spoken), 3.0)) + 0.05
    share /= share.sum()
    gains = {voice: 10 ** (draw.uniform(-6, 3) / 20) for voice in spoken}
    waiting: dict[str, list[int]] = {voice: [] for voice in spoken}
    turns: list[SpeakerTurn] = []
    at, before = 0.5, ""
    while at < seconds:
        voice = str(draw.choice(list(spoken), p=share))
        if voice == before:
            continue
        for _ in range(draw.integers(1, 4)):
            if not waiting[voice]:
                waiting[voice] = draw.permutation(len(spoken[voice])).tolist()
            sound = spoken[voice][waiting[voice].pop()] * np.float32(gains[voice])
            is_next = before and before != voice
            if is_next and draw.random() < 1 / 6:
                at -= min(draw.uniform(0.3, 0.8), len(sound) / SAMPLE_RATE / 2)
            else:
                at += draw.uniform(0.1, 0.8)
            first = round(at * SAMPLE_RATE)
            samples[first : first + len(sound)] += sound[: len(samples) - first]
            end = at + len(sound) / SAMPLE_RATE
            turns.append(SpeakerTurn(at, end, voice))
            at, before = end, voice
    samples = samples[: round((at + 1) * SAMPLE_RATE)]
    samples += NOISE * draw.standard_normal(len(samples)).astype(np.float32)
    return samples / max(1.0, float(np.abs(samples).max())), turns


def write_wav(file: Path, samples: NDArray[np.float32]) -> None:
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes((samples * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
