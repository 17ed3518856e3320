"""Times as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fls_cli.console.times import parse_time
from fls_models.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:02:03", 3723),
        ("2:03", 123),
        ("90:00", 5400),
        ("90s", 90),
        ("1m30s", 90),
        ("90", 90),
        ("1h", 3600),
        ("1H5s", 3605),
        ("1.5", 1.5),
        ("1.5h", 5400),
        ("0:00.25", 0.25),
        (" 7 ", 7),
        ("0", 0),
    ],
)
def test_times_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "-5", "+5", "1:60", "1:60:00", "1:2:3:4", "s", "5x", "1s1m", "1e3", "nan", "inf",
     "1:", ":5", "1 2", "٣", "1.", ".5", "9" * 40, "1m30"],
)  # fmt: skip
def test_nonsense_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse_time(text)


@given(st.integers(0, 359_999))
def test_every_second_can_be_written_three_ways(seconds: int) -> None:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    assert parse_time(str(seconds)) == seconds
    assert parse_time(f"{hours}:{minutes:02}:{left:02}") == seconds
    assert parse_time(f"{hours}h{minutes}m{left}s") == seconds


@given(st.text(max_size=12))
def test_any_text_is_a_time_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert 0 <= parse_time(text) < float("inf")
