"""What is said in recordings, with what a good summary of it says.

JSON lines: `id`; `turns`, a list of `{"speaker", "text"}`, or `text`; `facts`, sentences or phrases
that a summary should hold; and, if known, `topics`, a list of `{"name", "turns": [first, last]}`.
Other fields are ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fls_models.bench.written import items_of
from fls_models.core.results import Sentence, Transcript, Word
from fls_models.core.text.sentence_ends import sentences_of

# Seconds a word, as people talk, and between two turns.
_WORD, _PAUSE = 0.4, 1.0


@dataclass(frozen=True)
class Topic:
    """A topic of a recording, and which of its sentences are about it."""

    name: str
    sentences: range


@dataclass(frozen=True)
class SummaryItem:
    """A recording's transcript, with times as if it were read aloud, and what a summary holds."""

    name: str
    transcript: Transcript
    facts: tuple[str, ...]
    topics: tuple[Topic, ...]


def load_summary_items(path: Path, limit: int | None = None) -> list[SummaryItem]:
    """The items of a file, the first `limit` of them; UsageError names a line that does not fit."""
    needs = (
        "id, turns or text, and facts, a list of what a summary should say; topics need a name and "
        "their first and last turn"
    )
    return items_of(path, _item, needs, limit)


def _item(raw: dict[str, Any]) -> SummaryItem:
    turns = raw["turns"] if "turns" in raw else [{"text": raw["text"]}]
    transcript, firsts = _spoken([(turn.get("speaker"), str(turn["text"])) for turn in turns])
    if not isinstance(raw["facts"], list):
        raise TypeError(raw["facts"])
    facts = tuple(str(fact).strip() for fact in raw["facts"])
    topics = []
    for topic in raw.get("topics", ()):
        first, last = topic["turns"]
        if not 0 <= first <= last < len(turns):
            raise ValueError(topic)
        topics.append(Topic(str(topic["name"]), range(firsts[first], firsts[last + 1])))
    if not transcript.sentences or not facts:
        raise ValueError(raw["id"])
    return SummaryItem(str(raw["id"]), transcript, facts, tuple(topics))


def _spoken(turns: Sequence[tuple[str | None, str]]) -> tuple[Transcript, list[int]]:
    """The transcript, and which sentence is the first of each turn and behind the last one."""
    sentences: list[Sentence] = []
    firsts, now = [], 0.0
    for speaker, text in turns:
        firsts.append(len(sentences))
        for sentence in sentences_of(text):
            words = []
            for word in sentence.split():
                words.append(Word(now, now + _WORD, f" {word}", 1.0, "en", speaker))
                now += _WORD
            if words:
                sentences.append(Sentence(tuple(words)))
        now += _PAUSE
    return Transcript("en", tuple(sentences), now), [*firsts, len(sentences)]
