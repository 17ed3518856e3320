"""From packets with times to samples on one clock."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from fls_cli.media.timeline.laps import LAP
from fls_cli.media.timeline.nut import Packet
from fls_cli.media.timeline.placing import BLOCK, Jump, Misled, Placing
from fls_models.core.constants import SAMPLE_RATE

HOUR = 3600 * SAMPLE_RATE
# The margin that keeps the times in the pipe from being negative.
ZERO = HOUR


def packet(time: float, value: float, seconds: float = 0.5, lap: int = 0) -> Packet:
    samples = np.full(round(seconds * SAMPLE_RATE), value, np.float32)
    return Packet(ZERO + lap * LAP + round(time * SAMPLE_RATE), samples.tobytes())


def placed(
    packets: Iterable[Packet],
    start: float = 0.0,
    end: float | None = None,
    *,
    sought: bool = False,
    clocked: bool = True,
) -> tuple[np.ndarray, list[Jump]]:
    jumps: list[Jump] = []
    placing = Placing(start, end, sought=sought, clocked=clocked, jumped=jumps.append)
    blocks = list(placing.blocks(packets, lambda: 1))
    assert all(len(block) == BLOCK for block in blocks[:-1])
    return np.concatenate([*blocks, np.zeros((0, 1), np.float32)])[:, 0], jumps


def at(samples: np.ndarray, time: float) -> float:
    return float(samples[round(time * SAMPLE_RATE)])


def test_what_follows_comes_at_its_time() -> None:
    samples, jumps = placed([packet(0, 1), packet(0.5, 2), packet(1.0, 3)])
    assert [at(samples, time) for time in (0.2, 0.7, 1.2)] == [1, 2, 3]
    assert (len(samples), jumps) == (1.5 * SAMPLE_RATE, [])


def test_a_late_beginning_is_silence_and_no_flaw() -> None:
    samples, jumps = placed([packet(2.25, 1)])
    assert (at(samples, 2.2), at(samples, 2.3), jumps) == (0, 1, [])


def test_a_gap_becomes_silence_and_is_told() -> None:
    samples, jumps = placed([packet(0, 1), packet(3.5, 2)])
    assert [at(samples, time) for time in (0.2, 0.6, 3.4, 3.6)] == [1, 0, 0, 2]
    assert jumps == [Jump("gap", 0.5, 3.0)]


def test_an_hour_is_filled_and_more_is_closed_up() -> None:
    samples, [jump] = placed([packet(0, 1), packet(3600.5, 2)])
    assert (len(samples), jump) == (HOUR + SAMPLE_RATE, Jump("gap", 0.5, 3600.0))
    samples, [jump] = placed([packet(0, 1), packet(3601.5, 2), packet(3602.0, 3)])
    assert (len(samples), jump) == (1.5 * SAMPLE_RATE, Jump("closed", 0.5, 3601.0))


def test_what_goes_back_comes_after() -> None:
    parts = [packet(0, 1), packet(0.5, 2), packet(0, 3, lap=1), packet(2.5, 4, lap=1)]
    samples, jumps = placed(parts)
    assert [at(samples, time) for time in (0.7, 1.2, 1.6, 3.6)] == [2, 3, 0, 4]
    assert jumps == [Jump("back", 1.0, 1.0), Jump("gap", 1.5, 2.0)]


@pytest.mark.parametrize("wrong", [700.0, 20_000.0, 0.0], ids=["far", "hours", "back"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_few_wrong_times_among_right_ones_are_ignored(wrong: float, count: int) -> None:
    packets, lap = [], 0
    for number in range(24):
        astray = 12 <= number < 12 + count
        # The pipe's laps: one more each time the clock goes back.
        lap += number == (12 if wrong == 0.0 else 12 + count)
        time = wrong + 0.1 * (number - 12) if astray else 0.1 * number
        packets.append(packet(time, number, 0.1, lap))
    samples, jumps = placed(packets)
    assert np.array_equal(samples, np.repeat(np.arange(24, dtype=np.float32), 1600))
    assert jumps == []


def test_what_right_times_leave_open_is_a_hole_before_the_wrong_ones() -> None:
    wrong = [packet(40_000 + 0.5 * number, 2 + number) for number in range(6)]
    samples, jumps = placed([packet(0, 1), *wrong, packet(5.5, 9, lap=1)])
    assert [at(samples, time) for time in (0.2, 0.6, 2.4, 2.6, 5.4, 5.6)] == [1, 0, 0, 2, 7, 9]
    assert jumps == [Jump("hole", 0.5, 2.0)]


def test_times_that_a_pipe_held_to_the_last_follow_each_other() -> None:
    first = packet(0, 1)
    held = [Packet(first.pts + n, packet(0, 1 + n).data) for n in (1, 2, 3)]
    samples, _ = placed([first, *held])
    assert [at(samples, 0.2 + 0.5 * n) for n in range(4)] == [1, 2, 3, 4]


def test_rounded_times_move_nothing() -> None:
    rng = np.random.default_rng(0)
    count = 200
    packets = [packet(0.02 * n + rng.uniform(-0.02, 0.02), n, 0.02) for n in range(count)]
    samples, jumps = placed(packets)
    assert np.array_equal(samples, np.repeat(np.arange(count, dtype=np.float32), 320))
    assert jumps == []


def test_a_clock_that_drifts_is_followed() -> None:
    # A recorder whose samples are two in a thousand too few: an hour is seven seconds off.
    count = 2000
    packets = [packet(0.1 * n, n, 0.0998) for n in range(count)]
    samples, jumps = placed(packets)
    assert len(samples) == pytest.approx(0.1 * count * SAMPLE_RATE, abs=0.11 * SAMPLE_RATE)
    assert at(samples, 150.0) == pytest.approx(1500, abs=2)
    assert jumps == []
    packets = [packet(0.1 * n, n, 0.1002) for n in range(count)]
    samples, jumps = placed(packets)
    assert at(samples, 150.0) == pytest.approx(1500, abs=2)


def test_what_only_counts_samples_has_no_gaps() -> None:
    samples, jumps = placed([packet(0, 1), packet(7, 2)], clocked=False)
    assert (len(samples), jumps) == (SAMPLE_RATE, [])


def test_a_passage() -> None:
    packets = [packet(0.5 * n, n) for n in range(8)]
    samples, _ = placed(packets, 1.25, 2.75)
    assert len(samples) == 1.5 * SAMPLE_RATE
    assert [at(samples, time) for time in (0, 0.3, 1.3)] == [2, 3, 5]


def test_a_passage_that_was_searched_for() -> None:
    samples, _ = placed([packet(10.0 + 0.5 * n, n) for n in range(8)], 11.25, sought=True)
    assert [at(samples, time) for time in (0, 0.3)] == [2, 3]
    with pytest.raises(Misled):
        placed([packet(20_000, 1)], 11.25, sought=True)
