"""One spelling for what was said: what the library's form does, and what ours adds to it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fls_models.core.text.normalizer import normalise

NUMERALS = ["one", "two", "ten", "twenty", "hundred", "thousand", "and", "oh", "point", "a", "7"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Twenty-five men", "25 men"),
        ("one hundred and five", "105"),
        ("two thousand seven hundred and fifty-three", "2,753"),
        ("in nineteen ten", "in 1910"),
        ("nineteen oh five", "1905"),
        ("the twenty-first century", "the 21st century"),
        ("zero point four", "0.4"),
        ("$25 million", "twenty-five million dollars"),
        ("73 per cent", "73%"),
        ("Mr. Smith and Dr. Jones", "mister Smith and doctor Jones"),
        ("H. G. Wells", "H.G. Wells"),
        ("don’t", "don't"),
        ("it’s", "it is"),
        ("mother-in-law", "mother in law"),
        ("uh yes", "yes"),
        ("  What?! ", "what"),
        ("wait...", "wait"),
    ],
)
def test_same_words_same_text(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fifteen", "fifty"),
        ("1.5", "15"),
        ("four", "for"),
        ("hour", "our"),
        ("three and four", "7"),
    ],
)
def test_different_words_stay_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize("word", ["promise", "wise", "genre", "colour", "four"])
def test_no_word_becomes_one_that_does_not_exist(word: str) -> None:
    assert normalise(word) in {word, "4"}


# No deadline: the first text loads transformers.
@settings(deadline=None)
@given(st.text(alphabet=string.printable + "’–½²³٣%€£", max_size=80))
def test_any_text_becomes_single_spaced_words(text: str) -> None:
    found = normalise(text)
    assert found == " ".join(found.split())
    assert found == found.lower()


# No deadline: the first text loads transformers.
@settings(deadline=None)
@given(st.lists(st.sampled_from(NUMERALS)))
def test_no_number_is_invented(words: list[str]) -> None:
    assert len(normalise(" ".join(words)).split()) <= len(words)
