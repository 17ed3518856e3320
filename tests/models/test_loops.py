"""Runs of the same words, and what tells a loop from what was said again and again."""

from __future__ import annotations

import pytest

from fls_models.core.results import Word
from fls_models.transcription.loops import Run, fits, have_time, runs, without_loops


def words(text: str, each: float = 0.5) -> list[Word]:
    return [Word(each * i, each * (i + 1), f" {word}", 0.9) for i, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        ("and so and so and so and so on", "and so on"),
        ("you you you you you you", "you"),
        ("Thank you. " * 9, "Thank you."),
        ("Thank you. Thank you! " * 4, "Thank you."),
        ("so Thank you. " + "Thank you. " * 9 + "Bye.", "so Thank you. Bye."),
        ("one two three four five six seven eight " * 4, "one two three four five six seven eight"),
        ("I am not going to be able to see you. " * 5, "I am not going to be able to see you."),
        ("The the THE the end", "The end"),
        ("a b a b a b", "a b a b a b"),
        ("no no no", "no no no"),
        ("it was what it was and it was good", "it was what it was and it was good"),
        ("", ""),
    ],
)
def test_a_loop_is_said_once(heard: str, kept: str) -> None:
    texts = heard.split()
    assert " ".join(without_loops(texts, texts, lambda run: True)) == kept
    assert without_loops(texts, texts, lambda run: False) == texts


def test_what_follows_a_loop_keeps_its_times() -> None:
    heard = words("go " * 8 + "home now")
    kept = without_loops(heard, [word.text for word in heard], lambda run: True)
    assert kept == [heard[0], *heard[-2:]]


def test_each_run_is_judged_alone() -> None:
    texts = ("yes " * 5 + "but " + "no " * 4).split()
    assert list(runs(texts)) == [Run(0, 5, 5), Run(6, 10, 4)]
    left = without_loops(texts, texts, lambda run: run.first == 0)
    assert " ".join(left) == "yes but no no no no"


def test_what_was_said_has_time() -> None:
    assert have_time(words("I will not lie. " * 5, 0.2), 5, [(0.0, 5.0)])
    # Fast, but not faster than anyone speaks.
    assert have_time(words("no " * 6, 0.12), 6, [(0.0, 5.0)])


def test_a_loop_has_none() -> None:
    crowded = words("I will not lie. " * 5, 0.2)[:4]
    crowded += [Word(0.8, 0.8, word.text, 0.9) for word in crowded * 4]
    assert not have_time(crowded, 5, [(0.0, 5.0)])
    assert not have_time(words("you " * 40, 0.03), 40, [(0.0, 5.0)])


def test_a_loop_is_where_nobody_speaks() -> None:
    heard = words("Thank you. " * 5, 0.5)
    assert have_time(heard, 5, [(0.0, 1.0), (3.0, 9.0)])
    assert not have_time(heard, 5, [(0.0, 0.2), (7.0, 9.0)])
    assert not have_time(heard, 5, [])


def test_one_word_without_a_time_is_no_loop() -> None:
    # As Whisper times them: its third "yes" took no time.
    times = [(1.64, 1.8), (2.12, 2.32), (2.96, 2.96), (3.02, 3.52), (3.52, 3.82)]
    heard = [Word(start, end, " yes,", 0.9) for start, end in times]
    assert have_time(heard, 5, [(1.66, 5.62)])


def test_what_takes_longer_than_the_time_there_is_does_not_fit() -> None:
    assert fits(["no"] * 8, 8, 1.0)
    assert not fits(["no"] * 11, 11, 1.0)
    assert not fits(["seventeen"] * 8, 8, 1.0)
