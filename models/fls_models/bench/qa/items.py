"""Questions with choices about recordings, as SPIRAL (arXiv 2412.12009) writes them.

JSON lines: `id`; `turns`, a list of `{"speaker", "text"}`, or `text`, or `transcript`; `question`;
`choices` and `answer`, the correct one or its index; `audio`, the recording's path relative to the
file; and, if known, `topic`, else items of one recording have the same. Other fields are ignored,
and so are lines with a `task` and without choices, as `fls bench longspeech-data` writes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fls_models.bench.written import items_of
from fls_models.core.results import Sentence, Transcript, Word
from fls_models.core.text.sentence_ends import sentences_of


@dataclass(frozen=True)
class Item:
    """One recording, what is said in it, and a question that it answers."""

    name: str
    topic: str
    text: str
    question: str
    choices: tuple[str, ...]
    answer: int
    audio: Path | None

    @property
    def correct(self) -> str:
        return self.choices[self.answer]


def load_items(path: Path, limit: int | None = None) -> list[Item]:
    """The items of a file, the first `limit` of them; UsageError names a line that does not fit."""
    needs = (
        "id, turns, text or transcript, question, choices, and answer, the correct choice or its "
        "index"
    )
    return items_of(path, lambda raw: _item(raw, path.parent), needs, limit)


def true_transcript(item: Item) -> Transcript:
    """The item's own text as a transcript, as if every word had been understood; without times."""
    sentences = [
        Sentence(tuple(Word(0.0, 0.0, f" {word}", 1.0) for word in sentence.split()))
        for sentence in sentences_of(item.text)
    ]
    return Transcript("en", tuple(sentences), 0.0)


def stranger(items: Sequence[Item], index: int) -> Item | None:
    """The next item of another topic, round the end: what an item's question is asked of, too.

    None where every item has the same topic.
    """
    around = [*items[index + 1 :], *items[:index]]
    return next((item for item in around if item.topic != items[index].topic), None)


def _item(raw: dict[str, Any], folder: Path) -> Item | None:
    if "task" in raw and "choices" not in raw:
        return None
    name = str(raw["id"])
    if "turns" in raw:
        turns = [str(turn["text"]) for turn in raw["turns"]]
    else:
        turns = [str(raw["text"] if "text" in raw else raw["transcript"])]
    choices = tuple(str(choice) for choice in raw["choices"])
    answer = raw["answer"]
    if isinstance(answer, str) and answer in choices:
        answer = choices.index(answer)
    if not isinstance(answer, int) or not 0 <= answer < len(choices) or len(choices) < 2:
        raise ValueError(answer)
    text = " ".join(turns).strip()
    question = str(raw["question"]).strip()
    if not text or not question:
        raise ValueError(name)
    audio = folder / raw["audio"] if raw.get("audio") else None
    topic = str(raw.get("topic") or raw.get("audio") or name)
    return Item(name, topic, text, question, choices, answer, audio)
