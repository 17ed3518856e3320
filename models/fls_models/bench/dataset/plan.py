"""Documents to a plan of long recordings: which of them are joined, and what is asked about each.

Short documents with questions are joined to recordings whose lengths are spread as those of
LongSpeech-Eval are (arXiv 2507.14815: 133 s on average, 1000 s at most): log-normally. Documents
without questions fill up. Nothing is spoken here, so that lengths are estimates; which questions a
recording answers is decided when it is known what was said. The same for the same seed.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from random import Random
from typing import Any

from fls_models.core.text.normalizer import normalise
from fls_models.training.data import instructions as exercises
from fls_models.training.data.documents import Document, Question
from fls_models.training.data.spoken_form import WORDLESS

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
    documents: Sequence[Document], *, mean: float, max_seconds: float, asks: bool, seed: int
) -> Plan:
    """Joins documents to recordings of about `mean` seconds on average, `max_seconds` at most.

    With `asks`, every recording begins with a document that has questions before its documents are
    shuffled; no two of one recording ask the same. Long documents without questions are cut.
    """
    rng = Random(f"{seed} recordings")
    askable = [document for document in documents if document.questions] if asks else []
    fitting = [document for document in askable if seconds_of(document) <= max_seconds]
    plain = [document for document in documents if not (asks and document.questions)]
    fillers = [piece for document in plain for piece in _pieces(document)]
    for group in (fitting, fillers):
        rng.shuffle(group)
    first, second = deque(fitting if asks else fillers), deque(fillers if asks else ())
    recordings: list[tuple[Document, ...]] = []
    # Seconds by which the recordings before fell short of what was drawn for them.
    debt = 0.0
    while first:
        sample = min(max_seconds, mean * exp(rng.gauss(-(_SIGMA**2) / 2, _SIGMA)))
        target = min(max_seconds, max(0.0, sample + debt))
        joined = [first.popleft()]
        length = seconds_of(joined[0])
        while (candidate := _next(joined, first, second, rng)) is not None:
            after = length + seconds_of(candidate)
            if after > max_seconds or after - target > target - length:
                # Its turn comes again.
                (first if candidate.questions or not asks else second).appendleft(candidate)
                break
            joined.append(candidate)
            length = after
        # One document may be longer than all that was owed.
        debt = max(-mean, sample + debt - length)
        rng.shuffle(joined)
        recordings.append(tuple(joined))
    left_out = {"too long": len(askable) - len(fitting), "not needed": len(second)}
    return Plan(tuple(recordings), {why: count for why, count in left_out.items() if count})


def seconds_of(document: Document) -> float:
    """About how long it takes to say it."""
    return sum(len(line.text.split()) for line in document.lines) / _WORDS_A_SECOND


def task_of(document: Document) -> str:
    """`dialogue` where several speak, else `qa`."""
    return "dialogue" if len({line.speaker for line in document.lines}) > 1 else "qa"


def answered(document: Document, spoken_lines: Sequence[str]) -> list[Question]:
    """Those questions of a document that can be answered by the lines of it that were said.

    Where something was left out: those whose key sentence was said, and without a key sentence
    those of whose answer every longer word was.
    """
    missing = sum(count for why, count in document.left_out.items() if why != WORDLESS)
    is_whole = not missing and len(spoken_lines) == len(document.lines)
    return list(exercises.answered(document.questions, spoken_lines, whole=is_whole))


def entries(
    name: str, audio: str, parts: Sequence[tuple[Document, Sequence[str]]], tasks: Sequence[str]
) -> list[dict[str, Any]]:
    """The manifest's lines about a recording: its documents, with what was said of each."""
    transcript = " ".join(text for _, spoken_lines in parts for text in spoken_lines)
    about = {"audio": audio, "transcript": transcript}
    sources = ", ".join(document.source for document, _ in parts)
    lines: list[dict[str, Any]] = []
    for document, spoken_lines in parts:
        task = task_of(document)
        if task not in tasks:
            continue
        for question in answered(document, spoken_lines):
            line: dict[str, Any] = {"id": f"{name}-{len(lines) + 1}", "task": task}
            line |= {"question": question.question, "answer": question.answer}
            if len(question.choices) > 1:
                line["choices"] = list(question.choices)
            lines.append(line | about | {"source": document.source})
    recording_tasks = [task for task in ("asr", "summary") if task in tasks]
    return lines + [
        {"id": f"{name}-{task}", "task": task} | about | {"source": sources}
        for task in recording_tasks
    ]


def _next(
    joined: Sequence[Document], first: deque[Document], second: deque[Document], rng: Random
) -> Document | None:
    """One more for a recording, taken from its queue; None when there is none that fits."""
    total = len(first) + len(second)
    if not total:
        return None
    if rng.randrange(total) >= len(first):
        return second.popleft()
    questions = {
        normalise(question.question) for document in joined for question in document.questions
    }
    for at, candidate in enumerate(list(first)[:_WAITING]):
        if not any(normalise(question.question) in questions for question in candidate.questions):
            del first[at]
            return candidate
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
