"""Words placed in time, against counting on a fine grid and against cases worked out by hand."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fls_models.transcription.word_times import Times, by_density, by_pieces, words_of


def grid(count: int, each: float = 0.04, start: float = 0.0) -> Tensor:
    edges = start + each * torch.arange(count + 1, dtype=torch.float64)
    return torch.stack([edges[:-1], edges[1:]], dim=1)


def near(found: Times) -> list[Any]:
    return [pytest.approx(times, abs=1e-9) for times in found]


# --- words of a text ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n", []),
        ("It rained.", [" It", " rained."]),
        ("a  b\nc — d", [" a", " b", " c", " —", " d"]),
        ("今天天气很好。", ["今", "天", "天", "气", "很", "好。"]),
        ("他说：“今天！”（是）", ["他", "说：", "“今", "天！”", "（是）"]),
        ("用 GPT-4 吧", ["用", " GPT-4", " 吧"]),
        ("用GPT-4(o)吧", ["用", "GPT-4(o)", "吧"]),
        ("コーヒーを「飲む」", ["コ", "ー", "ヒ", "ー", "を", "「飲", "む」"]),
        ("น้ำดี", ["น้", "ำ", "ดี"]),
        ("오늘 날씨", [" 오늘", " 날씨"]),
        ("，今（。", ["，今（。"]),
    ],
)
def test_words_are_cut_as_the_script_cuts_them(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text("ab今天ー。（「」'., \n\u0e19\u0e49", max_size=30))
def test_no_character_of_a_text_is_lost(text: str) -> None:
    words = words_of(text)
    assert "".join(words).strip() == " ".join(text.split())
    assert all(word.strip() for word in words)


def test_marks_stay_with_what_they_mark() -> None:
    for word in words_of("น้ำใจดีที่สุด ไปไหนมา"):
        assert not unicodedata.category(word.strip()[0]).startswith("M")


# --- by density ---


def test_a_pause_belongs_to_no_word() -> None:
    density = torch.tensor([0, 1, 1, 0, 0, 0, 0, 1, 1, 0.0])
    found = by_density([" ab", " cd"], density, grid(10, 1.0))
    assert found == near([(1, 3), (7, 9)])


def test_what_the_head_is_not_sure_of_is_silence() -> None:
    density = torch.tensor([0.9, *[0.019] * 200, 0.9])
    found = by_density(["one", "two"], density, grid(202))
    assert found == near([(0, 0.04), (201 * 0.04, 202 * 0.04)])


def test_longer_words_get_more_of_what_was_said() -> None:
    found = by_density(["a", "bcd"], torch.full((8,), 0.5), grid(8, 1.0, start=5.0))
    assert found == near([(5, 7), (7, 13)])


def test_a_gap_between_spans_is_a_pause() -> None:
    spans = torch.tensor([[0, 1], [9, 10]], dtype=torch.float64)
    assert by_density(["a", "b"], torch.ones(2), spans) == near([(0, 1), (9, 10)])


def test_a_pause_that_the_shares_miss_ends_the_nearer_word() -> None:
    # Said before the pause 4, after it 6; the words' shares are 5 and 5.
    density = torch.tensor([1.0] * 4 + [0.0] * 2 + [1.0] * 6)
    assert by_density(["five5", "five5"], density, grid(12, 1.0)) == near([(0, 4), (6, 12)])


def test_a_short_lull_within_a_word_stays_in_it() -> None:
    density = torch.tensor([1.0] * 4 + [0.0] * 2 + [1.0] * 6)
    found = by_density(["five5", "five5"], density, grid(12, 0.1))
    assert found == near([(0, 0.7), (0.7, 1.2)])


@pytest.mark.parametrize("count", range(2, 40))
def test_rounding_puts_no_lull_into_a_word(count: int) -> None:
    """Each word is one frame, exactly its share; a frame of silence follows each."""
    density = torch.tensor([0.3, 0.0] * count)
    expected = [(0.08 * i, 0.08 * i + 0.04) for i in range(count)]
    assert by_density(["a"] * count, density, grid(2 * count)) == near(expected)


def test_a_frame_counts_for_as_long_as_it_lasts() -> None:
    spans = torch.tensor([[0, 3], [3, 4]], dtype=torch.float64)
    assert by_density(["a", "b"], torch.ones(2), spans) == near([(0, 2), (2, 4)])


def test_words_without_frames_are_refused() -> None:
    nothing = torch.zeros(0), torch.zeros(0, 2, dtype=torch.float64)
    assert by_density([], *nothing) == []
    with pytest.raises(ValueError, match="without a frame"):
        by_density(["a"], *nothing)


texts = st.lists(st.text("abc", min_size=1, max_size=9), min_size=1, max_size=12)
levels = st.sampled_from([0.0, 0.01, 0.025, 0.3, 1.0]) | st.floats(0, 1, width=32)


@given(texts, st.lists(levels, min_size=1, max_size=40), st.floats(0, 1e5))
def test_times_run_forwards_within_the_spans(
    words: list[str], density: list[float], start: float
) -> None:
    spans = grid(len(density), start=start)
    found = by_density(words, torch.tensor(density), spans)
    assert len(found) == len(words)
    edges = [edge for times in found for edge in times]
    assert all(before <= after for before, after in pairwise(edges))
    assert spans[0, 0] <= edges[0]
    assert edges[-1] <= spans[-1, 1]


@given(texts, st.lists(levels, min_size=1, max_size=40))
def test_no_word_holds_a_pause_at_its_edges(words: list[str], density: list[float]) -> None:
    if max(density) < 0.02:
        return
    frames = [i for i, value in enumerate(density) if value >= 0.02]
    found = by_density(words, torch.tensor(density), grid(len(density), 1.0))
    # A word begins and ends where something is said, so the first does not wait, nor the last.
    assert found[0][0] == frames[0]
    assert found[-1][1] == frames[-1] + 1
    for start, end in found:
        assert any(i - 1e-6 <= start <= i + 1 - 1e-6 for i in frames) or end - start < 1e-6
        assert any(i + 1e-9 < end <= i + 1 + 1e-6 for i in frames) or end - start < 1e-6


@given(texts, st.integers(1, 40), st.sampled_from([0.0, 0.01, 0.25, 1.0]))
def test_even_density_or_none_gives_equal_shares_of_time(
    words: list[str], count: int, level: float
) -> None:
    found = by_density(words, torch.full((count,), level), grid(count, 1.0))
    letters = sum(len(word) for word in words)
    before = 0
    for word, (start, end) in zip(words, found, strict=True):
        assert start == pytest.approx(count * before / letters)
        before += len(word)
        assert end == pytest.approx(count * before / letters)


@given(texts, st.lists(st.integers(0, 4), min_size=1, max_size=20).filter(any))
def test_shares_are_reached_as_on_a_fine_grid(words: list[str], density: list[int]) -> None:
    """Frames of 10 ms: no pause is long enough to move a word to it."""
    found = by_density(words, torch.tensor(density) / 4, grid(len(density), 0.01))
    # Each frame in as many equal grains for each quarter of density as there are letters.
    letters = sum(len(word) for word in words)
    grains = [
        (frame, (grain + 0.5) / (quarters * letters))
        for frame, quarters in enumerate(density)
        for grain in range(quarters * letters)
    ]
    before = 0
    each = sum(density)
    for word, (start, end) in zip(words, found, strict=True):
        own = grains[before * each : (before + len(word)) * each]
        before += len(word)
        centres = [0.01 * (frame + offset) for frame, offset in own]
        assert start <= centres[0] + 1e-9
        assert centres[-1] - 1e-9 <= end
        # By no more than half a grain, of which a frame has `letters` at the least.
        assert centres[0] - start <= 0.005 / letters + 1e-9
        assert end - centres[-1] <= 0.005 / letters + 1e-9


# --- by pieces ---


def test_a_word_lasts_from_its_first_piece_to_the_next_word() -> None:
    # Two pieces, then one.
    found = by_pieces(2, [0, 0, 1], [(1, 1), (3, 4), (6, 7)], grid(10, 0.1))
    assert found == near([(0.1, 0.6), (0.6, 1.0)])


def test_a_word_before_a_pause_ends_soon() -> None:
    found = by_pieces(2, [0, 1], [(0, 0), (20, 20)], grid(30, 0.1))
    assert found == near([(0, 0.5), (2.0, 2.5)])


def test_words_without_a_piece_share_the_time_after_the_word_before() -> None:
    # Words 1 and 2 have none: 0.6 s from the end of word 0's piece to word 3.
    found = by_pieces(4, [0, 3], [(0, 0), (7, 7)], grid(8, 0.1))
    assert found == near([(0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.8)])


def test_words_without_a_piece_before_all_others_come_just_before() -> None:
    found = by_pieces(2, [1], [(20, 20)], grid(30, 0.1))
    assert found == near([(1.6, 2.0), (2.0, 2.5)])
    assert by_pieces(2, [1], [(0, 0)], grid(30, 0.1)) == near([(0, 0), (0, 0.5)])


def test_words_need_a_piece() -> None:
    assert by_pieces(0, [], [], grid(3)) == []
    with pytest.raises(ValueError, match="without a piece"):
        by_pieces(1, [], [], grid(3))


@given(st.data())
def test_words_by_pieces_run_forwards_within_the_spans(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))
    owners = sorted(data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=8)))
    gaps = data.draw(st.lists(st.integers(1, 15), min_size=2 * len(owners) + 1))[
        : 2 * len(owners) + 1
    ]
    edges = [sum(gaps[: i + 1]) - 1 for i in range(len(gaps))]
    frames = list(zip(edges[0:-1:2], edges[1::2], strict=True))
    spans = grid(edges[-1] + 1, start=3.0)
    times = [edge for word in by_pieces(count, owners, frames, spans) for edge in word]
    assert len(times) == 2 * count
    assert all(before <= after for before, after in pairwise(times))
    assert times[0] >= 3.0
    assert times[-1] <= spans[-1, 1]
