"""Clips on disk, and a journal of them, so that what was made is never made again.

A folder holds `clips/NUMBER.wav` and `clips.jsonl`, a line for each in the order in which they were
made: first the recording appears, whole or not at all, then its line. Which clip comes next depends
only on the lines before it and on the recipe in `data.json`, so that a run that was interrupted
ends with the same files as one that was not. Questions about clips are others' work.
"""

import fcntl
import json
import os
import re
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any, BinaryIO

import numpy as np

from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.files import lacks_room, replacing
from fls_models.core.progress import Progress, ignore
from fls_models.errors import DiskFull, EnvironmentLacks, UsageError
from fls_models.training.data.augmentation import Samples
from fls_models.training.data.clips import Cast, Clip, speak
from fls_models.training.data.schedule import JournalEntry, Order, Walk

JOURNAL = "clips.jsonl"
FACTS = "data.json"
_CLIPS = "clips"
# Of clips with at least two lines, those whose beginning becomes a recording of its own.
_PARTS = 0.3


class ClipFolder:
    """A folder that is open for one process; see `open_folder`."""

    def __init__(self, place: Path, journal: BinaryIO) -> None:
        self.place = place
        self._journal = journal
        self.entries = _read(place / JOURNAL, journal)

    def make(
        self,
        order: Order,
        cast: Cast,
        *,
        progress: Progress = ignore,
        report: Callable[[JournalEntry], None] = ignore,
    ) -> list[JournalEntry]:
        """Makes the clips of an order that are not there yet; all of them, in their order.

        Args:
            progress: its stage `speak` counts seconds, or lines where there is no goal in hours.
            report: told of each clip that is new.

        Raises:
            UsageError: the journal is of something else.
            EnvironmentLacks: no voice says anything; DiskFull.
        """
        journaled, entries = iter(self.entries), list[JournalEntry]()
        seconds = {False: 0.0, True: 0.0}
        lines = barren = 0
        total = sum(len(entry.lines) for entry in [*order.train, *order.dev])
        walks = {False: Walk(order.train, order), True: Walk(order.dev, order)}
        goal = None if order.hours is None else order.hours * 3600
        while True:
            total_seconds = sum(seconds.values())
            progress("speak", *((lines, total) if goal is None else (total_seconds, goal)))
            if goal is not None and total_seconds >= goal:
                break
            side = seconds[True] <= order.share * total_seconds
            side = side if not walks[side].is_over else not side
            walk = walks[side]
            if walk.is_over:
                break
            entry = next(journaled, None)
            if entry is None:
                entry = self._next(walk, cast, order.seed, held=side)
                report(entry)
            walk.advance(entry)
            entries.append(entry)
            seconds[side] += entry.seconds
            lines += entry.after - entry.first
            barren = 0 if entry.audio else barren + 1
            if barren > len(order.train) + len(order.dev):
                break
        if not any(entry.audio for entry in entries):
            raise EnvironmentLacks("No voice could say any of these texts; try others (--voices).")
        progress("speak", 1, 1)
        return entries

    def _next(self, walk: Walk, cast: Cast, seed: int, *, held: bool) -> JournalEntry:
        text_span, first = walk.text_span, walk.first
        clip = speak(text_span, first, cast, f"{seed} {walk.round}")
        number = sum(entry.audio is not None for entry in self.entries)
        facts: dict[str, Any] = {}
        if clip.lines:
            facts = {
                "audio": self._save(clip.samples, f"{number:06d}.wav"),
                "seconds": round(len(clip.samples) / SAMPLE_RATE, 3),
                "lines": tuple(line.text for line in clip.lines),
                "voices": clip.voices,
                "distortions": clip.distortion.as_json(),
                "part": self._part(clip, number, Random(f"{seed} part {number}")),
            }
        place = walk.round, text_span.source, text_span.at, first, clip.after
        entry = JournalEntry(*place, clip.skipped, held, **facts)
        with _room(self.place):
            self._journal.write(f"{json.dumps(asdict(entry), ensure_ascii=False)}\n".encode())
            self._journal.flush()
        self.entries.append(entry)
        return entry

    def _part(self, clip: Clip, number: int, rng: Random) -> tuple[str, int] | None:
        draw, count = rng.random(), rng.randint(1, max(1, len(clip.lines) - 1))
        if draw >= _PARTS or len(clip.lines) < 2:
            return None
        return self._save(clip.until(count), f"{number:06d}-part.wav"), count

    def _save(self, samples: Samples, name: str) -> str:
        """16-bit PCM, all or nothing; its place relative to the folder."""
        file = self.place / _CLIPS / name
        with (
            _room(self.place),
            replacing(file, file.with_suffix(".part")) as part,
            part.open("wb") as raw,
            wave.open(raw) as opened,
        ):
            opened.setnchannels(1)
            opened.setsampwidth(2)
            opened.setframerate(SAMPLE_RATE)
            opened.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
        return f"{_CLIPS}/{name}"


@contextmanager
def open_folder(place: Path, recipe: Mapping[str, Any], *, fresh: bool) -> Iterator[ClipFolder]:
    """The folder for clips of a recipe, created if need be; with `fresh`, emptied of clips first.

    Raises UsageError when it holds clips of another recipe, or another process is at work on it.
    """
    with _room(place):
        place.mkdir(parents=True, exist_ok=True)
        journal = (place / JOURNAL).open("a+b")
    with journal:
        try:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"Another fls is at work on {place}; wait for it.") from None
        if fresh:
            journal.truncate(0)
            for file in (place / _CLIPS).glob("*.wav"):
                if re.fullmatch(r"\d{6}(-part)?\.wav", file.name):
                    file.unlink()
        facts = place / FACTS
        if journal.seek(0, os.SEEK_END) and _recipe(facts) != json.loads(json.dumps(recipe)):
            raise UsageError(
                f"{place} holds clips of other texts, voices, --seed or --held-out; choose another "
                "folder, or --fresh to make them anew."
            )
        if journal.tell() == 0:
            write(facts, json.dumps({"recipe": recipe}, indent=1, ensure_ascii=False))
        yield ClipFolder(place, journal)


def write(file: Path, text: str) -> None:
    """A text file in the folder, all or nothing."""
    with _room(file.parent), replacing(file) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def _recipe(facts: Path) -> object:
    try:
        return json.loads(facts.read_text("utf-8"))["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(file: Path, journal: BinaryIO) -> list[JournalEntry]:
    """The journal's lines; one that was not finished is cut off."""
    journal.seek(0)
    content = journal.read()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        journal.truncate(len(whole))
    entries = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            raw = json.loads(line)
            raw |= {name: tuple(raw[name]) for name in ("lines", "voices")}
            raw["part"] = tuple(raw["part"]) if raw["part"] else None
            entries.append(JournalEntry(**raw))
        except (ValueError, KeyError, TypeError):
            raise UsageError(
                f"{file}, line {number}, is damaged; --fresh makes all clips anew."
            ) from None
    return entries


@contextmanager
def _room(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if lacks_room(error):
            raise DiskFull(f"No room left in {place}; free some: the same command goes on.") from (
                error
            )
        raise UsageError(f"{place} cannot be written: {error.strerror}.") from None
