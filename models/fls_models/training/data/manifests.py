"""What a model is trained on: manifests of recordings, read and divided.

JSON lines with paths relative to the file: what is said in a recording, or a question about it and
the answer. Nothing here listens to a recording, nor knows what is trained.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from fls_models.core.jsonl import read_lines
from fls_models.errors import UsageError

_UTTERANCE = '{"audio": "talk.wav", "text": "what is said"}'
_SPOKEN = '{"audio": "talk.wav", "question": "Who speaks?", "answer": "A teacher."}'


@dataclass(frozen=True)
class Utterance:
    """A recording and what is said in it; `source` names the document that it is a part of."""

    audio: Path
    text: str
    source: str | None = None


@dataclass(frozen=True)
class Spoken:
    """A question about a recording and its answer; `transcript` is what is said, where known."""

    audio: Path
    question: str
    answer: str
    transcript: str | None = None
    source: str | None = None


class Sourced(Protocol):
    """Part of a document that has a name, or (None) a document of its own."""

    @property
    def source(self) -> str | None: ...


S = TypeVar("S", bound=Sourced)


def read_utterances(jsonl: Path) -> list[Utterance]:
    """The lines `{"audio": PATH, "text": WORDS}` of a manifest, `"source"` where there is one.

    Raises UsageError that names the line for what does not fit, a file that is not there, or a
    text without words.
    """
    utterances = []
    for number, raw in read_lines(jsonl):
        audio, source = _places(jsonl, number, raw, _UTTERANCE)
        text = _words(jsonl, number, raw, "text", _UTTERANCE)
        if not any(letter.isalnum() for letter in text):
            raise UsageError(f"{jsonl}, line {number}: the text {text!r} has no words.")
        utterances.append(Utterance(audio, text, source))
    return _some(jsonl, utterances)


def read_spoken(jsonl: Path) -> list[Spoken]:
    """The lines `{"audio": PATH, "question": ..., "answer": ...}` of a manifest.

    `"transcript"` and `"source"` may be left out. Raises UsageError as `read_utterances` does.
    """
    questions = []
    for number, raw in read_lines(jsonl):
        audio, source = _places(jsonl, number, raw, _SPOKEN)
        question = _words(jsonl, number, raw, "question", _SPOKEN)
        answer = _words(jsonl, number, raw, "answer", _SPOKEN)
        transcript = _optional(jsonl, number, raw, "transcript")
        questions.append(Spoken(audio, question, answer, transcript, source))
    return _some(jsonl, questions)


def split(things: Sequence[S], share: float = 0.05, seed: int = 0) -> tuple[list[S], list[S]]:
    """Divides into what is trained on and what is held out, in order: (train, dev).

    All parts of a source document go to the same side, so that what is held out is of documents
    that were never seen. About `share` of all are held out, at least one; the same for the same
    list and seed.

    Raises UsageError when there is one document only.
    """
    if not 0 < share < 1:
        raise ValueError(f"a share is between 0 and 1, not {share}")
    documents: dict[object, list[int]] = {}
    for at, thing in enumerate(things):
        # A number is no name of a document.
        documents.setdefault(at if thing.source is None else thing.source, []).append(at)
    if len(documents) < 2:
        raise UsageError(
            f"{len(things)} recordings of one source cannot be divided; give those to be held out "
            "in a manifest of their own with --dev."
        )
    groups = list(documents.values())
    random.Random(seed).shuffle(groups)
    target = min(max(1, round(share * len(things))), len(things) - 1)
    dev: set[int] = set()
    for group in groups:
        if len(dev) + len(group) <= target:
            dev.update(group)
    if not dev:
        dev.update(sorted(groups, key=len)[0])
    train = [thing for at, thing in enumerate(things) if at not in dev]
    return train, [thing for at, thing in enumerate(things) if at in dev]


def _places(jsonl: Path, number: int, raw: dict[str, Any], form: str) -> tuple[Path, str | None]:
    audio = jsonl.parent / _words(jsonl, number, raw, "audio", form)
    if not audio.is_file():
        raise UsageError(f"{jsonl}, line {number}: there is no file {audio}.")
    return audio, _optional(jsonl, number, raw, "source")


def _words(jsonl: Path, number: int, raw: dict[str, Any], name: str, form: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{jsonl}, line {number}: {name!r} is missing; a line is {form}.")
    return value


def _optional(jsonl: Path, number: int, raw: dict[str, Any], name: str) -> str | None:
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{jsonl}, line {number}: {name!r} is text or left out, not {value!r}.")
    return value


def _some(jsonl: Path, items: list[S]) -> list[S]:
    if not items:
        raise UsageError(f"{jsonl} holds no recordings.")
    return items
