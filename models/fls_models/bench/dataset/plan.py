"""Documents to a plan of long recordings: which of them are joined, and what is asked about each.

Short documents with questions are joined to recordings whose lengths are spread as those of
LongSpeech-Eval are (arXiv 2507.14815: 133 s on average, 1000 s at most): log-normally. Documents
without questions fill up. Nothing is spoken here, so that lengths are estimates; which questions a
recording answers is decided when it is known what was said. The same for the same seed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from random import Random
from typing import Any

from fls_models.training.data import instructions as exercises
from fls_models.training.data.documents import Document, Question
from fls_models.training.data.spoken_form import WORDLESS
from fls_models.transcription.normalizer import normalise

ASKING = ("qa", "dialogue")
"""Tasks that put the questions of documents."""
TASKS = (*ASKING, "asr", "summary")

# Of voices that read aloud, pauses included.
_WORDS_A_SECOND = 2.6
# The spread of lengths: of 100 recordings, a few are five times as long as the average.
_SIGMA = 0.8
# Lines of a text that fills up, or that is only transcribed.
_PIECE = 12
_WAITING = 20


@dataclass(frozen=True)
class Plan:
    """Recordings to be made, each of documents one after the other.

    `left_out` counts documents by why they are in none.
    """

    recordings: tuple[tuple[Document, ...], ...]
    left_out: Mapping[str, int]


def plan(
    documents: Sequence[Document], *, mean: float, longest: float, asks: bool, seed: int
) -> Plan:
    """Joins documents to recordings of about `mean` seconds on average, `longest` at most.

    With `asks`, every recording begins with a document that has questions before its documents are
    shuffled; no two of one recording ask the same. Long documents without questions are cut.
    """
    chance = Random(f"{seed} recordings")
    asked = [one for one in documents if one.questions] if asks else []
    fitting = [one for one in asked if seconds_of(one) <= longest]
    others = [one for one in documents if not (asks and one.questions)]
    fillers = [piece for one in others for piece in _pieces(one)]
    for group in (fitting, fillers):
        chance.shuffle(group)
    first, second = deque(fitting if asks else fillers), deque(fillers if asks else ())
    recordings: list[tuple[Document, ...]] = []
    # Seconds by which the recordings before fell short of what was drawn for them.
    owed = 0.0
    while first:
        drawn = min(longest, mean * exp(chance.gauss(-(_SIGMA**2) / 2, _SIGMA)))
        wanted = min(longest, max(0.0, drawn + owed))
        joined = [first.popleft()]
        length = seconds_of(joined[0])
        while (found := _next(joined, first, second, chance)) is not None:
            after = length + seconds_of(found)
            if after > longest or after - wanted > wanted - length:
                # Its turn comes again.
                (first if found.questions or not asks else second).appendleft(found)
                break
            joined.append(found)
            length = after
        # One document may be longer than all that was owed.
        owed = max(-mean, drawn + owed - length)
        chance.shuffle(joined)
        recordings.append(tuple(joined))
    left_out = {"too long": len(asked) - len(fitting), "not needed": len(second)}
    return Plan(tuple(recordings), {why: count for why, count in left_out.items() if count})


def seconds_of(document: Document) -> float:
    """About how long it takes to say it."""
    return sum(len(line.text.split()) for line in document.lines) / _WORDS_A_SECOND


def task_of(document: Document) -> str:
    """`dialogue` where several speak, else `qa`."""
    return "dialogue" if len({line.speaker for line in document.lines}) > 1 else "qa"


def answered(document: Document, said: Sequence[str]) -> list[Question]:
    """Those questions of a document that can be answered by the lines of it that were said.

    Where something was left out: those whose key sentence was said, and without a key sentence
    those of whose answer every longer word was.
    """
    missing = sum(count for why, count in document.left_out.items() if why != WORDLESS)
    whole = not missing and len(said) == len(document.lines)
    return list(exercises.answered(document.questions, said, whole=whole))


def entries(
    name: str, audio: str, parts: Sequence[tuple[Document, Sequence[str]]], tasks: Sequence[str]
) -> list[dict[str, Any]]:
    """The manifest's lines about a recording: its documents, with what was said of each."""
    transcript = " ".join(line for _, said in parts for line in said)
    about = {"audio": audio, "transcript": transcript}
    sources = ", ".join(document.source for document, _ in parts)
    found: list[dict[str, Any]] = []
    for document, said in parts:
        task = task_of(document)
        if task not in tasks:
            continue
        for one in answered(document, said):
            told: dict[str, Any] = {"id": f"{name}-{len(found) + 1}", "task": task}
            told |= {"question": one.question, "answer": one.answer}
            if len(one.choices) > 1:
                told["choices"] = list(one.choices)
            found.append(told | about | {"source": document.source})
    whole = [task for task in ("asr", "summary") if task in tasks]
    return found + [
        {"id": f"{name}-{task}", "task": task} | about | {"source": sources} for task in whole
    ]


def _next(
    joined: Sequence[Document], first: deque[Document], second: deque[Document], chance: Random
) -> Document | None:
    """One more for a recording, taken from its queue; None when there is none that fits."""
    total = len(first) + len(second)
    if not total:
        return None
    if chance.randrange(total) >= len(first):
        return second.popleft()
    known = {normalise(one.question) for document in joined for one in document.questions}
    for at, found in enumerate(list(first)[:_WAITING]):
        if not any(normalise(one.question) in known for one in found.questions):
            del first[at]
            return found
    return second.popleft() if second else None


def _pieces(document: Document) -> list[Document]:
    lines = document.lines
    if len(lines) <= _PIECE:
        return [Document(document.source, lines, (), document.left_out)]
    # What was left out is counted once.
    return [
        Document(f"{document.source}, {at + 1}", lines[at : at + _PIECE], (), {})
        for at in range(0, len(lines), _PIECE)
    ]
