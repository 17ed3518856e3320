"""Fused frames as passes for the language model, and as stretches for a summary."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from fls_models.answering.readers.frames import FrameReader, FusedFrames
from fls_models.core.budget import Budget
from fls_models.errors import UsageError
from fls_models.extractor.frames import Frames
from fls_models.extractor.fused_recording import FusedRecording
from fls_models.lslm.prompts import ASK, SUMMARISE

WIDTH, WIDER = 3, 5


class Doubling:
    """Projects frames to wider embeddings that tell which frame they were."""

    def project(self, hidden: Tensor) -> Tensor:
        return torch.cat([2 * hidden, hidden[:, :2]], dim=1)


def frames(edges: list[float], first: int = 0) -> Frames:
    """Frames between those times; each holds its own number."""
    numbers = torch.arange(first, first + len(edges) - 1, dtype=torch.float32)
    times = torch.tensor(edges, dtype=torch.float64)
    spans = torch.stack([times[:-1], times[1:]], dim=-1)
    return Frames(numbers[:, None].expand(-1, WIDTH).clone(), torch.ones(len(numbers)), spans)


def even(count: int, start: float, end: float, first: int = 0) -> Frames:
    return frames([start + (end - start) * i / count for i in range(count + 1)], first)


def fused(*sections: Frames, budget: str = "balanced") -> FusedRecording:
    end = float(sections[-1].spans[-1, 1]) if sections else 0.0
    return FusedRecording(sections, 25 * round(end), end, budget, bool(sections))


def reader(*sections: Frames, window: int = 8192) -> FrameReader:
    return FrameReader(Doubling(), FusedFrames(fused(*sections)), window)  # type: ignore[arg-type]


def numbers_of(embeddings: Tensor) -> list[int]:
    return [int(one) for one in embeddings[:, 3]]


# What was heard


def test_another_budget_is_heard_again_and_once() -> None:
    asked: list[Budget] = []

    def again(budget: Budget) -> FusedRecording:
        asked.append(budget)
        return fused(even(7, 0, 10), budget=budget.label)

    heard = FusedFrames(fused(even(5, 0, 10)), again)
    assert (heard.duration, heard.speaks) == (10, True)
    assert heard.at(Budget("balanced")).frames_after == 5
    assert asked == []
    for _ in range(2):
        assert heard.at(Budget("accurate")).frames_after == 7
    assert heard.at_hand().budget == "accurate"
    assert asked == [Budget("accurate")]
    # A length is a budget of its own, whatever name it stands beside.
    heard.at(Budget("accurate", 3))
    heard.at(Budget("fast", 3))
    assert asked[1:] == [Budget("accurate", 3)]
    # One is held at a time.
    heard.at(Budget("balanced"))
    assert asked[2:] == [Budget("balanced")]


def test_without_a_way_to_hear_again_the_budget_stays() -> None:
    heard = FusedFrames(fused(even(5, 0, 10), budget="fast"))
    assert heard.at(Budget("fast")) is heard.at_hand()
    with pytest.raises(UsageError) as raised:
        heard.at(Budget("accurate", 300))
    assert str(raised.value) == (
        "The recording was heard for the budget fast; listen to it again for L=300."
    )
    assert heard.at(Budget("fast")).frames_after == 5


def test_a_failure_to_hear_again_leaves_what_was_heard() -> None:
    def again(budget: Budget) -> FusedRecording:
        raise KeyboardInterrupt

    heard = FusedFrames(fused(even(5, 0, 10)), again)
    with pytest.raises(KeyboardInterrupt):
        heard.at(Budget("fast"))
    assert heard.at(Budget()).frames_after == 5


# Passes


def test_every_section_is_a_pass_with_its_times() -> None:
    one, other = even(6, 2.5, 14.5), even(4, 14.5, 31.0, first=6)
    found = reader(one, other).readings(Budget(), "Who?")
    assert [len(reading) for reading in found] == [6, 4]
    assert [numbers_of(reading.embeddings) for reading in found] == [[*range(6)], [6, 7, 8, 9]]
    for reading, section in zip(found, (one, other), strict=True):
        assert reading.embeddings.shape == (len(section), WIDER)
        assert torch.equal(reading.embeddings[:, :WIDTH], 2 * section.hidden)
        assert torch.equal(reading.spans, section.spans)
        assert (reading.text, reading.rope_scale) == ("", 1.0)


def test_nothing_heard_is_nothing_to_read() -> None:
    nothing = reader()
    assert nothing.readings(Budget(), None) == []
    assert nothing.segments(shortest=40, max_segments=24, whole=True) == []
    assert nothing.segments(shortest=40, max_segments=24, whole=False) == []


def test_the_question_changes_nothing_and_the_budget_does() -> None:
    heard = FusedFrames(
        fused(even(6, 0, 9)), lambda budget: fused(even(3, 0, 9), budget=budget.label)
    )
    read = FrameReader(Doubling(), heard, 8192)  # type: ignore[arg-type]
    [one], [other] = read.readings(Budget(), "Who?"), read.readings(Budget(), None)
    assert torch.equal(one.embeddings, other.embeddings)
    [fast] = read.readings(Budget("fast"), "Who?")
    assert len(fast) == 3


def test_prompts_are_for_sound() -> None:
    read = reader(even(3, 0, 1))
    assert read.name == "frames"
    for prompt in (ASK, SUMMARISE):
        heard = read.prompt(prompt)
        assert (heard.system, heard.opening, heard.audio) == (prompt.system, "", True)


@pytest.mark.parametrize(
    ("count", "window", "stretch"),
    [
        (300, 1000, 1.0),  # 300 frames and 700 positions for words fit just so
        (301, 1000, 1.001),
        (1300, 1000, 2.0),
        (7300, 1000, 8.0),
        (4000, 8192, 1.0),
    ],
)
def test_the_window_is_stretched_as_far_as_it_takes(
    count: int, window: int, stretch: float
) -> None:
    [found] = reader(even(count, 0, 900), window=window).readings(Budget(), None)
    assert found.rope_scale == pytest.approx(stretch)


def test_beyond_eight_times_the_window_it_is_said() -> None:
    with pytest.raises(UsageError) as raised:
        reader(even(7301, 0, 900), window=1000).readings(Budget(), None)
    assert str(raised.value) == (
        "7301 frames are more than the model's window of 1000 positions holds even when "
        "stretched 8 times; leave out --no-compress."
    )
    assert raised.value.exit_code == 2


def test_no_gradients_are_recorded() -> None:
    class Learning:
        weight = torch.ones(WIDTH, WIDER, requires_grad=True)

        def project(self, hidden: Tensor) -> Tensor:
            return hidden @ self.weight

    read = FrameReader(Learning(), FusedFrames(fused(even(3, 0, 1))), 99_999)  # type: ignore[arg-type]
    [found] = read.readings(Budget(), None)
    assert not found.embeddings.requires_grad


# Stretches


def assert_whole(stretches, sections: list[Frames]) -> None:
    """They hold every frame once and in order, and every moment."""
    held = [
        number
        for stretch in stretches
        for reading in stretch.reader.readings(Budget(), None)
        for number in numbers_of(reading.embeddings)
    ]
    assert held == [*range(sum(map(len, sections)))]
    assert stretches[0].span.start == sections[0].spans[0, 0]
    assert stretches[-1].span.end == sections[-1].spans[-1, 1]
    for one, next_one in pairwise(stretches):
        assert one.span.end == next_one.span.start


@pytest.mark.parametrize(
    ("seconds", "parts"), [(30, 1), (119, 1), (179, 1), (181, 2), (600, 5), (1200, 10)]
)
def test_stretches_are_of_some_two_minutes(seconds: int, parts: int) -> None:
    section = even(400, 0, seconds)
    found = reader(section).segments(shortest=40, max_segments=24, whole=False)
    assert len(found) == parts
    assert_whole(found, [section])
    lengths = [len(one.reader.readings(Budget(), None)[0]) for one in found]
    assert max(lengths) - min(lengths) <= 1


def test_there_are_at_most_so_many() -> None:
    section = even(4000, 0, 36_000)
    found = reader(section).segments(shortest=40, max_segments=24, whole=False)
    assert len(found) == 24
    assert_whole(found, [section])


@pytest.mark.parametrize(
    "lengths", [[3000, 3000], [100, 5000, 5000], [2000] * 5, [100, 100, 9000], [1000] * 24]
)
def test_sections_share_how_many_there_may_be(lengths: list[int]) -> None:
    sections, first = [], 0
    for length in lengths:
        sections.append(even(length, first * 9, (first + length) * 9, first))
        first += length
    found = reader(*sections).segments(shortest=40, max_segments=24, whole=False)
    assert len(sections) <= len(found) <= 24
    assert_whole(found, sections)
    starts = {one.span.start for one in found}
    assert {float(section.spans[0, 0]) for section in sections} <= starts


def test_sections_are_never_joined() -> None:
    sections = [even(20, 10 * i, 10 * (i + 1), 20 * i) for i in range(30)]
    found = reader(*sections).segments(shortest=40, max_segments=24, whole=False)
    assert len(found) == 30
    assert_whole(found, sections)


def test_none_is_shorter_than_it_may_be() -> None:
    # 200 frames of 0.1 s, of 20 s together, then one of 2 s a frame.
    edges = [0.1 * i for i in range(201)] + [20 + 2.0 * i for i in range(1, 301)]
    section = frames(edges)
    for shortest in (10, 40, 70, 130):
        found = reader(section).segments(shortest=shortest, max_segments=24, whole=False)
        assert all(one.span.end - one.span.start >= shortest for one in found)
        assert_whole(found, [section])
    assert len(reader(section).segments(shortest=40, max_segments=24, whole=False)) > 1


def test_whole_is_no_more_than_there_are_passes() -> None:
    sections = [even(50, 0, 900), even(50, 900, 1800, 50)]
    found = reader(*sections).segments(shortest=40, max_segments=24, whole=True)
    assert [(one.span.start, one.span.end) for one in found] == [(0, 900), (900, 1800)]
    assert_whole(found, sections)


def test_a_stretch_is_read_like_the_whole_and_not_divided_again() -> None:
    section = even(900, 0, 600)
    found = reader(section, window=800).segments(shortest=40, max_segments=24, whole=False)
    [reading] = found[1].reader.readings(Budget(), None)
    # 180 frames and 700 positions for words.
    assert reading.rope_scale == pytest.approx(1.1)
    assert torch.equal(reading.spans, section.spans[180:360])
    assert found[1].reader.prompt(SUMMARISE).audio
    [same] = found[1].reader.segments(shortest=1, max_segments=9, whole=False)
    assert same.span == found[1].span


def test_a_stretch_is_not_read_for_a_budget_that_it_was_not_fused_for() -> None:
    [stretch] = reader(even(9, 0, 30)).segments(shortest=40, max_segments=24, whole=True)
    with pytest.raises(UsageError, match=r"heard for the budget balanced; .* again for fast"):
        stretch.reader.readings(Budget("fast"), None)
