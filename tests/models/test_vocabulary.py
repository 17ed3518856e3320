"""Names are written as the user writes them, where the decoder hears them, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from fls_models.audio.whisper.respelling import Respelling, ScoreRequest
from fls_models.audio.whisper.vocabulary import Vocabulary, edges, sound

SPECIAL = 300
FRAMES = torch.zeros(1, 1)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """A token a byte."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: at for at, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zimmermann", "Zimerman"),
        ("Philip", "Filip"),
        ("Quinn", "kwin"),
        ("Schäfer", "Shafer"),
        ("Kowalczyk", "Kovalchic"),
        ("Oak-Hill", "oak hill"),
    ],
)
def test_what_sounds_alike_is_spelt_alike(one: str, other: str) -> None:
    from rapidfuzz.distance import Levenshtein

    assert Levenshtein.normalized_similarity(sound(one), sound(other)) > 0.7


def test_edges() -> None:
    assert edges(" \"Bo's,") == (' "', "Bo's", ",")
    assert edges(" -") == (" -", "", "")
    assert edges("") == ("", "", "")


def found(vocabulary: Vocabulary, text: str) -> list[tuple[str, str]]:
    words = [f" {word}" for word in text.split()]
    return [
        ("".join(words[each.first : each.end]).strip(), each.entry)
        for each in vocabulary.candidates(words)
    ]


def test_candidates_are_near_in_spelling() -> None:
    names = Vocabulary(("Pashinyan", "Anna Wells", "C++"))
    assert found(names, "Then Pesha Nyan, said it")[0] == ("Pesha Nyan,", "Pashinyan")
    assert ("Ana Welles", "Anna Wells") in found(names, "Ana Welles bakes")
    assert found(names, "We asked about the weather today") == []
    assert found(names, "") == []


def test_what_is_written_already_is_left_alone() -> None:
    names = Vocabulary(("Quintero", "Quantello"))
    assert found(names, "So Quantello, or Quintero.") == []
    assert ("quintero", "Quintero") in found(names, "so quintero is")


def test_of_many_entries_each_has_to_be_likelier() -> None:
    few, many = (Vocabulary(tuple(f"name{at}" for at in range(count))) for count in (60, 10_000))
    assert few.margin == 8
    assert 3 < many.margin < 5


class Judge:
    """Scores by what a text says; counts how often it is asked."""

    def __init__(self, tokenizer: Tokenizer, score: Callable[[str], float]) -> None:
        self._tokenizer, self._score = tokenizer, score
        self.asked: list[str] = []

    def __call__(self, kind: str, request: ScoreRequest, /) -> float:
        assert kind == "score"
        assert 0 <= request.first < request.end <= len(request.tokens)
        text = [token for token in request.tokens if token < SPECIAL]
        self.asked.append(self._tokenizer.decode(text))
        return self._score(self.asked[-1])


def respelt(tokenizer: Tokenizer, names: tuple[str, ...], text: str, judge: Any) -> str:
    tokens = tokenizer.encode(text).ids
    respelling = Respelling(Vocabulary(names), tokenizer, SPECIAL)
    return str(tokenizer.decode(respelling.respell(FRAMES, (1, 2), tokens, judge)))


@pytest.mark.parametrize(("less", "written"), [(7.9, True), (8.1, False)])
def test_the_decoder_decides(tokenizer: Tokenizer, less: float, written: bool) -> None:
    judge = Judge(tokenizer, lambda text: -less if "Pashinyan" in text else 0.0)
    text = respelt(tokenizer, ("Pashinyan",), ' Then "Pesha Nyan," he said', judge)
    expected = ' Then "Pashinyan," he said' if written else ' Then "Pesha Nyan," he said'
    assert text == expected


def test_of_two_that_overlap_the_likelier_is_written(tokenizer: Tokenizer) -> None:
    judge = Judge(tokenizer, lambda text: 3.0 * ("Rivastor" in text) + ("Rivester" in text))
    # Neither is what was written.
    text = respelt(tokenizer, ("Rivastor", "Rivasta"), " ask Rivestor now", judge)
    assert text == " ask Rivastor now"


def test_several_in_a_text_and_timestamps_stay(tokenizer: Tokenizer) -> None:
    judge = Judge(tokenizer, lambda text: 0.0)
    before = [SPECIAL, *tokenizer.encode(" Navotny").ids, SPECIAL + 9, SPECIAL + 9]
    tokens = [*before, *tokenizer.encode(" and Okafer, Navotny").ids, SPECIAL + 20]
    respelling = Respelling(Vocabulary(("Novotny", "Okafor")), tokenizer, SPECIAL)
    result = respelling.respell(FRAMES, (1, 2), tokens, judge)
    assert [token - SPECIAL for token in result if token >= SPECIAL] == [0, 9, 9, 20]
    words = tokenizer.decode([token for token in result if token < SPECIAL])
    assert words == " Novotny and Okafor, Novotny"
    # Where sentences part, nothing is joined.
    assert not any("NovotnyOkafor" in text for text in judge.asked)


def test_what_no_entry_sounds_like_costs_nothing(tokenizer: Tokenizer) -> None:
    judge = Judge(tokenizer, lambda text: 0.0)
    text = " We asked about the weather, today."
    assert respelt(tokenizer, ("Pashinyan", "Xylander"), text, judge) == text
    assert judge.asked == []


def test_a_text_that_would_be_too_long_stays(tokenizer: Tokenizer) -> None:
    judge = Judge(tokenizer, lambda text: 0.0)
    text = " Navotni" + " word" * 88
    assert respelt(tokenizer, ("Novotny Petrova Ivanova",), text, judge) == text
