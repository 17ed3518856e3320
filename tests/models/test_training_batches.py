"""Which recordings come together, and what is done to their frames."""

from __future__ import annotations

import pytest
import torch

from fls_models.training.core.batches import LikeLengths
from fls_models.training.ctc.spec_augment import disturbed


def test_each_recording_is_taken_once_a_pass() -> None:
    dice = torch.Generator().manual_seed(0)
    lengths = torch.randint(20, 750, (1003,), generator=dice).tolist()
    batches = LikeLengths(lengths, 8, seed=3)
    passes = [[batches(126 * turn + place) for place in range(126)] for turn in range(2)]
    for one in passes:
        assert sorted(place for batch in one for place in batch) == list(range(1003))
    assert passes[0] != passes[1]
    # Asked for by itself, by another: the same.
    assert LikeLengths(lengths, 8, seed=3)(126 + 77) == passes[1][77]
    assert LikeLengths(lengths, 8, seed=4)(5) != passes[0][5]


def test_recordings_of_a_batch_are_of_like_length() -> None:
    dice = torch.Generator().manual_seed(0)
    lengths = torch.randint(20, 750, (800,), generator=dice).tolist()
    batches = LikeLengths(lengths, 8, seed=3)
    chosen = [[lengths[one] for one in batches(number)] for number in range(100)]
    padded = sum(8 * max(one) for one in chosen)
    assert padded < 1.2 * sum(lengths)
    # Batches do not come in the order of their lengths.
    first = [max(one) for one in chosen[:50]]
    assert first != sorted(first)


def test_fewer_recordings_than_a_batch() -> None:
    batches = LikeLengths([5, 9], 4, seed=0)
    assert sorted(batches(0)) == sorted(batches(1)) == [0, 1]
    with pytest.raises(ValueError, match="at least one"):
        LikeLengths([], 4, seed=0)


def test_frames_are_disturbed_by_their_generator_alone() -> None:
    frames = torch.randn(300, 128, generator=torch.Generator().manual_seed(1))
    kept, state = frames.clone(), torch.get_rng_state()
    one, same, other = (
        disturbed(frames, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(frames, kept)
    assert torch.equal(torch.get_rng_state(), state)


def test_noise_and_masks_are_bounded() -> None:
    frames = 5 + 2 * torch.randn(300, 128, generator=torch.Generator().manual_seed(1))
    wide = 0
    for seed in range(50):
        found = disturbed(frames, torch.Generator().manual_seed(seed))
        rows, columns = (found == 0).all(1), (found == 0).all(0)
        assert rows.sum() <= 7 * 23
        assert columns.sum() <= 16
        wide += bool(columns.any())
        left = (found - frames)[~rows][:, ~columns]
        assert left.std() < 0.16 * 2
    assert 10 < wide < 40


def test_a_clip_of_two_frames_is_disturbed_too() -> None:
    for seed in range(20):
        found = disturbed(torch.ones(2, 4), torch.Generator().manual_seed(seed))
        assert found.shape == (2, 4)
