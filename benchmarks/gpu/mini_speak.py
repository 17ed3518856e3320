"""Reads texts aloud on all cores but two, again and again, for as long as it is let.

    python benchmarks/gpu/mini_speak.py --place DIR [--workers 14] [--hours 120] [--toy]

`mini_train.py` starts it, in a session of its own, so that it speaks on while nothing is trained.
Each take (`mini_takes.py`) appears whole in DIR/takes; those that are there are not spoken again,
so that it may be killed at any time. Every pass over the texts has its own voices and distortions.
It ends by itself when a file DIR/quiet appears, or so many hours were spoken.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import common
import numpy as np
import torch
from mini_takes import DOCUMENTS, Said, Take, as_int16, divided, read_documents, write_take
from numpy.typing import NDArray

from fls_models.training.data.clips import Cast, TextSpan, speak, text_spans
from fls_models.training.data.documents import Document

_SEED = 0
# Lines of a take: some three minutes of speech, so that whole ones can be trained on.
_LINES = 24


@dataclass(frozen=True)
class Tones:
    """A voice for rehearsals: letters are tones."""

    name: str = "tones"

    def say(self, text: str, seed: int) -> NDArray[np.float32]:
        times = np.arange(common.RATE // 25) / common.RATE
        heights = [200.0 + 30 * (ord(letter) % 64) for letter in text[:120]]
        tones = [0.1 * np.sin(2 * np.pi * height * times) for height in heights]
        return np.concatenate(tones).astype(np.float32)


def main() -> int:
    parser = common.plain_parser(__doc__)
    parser.add_argument("--place", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 1) - 2))
    parser.add_argument("--hours", type=float, default=120.0, help="of speech, then it ends")
    parser.add_argument("--toy", action="store_true", help="tones in place of voices")
    arguments = parser.parse_args()
    base, takes = arguments.place / "base", arguments.place / "takes"
    takes.mkdir(exist_ok=True)
    if (base / "wheels").is_dir():
        common.use_wheels(base / "wheels")
    find_programs(base / "programs")
    context = multiprocessing.get_context("fork")
    # A file for each worker: nothing is shared but the folder.
    workers = [
        context.Process(target=work, args=(number, arguments), daemon=True)
        for number in range(arguments.workers)
    ]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
    return max((process.exitcode or 0 for process in workers), default=0)


def work(number: int, arguments: argparse.Namespace) -> None:
    """Speaks every so many-th take."""
    torch.set_num_threads(1)
    os.nice(5)
    place: Path = arguments.place
    cast = (lambda rng: Tones()) if arguments.toy else all_voices()
    train, held = divided(read_documents(place / "base" / DOCUMENTS))
    seconds, max_seconds = 0.0, 3600 * arguments.hours / arguments.workers
    for at, (turn, text_span, is_held) in enumerate(order(train, held)):
        if at % arguments.workers != number:
            continue
        if (place / "quiet").exists() or seconds >= max_seconds:
            return
        file = place / "takes" / f"{at:07d}.safetensors"
        if file.exists():
            # Not counted: it is a matter of the disk's room, by and large.
            continue
        take = take_of(text_span, cast, turn, held=is_held)
        if take is not None:
            write_take(file, take)
            seconds += take.seconds


def all_voices() -> Cast:
    from fls_cli.training import voices

    return voices.cast(voices.find("auto"))


def order(
    train: list[Document], held: list[Document]
) -> Iterator[tuple[int, tuple[TextSpan, bool], bool]]:
    """Pass, stretch (and whether it is all of its document) and whether it is held out, forever."""
    whole = {span.source: len(span.lines) for span in (*train, *held)}

    def marked(documents: list[Document]) -> list[tuple[TextSpan, bool]]:
        return [
            (span, len(span.lines) == whole[span.source]) for span in text_spans(documents, _LINES)
        ]

    # Of a long document that is held out, one stretch is enough.
    for span in marked(held):
        if span[0].at == 0:
            yield 0, span, True
    turn = 0
    while True:
        shuffled = marked(train)
        Random(f"{_SEED} {turn}").shuffle(shuffled)
        for span in shuffled:
            yield turn, span, False
        turn += 1


def take_of(text_span: tuple[TextSpan, bool], cast: Cast, turn: int, *, held: bool) -> Take | None:
    """A stretch as clips; None where no voice can say any of it."""
    text, whole = text_span
    clips, sound, first, skipped = [], [], 0, 0
    # Speakers keep their voices within a clip only, as `speak` has it.
    while first < len(text.lines):
        clip = speak(text, first, cast, f"{_SEED} {turn}")
        first, skipped = clip.after, skipped + clip.skipped
        if clip.lines:
            cuts = tuple(len(clip.until(count + 1)) for count in range(len(clip.lines)))
            lines = tuple(line.text for line in clip.lines)
            clips.append(Said(lines, cuts, len(clip.samples), clip.voices))
            sound.append(as_int16(clip.samples))
    if not clips:
        return None
    return Take(text.source, tuple(clips), whole and not skipped, held, tuple(sound))


def find_programs(folder: Path) -> None:
    """Lets unpacked Debian packages of flite and espeak-ng be found, where there are any."""
    if not folder.is_dir():
        return
    libraries = [str(path) for path in folder.glob("usr/lib/*-linux-gnu")]
    for name, values in (("PATH", [str(folder / "usr/bin")]), ("LD_LIBRARY_PATH", libraries)):
        os.environ[name] = os.pathsep.join([*values, *filter(None, [os.environ.get(name)])])
    for data in folder.glob("usr/lib/*-linux-gnu/espeak-ng-data"):
        os.environ["ESPEAK_DATA_PATH"] = str(data.parent)


if __name__ == "__main__":
    sys.exit(main())
