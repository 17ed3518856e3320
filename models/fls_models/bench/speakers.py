"""Who speaks when, over a manifest of recordings and their RTTM files.

A manifest is JSON lines, `{"audio": PATH, "rttm": PATH}`, paths relative to the manifest.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fls_models.bench.counting import counted
from fls_models.bench.scoring.diarization import (
    DiarizationErrors,
    WordDiarizationErrors,
    diarization_errors,
    speaker_mapping,
    word_diarization_errors,
)
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.jsonl import read_lines
from fls_models.core.progress import Progress, ignore
from fls_models.core.results import Transcript
from fls_models.errors import UsageError
from fls_models.speakers.assignment import with_speakers
from fls_models.speakers.diarizer import Diarizer
from fls_models.speakers.turn import SpeakerTurn, read_rttm

COLLAR = 0.25


@dataclass(frozen=True)
class Conversation:
    """One recording of a manifest; `name` is how the manifest calls it."""

    name: str
    audio: Path
    turns: tuple[SpeakerTurn, ...]


@dataclass(frozen=True)
class ConversationErrors:
    """One recording: errors with COLLAR and without, of one speaker for all with COLLAR, and of
    words, where those were heard; `seconds` of work, without hearing words."""

    name: str
    collar: DiarizationErrors
    exact: DiarizationErrors
    one_speaker: DiarizationErrors
    words: WordDiarizationErrors
    audio_seconds: float
    seconds: float

    @property
    def counts(self) -> tuple[int, int]:
        """Speakers of the reference, and found."""
        return self.exact.reference_speakers[0], self.exact.hypothesis_speakers[0]

    def as_json(self) -> dict[str, Any]:
        speakers, found = self.counts
        return {
            "audio": self.name,
            "speakers": speakers,
            "found": found,
            "collar": _rates(self.collar),
            "exact": _rates(self.exact),
            "one_speaker": _rates(self.one_speaker),
            "words": {"wrong": self.words.wrong, "words": self.words.words},
            "audio_seconds": round(self.audio_seconds, 2),
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class SpeakersReport:
    """All recordings."""

    items: tuple[ConversationErrors, ...]

    @property
    def collar(self) -> DiarizationErrors:
        return reduce(add, (item.collar for item in self.items))

    @property
    def exact(self) -> DiarizationErrors:
        return reduce(add, (item.exact for item in self.items))

    @property
    def one_speaker(self) -> DiarizationErrors:
        return reduce(add, (item.one_speaker for item in self.items))

    @property
    def words(self) -> WordDiarizationErrors:
        return reduce(add, (item.words for item in self.items))

    @property
    def audio_seconds(self) -> float:
        return sum(item.audio_seconds for item in self.items)

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of audio, decoding included."""
        return sum(item.seconds for item in self.items) / self.audio_seconds

    def right_count(self, within: int) -> float:
        """The share of recordings in which so many speakers more or fewer are found at most."""
        near = [abs(speakers - found) <= within for speakers, found in map(_counts, self.items)]
        return sum(near) / len(near)

    def as_json(self) -> dict[str, Any]:
        return {
            "recordings": len(self.items),
            "collar": _rates(self.collar),
            "exact": _rates(self.exact),
            "one_speaker": _rates(self.one_speaker),
            "words": {"wrong": self.words.wrong, "words": self.words.words},
            "right_count": round(self.right_count(0), 4),
            "count_within_one": round(self.right_count(1), 4),
            "real_time_factor": round(self.real_time_factor, 4),
            "items": [item.as_json() for item in self.items],
        }


def load_conversations(path: Path, limit: int | None = None) -> list[Conversation]:
    """The recordings of a manifest, the first `limit` of them.

    Raises UsageError for a file that is not there, a line that does not fit, what `read_rttm` does.
    """
    conversations = []
    for number, raw in read_lines(path)[:limit]:
        name, rttm = raw.get("audio"), raw.get("rttm")
        if not isinstance(name, str) or not isinstance(rttm, str):
            raise UsageError(
                f'{path}, line {number}: a line is {{"audio": "talk.wav", "rttm": "talk.rttm"}}.'
            )
        turns = tuple(read_rttm(path.parent / rttm))
        conversations.append(Conversation(name, path.parent / name, turns))
    if not conversations:
        raise UsageError(f"{path} holds no recordings.")
    return conversations


def measure(
    conversations: Sequence[Conversation],
    decode: Callable[[Path], Iterable[NDArray[np.float32]]],
    transcript: Callable[[Path], Transcript] | None = None,
    progress: Progress = ignore,
) -> SpeakersReport:
    """Finds the speakers of each recording; of its words, too, if they can be heard."""
    items = []
    for conversation in counted(conversations, "recordings", progress):
        begun, samples, diarizer = perf_counter(), 0, Diarizer()
        for block in decode(conversation.audio):
            samples += len(block)
            diarizer.add(block)
        turns = diarizer.finish().turns()
        seconds = perf_counter() - begun
        words = None if transcript is None else transcript(conversation.audio)
        items.append(_compared(conversation, turns, words, samples / SAMPLE_RATE, seconds))
    return SpeakersReport(tuple(items))


def _compared(
    conversation: Conversation,
    turns: Sequence[SpeakerTurn],
    transcript: Transcript | None,
    audio_seconds: float,
    seconds: float,
) -> ConversationErrors:
    reference = conversation.turns
    word_errors = WordDiarizationErrors()
    if transcript is not None:
        words = with_speakers(transcript, turns).words
        word_errors = word_diarization_errors(
            [(word.start, word.end) for word in words],
            reference,
            [word.speaker for word in words],
            mapping=speaker_mapping(reference, turns, COLLAR),
        )
    return ConversationErrors(
        conversation.name,
        diarization_errors(reference, turns, COLLAR),
        diarization_errors(reference, turns),
        diarization_errors(reference, [replace(turn, speaker="S1") for turn in turns], COLLAR),
        word_errors,
        audio_seconds,
        seconds,
    )


def _counts(item: ConversationErrors) -> tuple[int, int]:
    return item.counts


def _rates(errors: DiarizationErrors) -> dict[str, float | None]:
    """Shares of the reference's speaker seconds; None where there are none."""
    parts = {
        "rate": errors.missed + errors.false_alarm + errors.confused,
        "missed": errors.missed,
        "false_alarm": errors.false_alarm,
        "confused": errors.confused,
    }
    total = errors.total
    return {name: round(part / total, 4) if total else None for name, part in parts.items()}
