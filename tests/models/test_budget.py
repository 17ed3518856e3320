"""Budgets: rates of frames and tokens, and what a request may say instead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fls_models.core.budget import MIN_FRAMES, NAMES, PAPER, Budget, FrameRates, sections
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
    assert Budget(name).frames(seconds) >= MIN_FRAMES
    assert (Budget(name).tokens(seconds) or MIN_FRAMES) >= MIN_FRAMES


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


MEASURED = FrameRates(
    ask={"fast": 60, "balanced": 200, "accurate": 600},
    transcribe={"fast": 300, "balanced": 400, "accurate": 750},
    source="measured",
)


def test_a_model_reads_frames_at_its_own_rates() -> None:
    budget = Budget("fast").by(MEASURED)
    assert (budget.frames(90), budget.frames(90, "transcribe")) == (180, 900)
    assert (budget.rate(), budget.rate("transcribe")) == (2, 10)
    assert budget.frames(1) == MIN_FRAMES
    assert budget.tokens(90) == Budget("fast").tokens(90)
    assert Budget("fast", 77).by(MEASURED).frames(90) == 77


def test_a_budget_is_named_alike_whoever_reads_it() -> None:
    for name in NAMES:
        assert Budget(name).by(MEASURED).label == name
        assert Budget(name).by(MEASURED).by(PAPER) == Budget(name) == Budget.labelled(name)
        assert Budget(name).by(MEASURED) != Budget(name)
    assert len({Budget("fast"), Budget("fast").by(PAPER), Budget("fast").by(MEASURED)}) == 2


def test_what_is_kept_goes_by_the_frames_that_are_paid_for() -> None:
    budget = Budget("fast").by(MEASURED)
    assert (budget.key(), budget.key("transcribe")) == ("fast=60", "fast=300")
    # Numbers that are the paper's are the paper's, wherever they are from.
    assert Budget("balanced").by(MEASURED).key() == Budget("balanced").key() == "balanced"
    # Lengths do not depend on rates.
    assert Budget("fast", 77).by(MEASURED).key() == "L=77"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"ask": {"fast": 1, "balanced": 2}}, "ask: one number each for fast, balanced, accurate"),
        ({"ask": {**PAPER.ask, "vast": 750}}, "ask: one number each"),
        ({"transcribe": {**PAPER.transcribe, "fast": 0}}, "transcribe: frames from 1 to 750"),
        ({"ask": {**PAPER.ask, "accurate": 751}}, "ask: frames from 1 to 750"),
        ({"ask": {**PAPER.ask, "fast": 99.5}}, "ask: frames from 1 to 750"),
        ({"ask": {**PAPER.ask, "fast": True}}, "ask: frames from 1 to 750"),
        ({"ask": {**PAPER.ask, "fast": 201}}, "ask: a larger budget reads no fewer"),
        ({"transcribe": {**PAPER.transcribe, "accurate": 399}}, "transcribe: a larger budget"),
        ({"source": " "}, "source says where"),
        ({"source": 2507}, "source says where"),
    ],
)
def test_rates_that_cannot_be(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(PAPER, **changed)


def test_a_budget_may_read_as_much_as_the_one_below_it() -> None:
    same = dict.fromkeys(NAMES, 750)
    assert replace(PAPER, ask=same).of("ask") == same


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
