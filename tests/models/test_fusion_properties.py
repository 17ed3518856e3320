"""What holds for any recording, any target length and any density."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import (
    at_once,
    choose,
    fuse,
    halving_schedule,
    joined_spans,
    training_schedule,
    weighted_means,
)

schedules = st.sampled_from([halving_schedule, training_schedule, at_once])
quickly = settings(max_examples=60, deadline=None)


def silent_third(hidden):
    """A density that is 0 for many frames, and for every frame of zeros."""
    return (hidden[:, 0].tanh()).clamp(min=0)


@st.composite
def recordings(draw, most: int = 900) -> Frames:
    """Drifting frames with repeated stretches, digital silence and gaps between windows."""
    count = draw(st.integers(1, most))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    width = draw(st.sampled_from([1, 3, 8, 17]))
    hidden = torch.randn(count, width, generator=generator)
    if draw(st.booleans()):
        hidden = hidden.cumsum(0)
    if draw(st.booleans()):
        hidden = hidden[torch.arange(count) // 3]
    if draw(st.booleans()):
        hidden = hidden * (torch.rand(count, 1, generator=generator) > 0.4)
    steps = torch.arange(count + 1, dtype=torch.float64) / 25
    return Frames(hidden, silent_third(hidden), torch.stack([steps[:-1], steps[1:]], dim=-1))


@quickly
@given(frames=st.integers(0, 10**7), target=st.integers(1, 5_000), schedule=schedules)
def test_schedules_fall_to_the_target(frames, target, schedule):
    lengths = schedule(frames, target)
    if target >= frames:
        assert lengths == ()
    else:
        assert lengths[-1] == target
        assert all(a > b for a, b in zip((frames, *lengths), lengths, strict=False))


@quickly
@given(frames=recordings(), target=st.integers(1, 1_000), schedule=schedules)
def test_the_length_is_exact_and_time_is_divided_in_order(frames, target, schedule):
    fused = fuse(frames, target, silent_third, schedule).frames
    assert len(fused) == min(target, len(frames))
    assert torch.equal(fused.spans[0, 0], frames.spans[0, 0])
    assert torch.equal(fused.spans[-1, 1], frames.spans[-1, 1])
    assert torch.equal(fused.spans[1:, 0], fused.spans[:-1, 1])
    assert (fused.spans[:, 1] > fused.spans[:, 0]).all()
    assert fused.hidden.isfinite().all()
    assert torch.equal(fused.density, silent_third(fused.hidden))


@quickly
@given(frames=recordings(), extra=st.integers(0, 500), schedule=schedules)
def test_enough_room_is_the_identity(frames, extra, schedule):
    fused = fuse(frames, len(frames) + extra, silent_third, schedule)
    assert fused.frames is frames
    assert fused.rounds == ()


@quickly
@given(frames=recordings(), data=st.data())
def test_the_most_similar_pairs_merge_first(frames, data):
    length = data.draw(st.integers(1, len(frames)))
    done = choose(frames, length)
    opens = torch.zeros(len(frames), dtype=torch.bool)
    opens[done.starts] = True
    merged, apart = done.similarity[~opens[1:]], done.similarity[opens[1:]]
    assert opens[0]
    assert len(merged) == len(frames) - length
    if len(merged) and len(apart):
        assert merged.min() >= apart.max()


@quickly
@given(
    weights=st.lists(st.sampled_from([0.0, 1e-12, 1e-7, 0.03, 0.5, 1.0]), min_size=1, max_size=60),
    data=st.data(),
)
def test_weights_in_a_span_are_not_negative_and_sum_as_promised(weights, data):
    count = len(weights)
    inner = data.draw(st.sets(st.integers(1, count - 1))) if count > 1 else set()
    starts = torch.tensor(sorted({0, *inner}))
    density = torch.tensor(weights)
    # One-hot frames: the fused frame is the list of the weights that went into it.
    used = weighted_means(torch.eye(count), density, starts)
    assert (used >= 0).all()
    ends = [*starts[1:].tolist(), count]
    for row, first, end in zip(used, starts.tolist(), ends, strict=True):
        total = density[first:end].sum()
        assert not row[:first].any()
        assert not row[end:].any()
        torch.testing.assert_close(row.sum(), total / (total + 1e-7))


@quickly
@given(frames=recordings(), target=st.integers(1, 300), schedule=schedules)
def test_no_density_gives_zeros_in_every_round(frames, target, schedule):
    def nothing(hidden):
        return torch.zeros(len(hidden))

    mute = Frames(frames.hidden, nothing(frames.hidden), frames.spans)
    fused = fuse(mute, target, nothing, schedule)
    assert all(done.similarity.isfinite().all() for done in fused.rounds)
    if fused.rounds:
        assert not fused.frames.hidden.any()


@quickly
@given(frames=recordings(), target=st.integers(1, 300), schedule=schedules)
def test_same_hidden_states_give_the_same_bytes(frames, target, schedule):
    copy = Frames(frames.hidden.clone(), frames.density.clone(), frames.spans.clone())
    one, other = (fuse(f, target, silent_third, schedule).frames for f in (frames, copy))
    assert one.hidden.numpy().tobytes() == other.hidden.numpy().tobytes()
    assert one.spans.numpy().tobytes() == other.spans.numpy().tobytes()


@quickly
@given(frames=recordings(), target=st.integers(1, 300), schedule=schedules)
def test_rounds_tell_which_frames_became_one(frames, target, schedule):
    fused = fuse(frames, target, silent_third, schedule)
    spans = frames.spans
    for done in fused.rounds:
        assert len(done.density) == len(spans) == len(done.similarity) + 1
        spans = joined_spans(spans, done.starts)
    assert torch.equal(spans, fused.frames.spans)
