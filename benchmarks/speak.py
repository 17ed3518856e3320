"""Speaks the items of a question set, so that `fls bench qa` has recordings to ask.

    pip install hibari-tts==0.2.1 imageio-ffmpeg
    python benchmarks/speak.py dev.jsonl --out spoken/     # writes spoken/dev.jsonl and *.opus
    fls bench qa spoken/dev.jsonl

The items are those of SPIRAL (arXiv 2412.12009): JSON lines with `id` and either `turns`, a list of
`{"speaker", "text"}`, or `text`. The copy beside the recordings has `audio` added, relative to it.

hibari-tts carries its one voice inside the package and downloads nothing. Every second speaker of
an item gets the same voice lowered: spoken faster, then played back slower by the same factor. The
noise in the voice is seeded; an item that is there already is not spoken again, so an interrupted
run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from hibari import Hibari
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 24_000  # hibari's own
LOUDNESS = 0.08  # root mean square of every turn, so that both voices are equally loud
PAUSE = 0.35  # seconds of silence after each turn
LOWERED = 1.22  # how much lower every second speaker is


def main() -> None:
    parser = argparse.ArgumentParser(description="Speak the items of a question set.")
    parser.add_argument("items", type=Path, help="JSON lines with id and turns or text")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N items")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    lines = arguments.items.read_text(encoding="utf-8").splitlines()
    items: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
    items = items[: arguments.limit]
    voice, begun, seconds = Hibari(), time.perf_counter(), 0.0
    for number, item in enumerate(items, 1):
        item["audio"] = re.sub(r"[^\w.-]", "-", str(item["id"])) + ".opus"
        if not (out / item["audio"]).exists():
            speech = speak(voice, item)
            save(speech, out / item["audio"])
            seconds += len(speech) / RATE
        print(f"\r{number} of {len(items)}", end="", flush=True)
    text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    write(out / arguments.items.name, text.encode())
    print(f"\n{seconds:.0f} s of speech in {time.perf_counter() - begun:.0f} s")


def turns(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(speaker, text) of each turn; a plain text is one turn of nobody in particular."""
    for turn in item.get("turns") or [{"speaker": "", "text": item["text"]}]:
        yield str(turn.get("speaker", "")), str(turn["text"])


def speak(voice: Hibari, item: dict[str, Any]) -> Samples:
    parts: list[Samples] = []
    speakers: list[str] = []
    for speaker, text in turns(item):
        if speaker not in speakers:
            speakers.append(speaker)
        lowered = LOWERED if speakers.index(speaker) % 2 else 1.0
        speech: Samples = voice(text, speed=lowered, seed=0)
        if lowered != 1.0:
            speech = slowed(speech, lowered)
        loudness = float(np.sqrt(np.mean(speech**2))) or 1.0
        parts.append((speech * (LOUDNESS / loudness)).clip(-0.98, 0.98))
        parts.append(np.zeros(round(PAUSE * RATE), np.float32))
    return np.concatenate(parts)


def slowed(speech: Samples, factor: float) -> Samples:
    """Played back slower: lower, as if said by somebody larger."""
    form = ("-f", "f32le", "-ac", "1", "-ar")
    pcm = ffmpeg(
        *(*form, str(round(RATE / factor)), "-i", "pipe:0", *form, str(RATE), "pipe:1"),
        data=speech.tobytes(),
    )
    return np.frombuffer(pcm, np.float32)


def save(speech: Samples, path: Path) -> None:
    encoded = ffmpeg(
        *("-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", "pipe:0"),
        *("-c:a", "libopus", "-b:a", "32k", "-fflags", "+bitexact", "-flags", "+bitexact"),
        *("-f", "ogg", "pipe:1"),
        data=speech.tobytes(),
    )
    write(path, encoded)


def ffmpeg(*arguments: str, data: bytes) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", *arguments]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def write(path: Path, content: bytes) -> None:
    """Under another name first: what has its name is complete."""
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


if __name__ == "__main__":
    main()
