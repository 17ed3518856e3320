"""One spelling for what was said."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fls_models.transcription.normalizer import normalise
from fls_models.transcription.numerals import in_digits

UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMERALS = ["one", "two", "ten", "twenty", "hundred", "thousand", "and", "oh", "point", "a", "7"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Twenty-five men", "25 men"),
        ("one hundred and five", "105"),
        ("one hundred five", "105"),
        ("two thousand seven hundred and fifty-three", "2,753"),
        ("in nineteen ten", "in 1910"),
        ("nineteen oh five", "1905"),
        ("nineteen hundred", "1900"),
        ("twenty twenty-four", "2024"),
        ("the twenty-first century", "the 21st century"),
        ("First, second, third, twelfth", "1st 2nd 3rd 12th"),
        ("zero point four", "0.4"),
        ("$25 million", "twenty-five million dollars"),
        ("seventy-three percent", "73%"),
        ("73 per cent", "73%"),
        ("Mr. Smith and Dr. Jones", "mister Smith & doctor Jones"),
        ("at 10 a.m.", "at ten am"),
        ("the U.S. senate", "the US senate"),
        ("H. G. Wells", "H.G. Wells"),
        ("don’t", "don't"),
        ("mother-in-law", "mother in law"),
        ("the colour of labour", "the color of labor"),
        ("they realised the organisation", "they realized the organization"),
        ("a theatre in the centre", "a theater in the center"),
        ("she travelled", "she traveled"),
        ("a grey judgement", "a gray judgment"),
        ("  What?! ", "what"),
    ],
)
def test_same_words_same_text(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("it's", "it is"),
        ("fifteen", "fifty"),
        ("one two three", "123"),
        ("three and four", "7"),
        ("a hundred", "hundred"),
        ("uh yes", "yes"),
        ("1.5", "15"),
        ("one hundred two hundred", "102 100"),
        ("four", "for"),
        ("hour", "our"),
    ],
)
def test_different_words_stay_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_words_that_are_no_numbers_pass() -> None:
    words = ["a", "hundred", "years", "and", "the", "thirties"]
    assert in_digits(words) == words


def test_other_scripts_keep_their_words() -> None:
    assert normalise("Größe, naïve Привет! 你好。") == "größe naïve привет 你好"


@given(st.integers(0, 999_999))
def test_every_number_in_words_is_its_digits(number: int) -> None:
    assert normalise(in_words(number)) == str(number)


@given(st.text(alphabet=string.printable + "’–½²³٣%€£", max_size=80))
def test_any_text_becomes_single_spaced_words(text: str) -> None:
    found = normalise(text)
    assert found == " ".join(found.split())
    assert found == found.lower()


@given(st.lists(st.sampled_from(NUMERALS)))
def test_no_word_is_lost_or_invented(words: list[str]) -> None:
    written = in_digits(words)
    assert len(written) <= len(words)
    assert bool(written) == bool(words)


def in_words(number: int) -> str:
    """British English, from 0 to 999 999."""
    if number < 20:
        return UNITS.split()[number]
    if number < 100:
        rest = number % 10
        return TENS.split()[number // 10 - 2] + (f"-{UNITS.split()[rest]}" if rest else "")
    if number < 1000:
        rest = number % 100
        return f"{UNITS.split()[number // 100]} hundred" + (
            f" and {in_words(rest)}" if rest else ""
        )
    rest = number % 1000
    joint = " and " if 0 < rest < 100 else " "
    return f"{in_words(number // 1000)} thousand" + (f"{joint}{in_words(rest)}" if rest else "")
