"""Budgets: rates of frames and tokens, and what a request may say instead."""

from __future__ import annotations

import pytest

from fls_models.budget import LEAST, NAMES, Budget, sections
from fls_models.errors import UsageError


@pytest.mark.parametrize(
    ("name", "ask", "transcribe"),
    [("fast", 100, 200), ("balanced", 200, 400), ("accurate", 400, 750)],
)
def test_frames_follow_the_length_of_the_recording(name: str, ask: int, transcribe: int) -> None:
    budget = Budget(name)
    assert budget.frames(30) == ask
    assert budget.frames(90) == 3 * ask
    assert budget.frames(30, "transcribe") == transcribe
    assert budget.frames(36_000) == 1200 * ask


def test_tokens_follow_the_length_of_the_recording() -> None:
    assert Budget("fast").tokens(60) == 100
    assert Budget("balanced").tokens(60) == 200
    assert Budget("accurate").tokens(60) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [0.0, 0.01, 1.0])
def test_little_audio_still_gets_the_least(name: str, seconds: float) -> None:
    assert Budget(name).frames(seconds) >= LEAST
    assert (Budget(name).tokens(seconds) or LEAST) >= LEAST


def test_more_budget_is_never_less() -> None:
    for seconds in (1.0, 29.9, 30.0, 61.0, 7200.0):
        found = [Budget(name).frames(seconds) for name in NAMES]
        assert found == sorted(found)


def test_a_target_length_overrides_the_rate() -> None:
    budget = Budget("fast", 400)
    assert budget.frames(5) == budget.frames(36_000) == budget.tokens(36_000) == 400
    assert budget.label == "L=400"
    assert Budget("fast").label == "fast"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["ask", "transcribe"])
def test_a_rate_is_frames_for_a_second(name, task) -> None:
    rate = Budget(name).rate(task)
    assert rate is not None
    assert Budget(name).frames(900, task) == 900 * rate
    assert Budget(name, 400).rate(task) is None


def test_an_unknown_name_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="fast, balanced, accurate"):
        Budget("lavish")


@pytest.mark.parametrize("length", [0, -5])
def test_a_target_length_is_at_least_one(length: int) -> None:
    with pytest.raises(UsageError):
        Budget(target_length=length)


@pytest.mark.parametrize(
    ("length", "most", "expected"),
    [(0, 100, 1), (1, 100, 1), (100, 100, 1), (101, 100, 2), (1000, 100, 10)],
)
def test_passes_hold_all_of_it(length: int, most: int, expected: int) -> None:
    assert sections(length, most) == expected
