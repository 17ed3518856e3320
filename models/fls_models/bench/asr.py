"""Word error rate of transcribing, over a manifest of recordings with what is said in them.

A manifest is JSON lines, `{"audio": PATH, "text": WORDS}`, the path relative to the manifest. Both
sides go through `transcription.normalizer`; words are aligned by jiwer, recording by recording. The
rate is that of all words together: (substituted + left out + put in) / words of the references.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fls_models.bench.caches.transcripts import TranscriptCache
from fls_models.bench.counting import counted
from fls_models.core.jsonl import read_lines
from fls_models.core.progress import Progress, ignore
from fls_models.core.text.normalizer import normalise
from fls_models.errors import UsageError
from fls_models.transcription.word_errors import align


@dataclass(frozen=True)
class Utterance:
    """One recording of a manifest; `name` is how the manifest calls it."""

    name: str
    audio: Path
    text: str


@dataclass(frozen=True)
class RecordingErrors:
    """One recording as it was understood, both texts normalised, and what is wrong with it."""

    name: str
    reference: str
    hypothesis: str
    words: int
    substitutions: int
    deletions: int
    insertions: int
    audio_seconds: float
    seconds: float

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    def as_json(self) -> dict[str, Any]:
        values = {key: round(v, 2) if isinstance(v, float) else v for key, v in vars(self).items()}
        return {"audio": values.pop("name"), **values}


@dataclass(frozen=True)
class AsrReport:
    """All recordings at one budget."""

    budget: str
    model: str
    items: tuple[RecordingErrors, ...]

    def total(self, field: str) -> Any:
        """The sum of a number of all recordings: words, errors of each kind, seconds."""
        return sum(getattr(item, field) for item in self.items)

    @property
    def wer(self) -> float:
        """Errors per word of the references, 0 upwards."""
        return float(self.total("errors") / self.total("words"))

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of audio, decoding included; nan where there was none."""
        audio = self.total("audio_seconds")
        return float(self.total("seconds") / audio) if audio else float("nan")

    def as_json(self) -> dict[str, Any]:
        kinds = ("words", "errors", "substitutions", "deletions", "insertions")
        audio = self.total("audio_seconds")
        return {
            "budget": self.budget,
            "model": self.model,
            **{kind: self.total(kind) for kind in kinds},
            "wer": round(self.wer, 5),
            "audio_seconds": round(audio, 2),
            "seconds": round(self.total("seconds"), 2),
            "real_time_factor": round(self.real_time_factor, 4) if audio else None,
            "items": [item.as_json() for item in self.items],
        }


def load_manifest(path: Path, limit: int | None = None) -> list[Utterance]:
    """The recordings of a manifest, the first `limit` of them.

    Raises UsageError for a file that is not there, a line that does not fit, a reference without
    words.
    """
    utterances = []
    for number, raw in read_lines(path)[:limit]:
        name, text = raw.get("audio"), raw.get("text")
        if not isinstance(name, str) or not isinstance(text, str) or not normalise(text):
            raise UsageError(
                f'{path}, line {number}: a line is {{"audio": "talk.wav", "text": "what is said"}}.'
            )
        utterances.append(Utterance(name, path.parent / name, text))
    if not utterances:
        raise UsageError(f"{path} holds no recordings.")
    return utterances


def measure(
    utterances: Sequence[Utterance],
    hearing: TranscriptCache,
    budget: str,
    model: str,
    progress: Progress = ignore,
) -> AsrReport:
    """Transcribes every recording at one budget and counts what is wrong."""
    items = []
    for utterance in counted(utterances, f"{budget}: recordings", progress):
        timed = hearing.hear(utterance.audio, budget)
        spent = timed.transcript.duration, timed.seconds
        items.append(compare(utterance.name, utterance.text, timed.transcript.text, *spent))
    return AsrReport(budget, model, tuple(items))


def compare(
    name: str, reference: str, hypothesis: str, audio_seconds: float = 0.0, seconds: float = 0.0
) -> RecordingErrors:
    """Aligns two texts word by word, after normalising both."""
    reference, hypothesis = normalise(reference), normalise(hypothesis)
    errors = align([reference], [hypothesis])
    counts = len(reference.split()), errors.substitutions, errors.deletions, errors.insertions
    return RecordingErrors(name, reference, hypothesis, *counts, audio_seconds, seconds)
