"""The vocabulary of a connector: tokens of a tokenizer that is made here by hand."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest

from fls_models.errors import UsageError
from fls_models.training.ctc.unigram_vocabulary import Spelling, Token, spoken

TEXTS = (
    "The mayor of Copper Bay, who planted trees: 12 of them!",
    "Isn’t the café open? It is — the ‘Bay’ café is…",
    "The trees of the mayor.",
)
PIECES = (" the", " trees", " tree", " ma", "yor", " bay", "THE", " 12", "é")


class Greedy:
    """A tokenizer that takes the longest piece it knows; all that it knows otherwise are signs."""

    def __init__(self) -> None:
        signs = "abcdefghijklmnopqrstuvwxyz'0123456789.,? "
        self.known = [*PIECES, *signs, *(f" {one}" for one in signs[:26])]

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        found = []
        while text:
            fits = [one for one in self.known if text.startswith(one)]
            longest = max(fits, key=len)
            found.append(1000 + self.known.index(longest))
            text = text[len(longest) :]
        return found

    def decode(self, token_ids: list[int]) -> str:
        return "".join(self.known[one - 1000] for one in token_ids)


@pytest.fixture(scope="module")
def spelling() -> Spelling:
    return Spelling.of(TEXTS, 90, Greedy())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Well, it’s late – isn't it?!", "well, it's late isn't it."),
        ("  'Go!' she said; twice...", "go. she said, twice."),
        ("In 1.5 h:  well-known ŒUVRE", "in 1. 5 h, well known œuvre"),
        ("...!?", ""),
        ("Cafe\u0301 ﬁne", "café fine"),
    ],
)
def test_texts_are_made_spoken(text: str, expected: str) -> None:
    assert spoken(text) == expected
    assert spoken(expected) == expected


@pytest.mark.parametrize("text", [*TEXTS, "a zebra, unheard of?", "7 of 9", "it's the end."])
def test_what_is_encoded_is_decoded(spelling: Spelling, text: str) -> None:
    assert spelling.decode(spelling.encode(text)) == spoken(text)


def test_tokens_are_the_tokenizers_own(spelling: Spelling) -> None:
    tokenizer = Greedy()
    for one in spelling.tokens:
        assert tokenizer.encode(one.text, add_special_tokens=False) == [one.id]
    texts = {one.text for one in spelling.tokens}
    # Words that the texts have; no capitals, no numbers but digits.
    assert {" the", " trees", " bay", "é", "q"} <= texts
    assert not {"THE", " 12"} & texts
    assert spelling.ids == tuple(one.id for one in spelling.tokens)


def test_signs_that_no_token_spells_are_left_out(spelling: Spelling) -> None:
    assert spelling.decode(spelling.encode("the naïve 木 tree")) == "the nave tree"
    assert spelling.encode("木") == spelling.encode(" ") == []


def test_a_word_is_spelled_by_the_cheapest_sequence(spelling: Spelling) -> None:
    costs = {one.text: one.cost for one in spelling.tokens}
    word = " treesma"
    cheapest = math.inf
    for cuts in itertools.product([False, True], repeat=len(word) - 1):
        places = [0, *(at for at, cut in enumerate(cuts, 1) if cut), len(word)]
        parts = [word[one:two] for one, two in itertools.pairwise(places)]
        cheapest = min(cheapest, sum(costs.get(part, math.inf) for part in parts))
    found = [spelling.tokens[one].cost for one in spelling.encode(word)]
    assert sum(found) == pytest.approx(cheapest)


def test_what_is_used_more_costs_less() -> None:
    often = Spelling.of(["the the the the bay"], 90, Greedy())
    costs = {one.text: one.cost for one in often.tokens}
    assert costs[" the"] < costs[" bay"] < costs[" q"]
    assert costs[" the"] == pytest.approx(-math.log(4.3 / 5), abs=1e-4)


def test_the_same_texts_give_the_same_file(spelling: Spelling, tmp_path: Path) -> None:
    again = Spelling.of(TEXTS, 90, Greedy())
    assert again.as_bytes() == spelling.as_bytes()
    assert again.identity == spelling.identity
    read = Spelling.read(spelling.save(tmp_path))
    assert read.tokens == spelling.tokens
    assert read.as_bytes() == spelling.as_bytes()
    other = Spelling.of(TEXTS[:1], 90, Greedy())
    assert other.identity != spelling.identity
    # From the ids alone: the same head, whatever texts it is used for.
    rebuilt = Spelling.again(spelling.ids, TEXTS, Greedy())
    assert [one.text for one in rebuilt.tokens] == [one.text for one in spelling.tokens]


def test_size_bounds_the_tokens() -> None:
    letters = Spelling.of(["a"], 1000, Greedy()).size
    bounded = Spelling.of(TEXTS, letters + 2, Greedy())
    assert bounded.size == letters + 2 < Spelling.of(TEXTS, 1000, Greedy()).size
    with pytest.raises(UsageError, match="--vocab takes more"):
        Spelling.of(TEXTS, 20, Greedy())


def test_what_is_no_spelling_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "spelling.json"
    for content in ("", "{}", '{"form": "other", "tokens": []}', '{"form": "spelling-1"}'):
        file.write_text(content)
        with pytest.raises(UsageError, match="no vocabulary of a connector"):
            Spelling.read(file)
    with pytest.raises(UsageError, match="has not"):
        Spelling.again([5_000_000], TEXTS, Greedy())
    with pytest.raises(ValueError, match="twice"):
        Spelling([Token("a", 1, 0.0), Token("a", 2, 0.0)])
