"""The bench for summaries: its items, its rules, and what another model is asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fls_models.bench.caches.results import ResultCache
from fls_models.bench.summary.items import SummaryItem, load_summary_items
from fls_models.bench.summary.scores import Recording, SentenceScores
from fls_models.bench.summary.summary import Judge, SummaryRow, SummaryTotals
from fls_models.errors import UsageError

TURNS = [
    {"speaker": "Anna", "text": "Welcome back. Peter, how many bees are up here?"},
    {"speaker": "Peter", "text": "We have eight hives on this roof. In June I moved a hive."},
    {"speaker": "Peter", "text": "The bees flew back to an empty corner."},
    {"speaker": "Anna", "text": "The money pays for free seats. We sold fifteen jars. Thank you!"},
    {"speaker": "Anna", "text": "Next week we meet a woman in Oak Hill. She repairs umbrellas."},
]
ITEM = {
    "id": "bees",
    "turns": TURNS,
    "facts": ["Eight hives stand on the roof.", "Fifteen jars were sold."],
    "topics": [{"name": "hives", "turns": [0, 2]}, {"name": "next", "turns": [4, 4]}],
}


def written(folder: Path, *items: Any) -> Path:
    place = folder / "items.jsonl"
    place.write_text("".join(json.dumps(item) + "\n" for item in items), "utf-8")
    return place


@pytest.fixture
def item(tmp_path: Path) -> SummaryItem:
    [found] = load_summary_items(written(tmp_path, ITEM))
    return found


def sentence(item: SummaryItem, text: str) -> SentenceScores:
    [scored] = Recording(item).score(text).sentences
    return scored


def test_an_item_is_a_transcript_with_times(item: SummaryItem) -> None:
    said = item.transcript.sentences
    assert len(said) == 10
    assert (said[0].text, said[0].speaker, said[0].start) == ("Welcome back.", "Anna", 0.0)
    assert all(before.end <= after.start for before, after in pairwise(said))
    # Topics are ranges of sentences, by turns.
    assert [topic.sentences for topic in item.topics] == [range(5), range(8, 10)]
    # Slow enough for topics: a word takes 0.4 s, and there is a pause after each turn.
    assert item.transcript.duration == pytest.approx(0.4 * len(item.transcript.words) + 5)


@pytest.mark.parametrize(
    "change",
    [
        {"facts": []},
        {"facts": None},
        {"facts": "mill"},
        {"turns": []},
        {"turns": [{"speaker": "Anna", "text": " "}]},
        {"topics": [{"name": "x", "turns": [3, 9]}]},
        {"topics": [{"name": "x", "turns": [2, 1]}]},
        {"topics": [{"turns": [0, 1]}]},
    ],
)
def test_an_item_that_does_not_fit_is_named(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 2: an item needs id"):
        load_summary_items(written(tmp_path, ITEM, {**ITEM, **change}))


def test_a_text_without_turns_will_do(tmp_path: Path) -> None:
    [found] = load_summary_items(
        written(tmp_path, {"id": 1, "text": "Anna ran. Bela sat.", "facts": ["A"]})
    )
    assert (found.name, len(found.transcript.sentences), found.topics) == ("1", 2, ())


@pytest.mark.parametrize(
    ("text", "is_borne_out", "wrong"),
    [
        ("Peter keeps eight hives on the roof.", True, ()),
        ("There are 8 hives on Peter's roof.", True, ()),
        # Of places that lie far apart.
        ("The hives on the roof pay for a woman who repairs umbrellas and seats.", False, ()),
        ("There are 9 hives on the roof.", False, ("9",)),
        ("Peter Stone has hives on the roof.", False, ("Stone",)),
        ("Marcus Stone has hives on the roof.", False, ("Marcus", "Stone")),
        ("However, the bees flew back to an empty corner.", True, ()),
        ("A woman in Oak-Hill repairs umbrellas.", True, ()),
    ],
)
def test_a_sentence_rests_on_what_was_said(
    item: SummaryItem, text: str, is_borne_out: bool, wrong: tuple[str, ...]
) -> None:
    scored = sentence(item, text)
    assert (scored.is_borne_out, scored.wrong) == (is_borne_out, wrong)


def test_names_and_numbers_are_counted(item: SummaryItem) -> None:
    assert sentence(item, "In June, Peter moved one of eight hives.").exact == 3
    assert sentence(item, "They moved a hive.").exact == 0


def test_what_is_copied_and_what_is_said_twice(item: SummaryItem) -> None:
    scores = Recording(item).score(
        "The bees flew back to an empty corner. Peter keeps hives, and some of them are bees'. "
        "In the end the bees flew back to the empty corner."
    )
    assert [each.is_copied for each in scores.sentences] == [True, False, False]
    assert [each.is_repeated for each in scores.sentences] == [False, False, True]


def test_facts_and_topics_are_found(item: SummaryItem) -> None:
    recording = Recording(item)
    both = recording.score("Eight hives stand on a roof. A woman in Oak Hill repairs umbrellas.")
    assert both.facts == pytest.approx(0.5)
    assert both.topics == ("hives", "next")
    assert recording.score("Eight hives stand on the roof. Fifteen jars were sold.").rouge == 1.0
    nothing = recording.score("Everybody was happy about everything.")
    assert (nothing.facts, nothing.topics) == (0.0, ())
    assert 0 <= nothing.rouge < 0.2
    # What is said of something else finds no fact.
    false = recording.score("Fifteen jars were sold to forty hotels in Northport by Susan Gray.")
    assert (false.sentences[0].is_borne_out, false.facts) == (False, 0.0)


def test_the_opening_is_as_long_as_a_summary(item: SummaryItem) -> None:
    assert Recording(item).opening(3) == "Welcome back. Peter, how many bees are up here?"


class Doubter:
    """Says yes where the statement's last word was said."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self._said = ""

    def tokenize(self, text: str) -> list[int]:
        self._said = text
        return [0]

    def embed(self, tokens: Sequence[int]) -> Tensor:
        return torch.zeros(1, 4)

    def read(self, prompt: Any, embeddings: Tensor) -> str:
        return self._said

    def scores(self, context: str, request: str, replies: Sequence[str]) -> list[Tensor]:
        assert tuple(replies) == ("Yes", "No")
        statement = request.split("Statement: ")[1].split("\n")[0]
        self.asked.append((context, statement))
        # It says no whatever it is asked, but less surely where it finds the word.
        found = statement.split()[-1].strip(".") in context
        return [torch.tensor([-2.0 if found else -4.0]), torch.tensor([-0.1])]


def test_another_model_is_asked_once_of_each_sentence(item: SummaryItem, tmp_path: Path) -> None:
    llm, recording = Doubter(), Recording(item)
    judge = Judge(llm, "doubter")  # type: ignore[arg-type]
    cache = ResultCache(tmp_path)
    scored = recording.score("Peter moved a hive. Peter moved a house.")
    said = [recording.around(each.place, 4) for each in scored.sentences]
    for _ in range(2):
        sure = [
            judge.confirms(place, "A house.", each.text, cache)
            for place, each in zip(said, scored.sentences, strict=True)
        ]
        # The second is borne out elsewhere, but not by its own place.
        assert sure == [True, False]
    assert len(llm.asked) == 4
    assert all("In June I moved a hive." in context for context, _ in llm.asked[::2])


def test_totals_are_over_all_sentences(item: SummaryItem) -> None:
    recording = Recording(item)
    rows = []
    for text, confirmed in (
        ("There are 9 hives.", (False,)),
        ("Peter moved a hive. Eight bees paid. Thank you.", (True,) * 3),
    ):
        scores = recording.score(text)
        rows.append(SummaryRow(item, text, 2.0, scores, confirmed))
    totals = SummaryTotals("mini", tuple(rows))
    assert totals.confirmed == 0.75
    assert totals.share("is_borne_out") == 0.75
    assert totals.wrong == pytest.approx(100 / 3)
    assert (totals.topics, totals.words, totals.seconds) == ((1, 4), 6.5, 2.0)
    assert SummaryTotals("none", ()).share("is_copied") is None
    assert totals.as_json()["summaries"][0]["sentences"][0]["wrong"] == ["9"]
