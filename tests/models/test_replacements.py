"""What is replaced, and the time it has then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fls_models.core.results import Sentence, Word
from fls_models.transcription.replacements import Replacements


def sentence(*texts: str) -> Sentence:
    return Sentence(tuple(Word(at, at + 1, text, 0.9) for at, text in enumerate(texts)))


def said(text: str, *pairs: tuple[str, str]) -> str:
    words = sentence(*(f" {word}" for word in text.split()))
    found = Replacements(pairs)(words)
    return "" if found is None else found.text


@pytest.mark.parametrize(
    ("pair", "text", "expected"),
    [
        (("flower", "flour"), "The Flower, and flowers.", "The flour, and flowers."),
        (("get hub", "GitHub"), "On get  hub's page, Get Hub!", "On GitHub's page, GitHub!"),
        (("a i", "AI"), "an a i is a item", "an AI is a item"),
        (("um", ""), "Um, I think so, um.", "I think so,"),
        (("C++", "Rust"), "C++ and c++17", "Rust and Rust17"),
        (("wrong", "right right"), "wrong wrong", "right right right right"),
        (("nichts", "x"), "Ein Satz.", "Ein Satz."),
        (("straße", "Weg"), "Die STRASSE, die Straße", "Die STRASSE, die Weg"),
    ],
)
def test_what_is_replaced(pair: tuple[str, str], text: str, expected: str) -> None:
    assert said(text, pair) == expected


def test_the_longest_is_taken_and_nothing_runs_in_circles() -> None:
    pairs = (("a", "b"), ("b", "a"), ("a b", "c d"))
    assert said("a b a, b", *pairs) == "c d b, a"


def test_nothing_left_is_no_sentence() -> None:
    assert Replacements((("uh huh", ""),))(sentence(" Uh", " huh.")) is None


def test_in_scripts_without_blanks_parts_of_words_are_replaced() -> None:
    found = Replacements((("東今日", "東京"),))(sentence("東", "今日は", "雨"))
    assert found is not None
    assert (found.text, [word.text for word in found.words]) == ("東京は雨", ["東京は", "雨"])


def test_what_replaces_has_the_time_of_what_it_replaces() -> None:
    found = Replacements((("b c", "bee sea dee"),))(sentence(" a", " b", " c", " d"))
    assert found is not None
    assert [(word.text, word.start, word.end) for word in found.words] == [
        (" a", 0, 1),
        (" bee", 1, 1.667),
        (" sea", 1.667, 2.333),
        (" dee", 2.333, 3.0),
        (" d", 3, 4),
    ]


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "a.", "ıß", "İ", "東", "-"]), min_size=1, max_size=8),
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "a b", "ı", "i", "東", "-", "ss"]), st.text(max_size=3)
        ),
        max_size=4,
    ),
)
def test_times_go_forwards_and_other_words_stay(
    texts: list[str], pairs: list[tuple[str, str]]
) -> None:
    before = sentence(*(f" {text}" for text in texts))
    found = Replacements(tuple(pairs))(before) if pairs else before
    if found is not None:
        times = [time for word in found.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert 0 <= times[0] <= times[-1] <= len(texts)
