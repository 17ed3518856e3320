"""Fusion against the plain loop, and the cases that the paper does not speak of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fusion_loop import LoopHead, loop_fuse, loop_halving, loop_ladder

from fls_models.extractor import fusion
from fls_models.extractor.density import CtcHead, density_from
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import (
    adjacent_similarity,
    at_once,
    choose,
    fuse,
    halving_schedule,
    training_schedule,
    weighted_means,
)

WIDTH = 24


@pytest.fixture(scope="module")
def head() -> CtcHead:
    torch.manual_seed(1)
    head = CtcHead(WIDTH, 32, 20)
    torch.nn.init.normal_(head.linear.weight, std=1.5)
    return head


@pytest.fixture(scope="module")
def density(head):
    return density_from(head.fold().blank_probability)


def speech(count: int, seed: int = 0) -> torch.Tensor:
    """Hidden states that drift, as an encoder's do: (count, WIDTH)."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, WIDTH, generator=generator)
    return torch.nn.functional.avg_pool1d(noise.T, 5, stride=1, padding=2).T.contiguous() + (
        0.1 * torch.randn(count, WIDTH, generator=generator)
    )


def frames_of(hidden, density) -> Frames:
    steps = torch.arange(len(hidden) + 1, dtype=torch.float64) / 25
    return Frames(hidden, density(hidden), torch.stack([steps[:-1], steps[1:]], dim=-1))


@pytest.mark.parametrize(
    ("count", "target"), [(2, 1), (13, 5), (611, 100), (750, 137), (750, 12), (1500, 750)]
)
@pytest.mark.parametrize(
    "schedule", [halving_schedule, training_schedule], ids=lambda s: s.__name__
)
def test_agrees_with_the_plain_loop(head, density, count, target, schedule):
    hidden = speech(count, seed=count)
    state = {name: value.numpy() for name, value in head.state_dict().items()}
    loop_head = LoopHead(
        state["layer_norm.weight"],
        state["layer_norm.bias"],
        state["projector.weight"],
        state["projector.bias"],
        state["linear.weight"],
    )
    lengths = {halving_schedule: loop_halving, training_schedule: loop_ladder}[schedule](
        count, target
    )
    expected, ranges = loop_fuse(hidden.numpy(), lengths, loop_head.density)

    fused = fuse(frames_of(hidden, density), target, density, schedule)
    assert [len(done.starts) for done in fused.rounds] == lengths
    np.testing.assert_allclose(fused.frames.hidden.numpy(), expected, rtol=1e-4, atol=1e-4)
    assert (fused.frames.spans * 25).round().int().tolist() == [list(pair) for pair in ranges]


def test_schedules_by_hand():
    assert halving_schedule(1500, 750) == (750,)
    assert halving_schedule(1501, 750) == (750,)
    assert halving_schedule(3211, 200) == (1605, 802, 401, 200)
    assert halving_schedule(2250, 25) == (1125, 562, 281, 140, 70, 35, 25)
    assert training_schedule(750, 12) == (400, 200, 100, 50, 25, 12)
    assert training_schedule(611, 100) == (400, 200, 100)
    assert training_schedule(750, 150) == (400, 200, 150)
    assert training_schedule(750, 500) == (500,)
    assert training_schedule(90, 5) == (50, 25, 12, 5)
    assert at_once(750, 150) == (150,)
    for schedule in (halving_schedule, training_schedule, at_once):
        assert schedule(750, 750) == schedule(12, 750) == schedule(0, 1) == ()
        with pytest.raises(ValueError, match="at least 1"):
            schedule(750, 0)


def test_equals_merge_from_the_front(density):
    frames = frames_of(torch.ones(10, WIDTH), density)
    assert choose(frames, 7).starts.tolist() == [0, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("threads", [1, 2])
def test_same_bytes_on_any_number_of_threads(density, threads):
    hidden = speech(5000)
    before = torch.get_num_threads()
    expected = fuse(frames_of(hidden, density), 300, density).frames
    try:
        torch.set_num_threads(threads)
        again = fuse(frames_of(hidden.clone(), density), 300, density).frames
    finally:
        torch.set_num_threads(before)
    assert torch.equal(again.hidden, expected.hidden)
    assert torch.equal(again.density, expected.density)
    assert torch.equal(again.spans, expected.spans)


def test_same_bytes_in_any_memory_layout(density):
    hidden = speech(300)
    transposed = hidden.T.contiguous().T
    assert not transposed.is_contiguous()
    one, other = (fuse(frames_of(h, density), 40, density).frames for h in (hidden, transposed))
    assert torch.equal(one.hidden, other.hidden)
    assert torch.equal(one.density, other.density)


@pytest.mark.parametrize("elements", [1, WIDTH, 7 * WIDTH, 64 * WIDTH])
def test_pieces_change_no_byte(density, elements, monkeypatch):
    frames = frames_of(speech(300), density)
    whole = fuse(frames, 40, density).frames
    monkeypatch.setattr(fusion, "piece_rows", lambda hidden: max(1, elements // WIDTH))
    pieces = fuse(frames, 40, density).frames
    assert torch.equal(pieces.hidden, whole.hidden)
    assert torch.equal(pieces.spans, whole.spans)


def test_the_input_is_left_alone(density):
    frames = frames_of(speech(100), density)
    hidden, spans = frames.hidden.clone(), frames.spans.clone()
    fuse(frames, 10, density)
    assert torch.equal(frames.hidden, hidden)
    assert torch.equal(frames.spans, spans)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_kept_and_compared_in_float32(density, dtype):
    frames = frames_of(speech(400).to(dtype), density)
    fused = fuse(frames, 100, density)
    assert fused.frames.hidden.dtype == dtype
    exact = adjacent_similarity(frames.hidden.float())
    assert torch.equal(fused.rounds[0].similarity, exact)
    means = weighted_means(frames.hidden.float(), frames.density, fused.rounds[0].starts)
    half = weighted_means(frames.hidden, frames.density, fused.rounds[0].starts)
    assert torch.equal(half, means.to(dtype))


def test_frames_of_zeros_go_first_and_bridge_nothing(density):
    one, other = torch.eye(WIDTH)[0], torch.eye(WIDTH)[1]
    silence = torch.zeros(WIDTH)
    hidden = torch.stack([silence, one, silence, silence, other, one])
    frames = frames_of(hidden, density)
    assert adjacent_similarity(hidden).tolist() == [0, 1, 1, 0, 0]
    assert choose(frames, 4).starts.tolist() == [0, 1, 4, 5]


def test_silence_throughout_stays_zero_through_all_rounds():
    def nothing(hidden):
        return torch.zeros(len(hidden))

    fused = fuse(frames_of(speech(3000), nothing), 12, nothing)
    assert len(fused.rounds) > 2
    assert fused.frames.hidden.shape == (12, WIDTH)
    assert not fused.frames.hidden.any()
    assert all(done.similarity.isfinite().all() for done in fused.rounds)


def test_tiny_and_huge_hidden_states(density):
    similarity = adjacent_similarity(torch.full((3, WIDTH), 1e-30))
    assert similarity.isfinite().all()
    small = torch.full((3, WIDTH), 1e-13)
    assert adjacent_similarity(small).isfinite().all()
    for broken in (torch.nan, torch.inf, 1e30):
        hidden = speech(10)
        hidden[4, 2] = broken
        with pytest.raises(ValueError, match="NaN or infinity"):
            fuse(frames_of(hidden, lambda h: torch.ones(len(h))), 5, density)


def test_gradients_reach_the_hidden_states(density):
    hidden = speech(60).requires_grad_()
    frames = Frames(hidden, density(hidden.detach()), frames_of(hidden, density).spans)
    fused = fuse(frames, 20, density)
    target = torch.randn(20, WIDTH)
    (fused.frames.hidden * target).sum().backward()

    copy = hidden.detach().clone().requires_grad_()
    current = copy
    for done in fused.rounds:
        ends = [*done.starts[1:].tolist(), len(current)]
        current = torch.stack(
            [
                (done.density[a:b, None] * current[a:b]).sum(0) / (done.density[a:b].sum() + 1e-7)
                for a, b in zip(done.starts.tolist(), ends, strict=True)
            ]
        )
    (current * target).sum().backward()
    torch.testing.assert_close(hidden.grad, copy.grad, rtol=1e-4, atol=1e-5)


def test_no_frames_at_all(density):
    empty = frames_of(torch.zeros(0, WIDTH), density)
    assert fuse(empty, 12, density).frames is empty
