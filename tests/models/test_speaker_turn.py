"""RTTM: lines written by hand, lines that do not fit, and there and back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fls_models.errors import UsageError
from fls_models.speakers.turn import SpeakerTurn, read_rttm, write_rttm

MEETING = """\
;; made by hand
SPKR-INFO meeting 1 <NA> <NA> <NA> adult_female anna <NA> <NA>

SPEAKER meeting 1 0.50 2.25 <NA> <NA> anna <NA> <NA>
LEXEME meeting 1 0.60 0.20 so lex anna <NA> <NA>
SPEAKER meeting 2 2.5 1 <NA> <NA> ben <NA>
SPEAKER meeting 1 4 0.000 <NA> <NA> carl <NA> <NA>
SPEAKER\tmeeting 1  1e1 .5 <NA> <NA> Élodie <NA> <NA>\r
  ;; SPEAKER meeting 1 90 1 <NA> <NA> nobody <NA> <NA>
"""
TURNS = [
    SpeakerTurn(0.5, 2.75, "anna"),
    SpeakerTurn(2.5, 3.5, "ben"),
    SpeakerTurn(10.0, 10.5, "Élodie"),
]


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "meeting.rttm"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_turns_are_read_in_the_order_of_the_file(tmp_path: Path, mark: str) -> None:
    assert read_rttm(written(tmp_path, mark + MEETING)) == TURNS
    first = "SPEAKER meeting 1 0.50 2.25 <NA> <NA> anna <NA> <NA>"
    assert read_rttm(written(tmp_path, mark + first)) == TURNS[:1]


@pytest.mark.parametrize(
    "line",
    [
        "SPEAKER",
        "SPEAKER meeting 1 0.5 2.0 <NA> <NA> anna",
        "SPEAKER meeting 1 0.5 2.0 <NA> <NA> anna of Kent <NA> <NA>",
        "SPEAKER meeting 1 0.5 2.0 <NA> <NA> <NA> <NA> <NA>",
        "SPEAKER meeting 1 -0.5 2.0 <NA> <NA> anna <NA> <NA>",
        "SPEAKER meeting 1 0.5 -2.0 <NA> <NA> anna <NA> <NA>",
        "SPEAKER meeting 1 nan 2.0 <NA> <NA> anna <NA> <NA>",
        "SPEAKER meeting 1 0.5 nan <NA> <NA> anna <NA> <NA>",
        "SPEAKER meeting 1 0.5 inf <NA> <NA> anna <NA> <NA>",
        "SPEAKER meeting 1 1e308 1e308 <NA> <NA> anna <NA> <NA>",
        "SPEAKER meeting 1 <NA> <NA> <NA> <NA> anna <NA> <NA>",
        "SPEAKER meeting 1 0:30 2.0 <NA> <NA> anna <NA> <NA>",
        "SPEAKER other 1 0.5 2.0 <NA> <NA> anna <NA> <NA>",
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, f"{MEETING}{line}\n")
    with pytest.raises(UsageError) as error:
        read_rttm(path)
    assert str(error.value).startswith(f"{path}, line 10")


@pytest.mark.parametrize(
    "content", ["", ";; nothing\n", "SPEAKER meeting 1 4 0 <NA> <NA> carl <NA> <NA>\n", "{}"]
)
def test_a_file_without_turns_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(UsageError, match=r"meeting\.rttm holds no speaker turns"):
        read_rttm(written(tmp_path, content))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"meeting\.rttm cannot be read: it is no UTF-8 text"):
        read_rttm(written(tmp_path, MEETING.encode("latin-1")))
    with pytest.raises(UsageError, match=r"none\.rttm cannot be read: No such file"):
        read_rttm(tmp_path / "none.rttm")


def test_rttm_is_written() -> None:
    turns = [
        SpeakerTurn(0, 1.25, "Speaker 1"),
        SpeakerTurn(1.25, 1.2504, "gone"),
        SpeakerTurn(1.25, 7200.0006, "Ann\u00a0B\tC"),
    ]
    assert write_rttm(turns, "my talk.wav") == (
        "SPEAKER my_talk.wav 1 0.000 1.250 <NA> <NA> Speaker_1 <NA> <NA>\n"
        "SPEAKER my_talk.wav 1 1.250 7198.751 <NA> <NA> Ann_B_C <NA> <NA>\n"
    )
    assert write_rttm([], "talk") == ""


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**8), st.integers(1, 10**6), st.sampled_from(["A", "B é", "<NA>2"])
        ),
        min_size=1,
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int, str]]
) -> None:
    turns = [SpeakerTurn(at / 1000, (at + length) / 1000, name) for at, length, name in spans]
    path = written(tmp_path_factory.mktemp("rttm"), write_rttm(turns, "talk"))
    for turn, again in zip(turns, read_rttm(path), strict=True):
        assert again.start == turn.start
        assert again.end == pytest.approx(turn.end, abs=1e-9)
        assert again.speaker == turn.speaker.replace(" ", "_")


@pytest.mark.parametrize(
    ("start", "end", "speaker"),
    [
        (-0.1, 1, "A"),
        (1, 1, "A"),
        (2, 1, "A"),
        (math.nan, 1, "A"),
        (0, math.nan, "A"),
        (0, math.inf, "A"),
        (0, 1, " "),
    ],
)
def test_a_turn_runs_forwards_and_has_a_speaker(start: float, end: float, speaker: str) -> None:
    with pytest.raises(ValueError, match="a turn"):
        SpeakerTurn(start, end, speaker)
