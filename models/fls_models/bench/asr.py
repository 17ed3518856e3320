"""Word error rate of transcribing, over a manifest of recordings with what is said in them.

A manifest is JSON lines, `{"audio": PATH, "text": WORDS}`, the path relative to the manifest. Both
sides go through `normaliser`; words are aligned by jiwer, recording by recording. The rate is that
of all words together: (substituted + left out + put in) / words of the references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fls_models.bench.caches.transcripts import TranscriptCache
from fls_models.core.jsonl import read_lines
from fls_models.core.progress import Progress, ignore
from fls_models.errors import UsageError
from fls_models.transcription.normalizer import normalise
from fls_models.transcription.word_errors import align


@dataclass(frozen=True)
class Utterance:
    """One recording of a manifest; `name` is how the manifest calls it."""

    name: str
    audio: Path
    text: str


@dataclass(frozen=True)
class Compared:
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


@dataclass(frozen=True)
class AsrReport:
    """All recordings at one budget."""

    budget: str
    model: str
    items: tuple[Compared, ...]

    @property
    def words(self) -> int:
        return sum(item.words for item in self.items)

    @property
    def errors(self) -> int:
        return sum(item.errors for item in self.items)

    @property
    def wer(self) -> float:
        """Errors per word of the references, 0 upwards."""
        return self.errors / self.words

    @property
    def audio_seconds(self) -> float:
        return sum(item.audio_seconds for item in self.items)

    @property
    def seconds(self) -> float:
        """Spent on listening, decoding of the media files included, loading the model not."""
        return sum(item.seconds for item in self.items)

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of audio; nan where there was none."""
        return self.seconds / self.audio_seconds if self.audio_seconds else float("nan")

    def as_json(self) -> dict[str, Any]:
        return {
            "budget": self.budget,
            "model": self.model,
            "words": self.words,
            "errors": self.errors,
            "substitutions": sum(item.substitutions for item in self.items),
            "deletions": sum(item.deletions for item in self.items),
            "insertions": sum(item.insertions for item in self.items),
            "wer": round(self.wer, 5),
            "audio_seconds": round(self.audio_seconds, 2),
            "seconds": round(self.seconds, 2),
            "real_time_factor": round(self.real_time_factor, 4) if self.audio_seconds else None,
            "items": [
                {
                    "audio": item.name,
                    "reference": item.reference,
                    "hypothesis": item.hypothesis,
                    "words": item.words,
                    "substitutions": item.substitutions,
                    "deletions": item.deletions,
                    "insertions": item.insertions,
                    "audio_seconds": round(item.audio_seconds, 2),
                    "seconds": round(item.seconds, 2),
                }
                for item in self.items
            ],
        }


def load_manifest(path: Path, limit: int | None = None) -> list[Utterance]:
    """The recordings of a manifest, the first `limit` of them.

    Raises UsageError for a file that is not there, a line that does not fit, a reference without
    words.
    """
    utterances = []
    for number, raw in read_lines(path):
        name, text = raw.get("audio"), raw.get("text")
        if not isinstance(name, str) or not isinstance(text, str) or not normalise(text):
            raise UsageError(
                f'{path}, line {number}: a line is {{"audio": "talk.wav", "text": "what is said"}}.'
            )
        utterances.append(Utterance(name, path.parent / name, text))
        if len(utterances) == limit:
            break
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
    stage = f"{budget}: recordings"
    progress(stage, 0, len(utterances))
    for done, utterance in enumerate(utterances, 1):
        heard = hearing.hear(utterance.audio, budget)
        text = heard.transcript.text
        items.append(
            compare(utterance.name, utterance.text, text, heard.transcript.duration, heard.seconds)
        )
        progress(stage, done, len(utterances))
    return AsrReport(budget, model, tuple(items))


def compare(
    name: str, reference: str, hypothesis: str, audio_seconds: float = 0.0, seconds: float = 0.0
) -> Compared:
    """Aligns two texts word by word, after normalising both."""
    said, understood = normalise(reference), normalise(hypothesis)
    aligned = align([said], [understood])
    return Compared(
        name,
        said,
        understood,
        len(said.split()),
        aligned.substitutions,
        aligned.deletions,
        aligned.insertions,
        audio_seconds,
        seconds,
    )
