from __future__ import annotations

import pytest
import torch

from fls_models.bench.longspeech.baselines import BASELINES
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import at_once, fuse


def density(hidden):
    return hidden[:, 0].sigmoid()


@pytest.fixture
def frames() -> Frames:
    torch.manual_seed(0)
    hidden = torch.randn(901, 16).cumsum(0)
    steps = torch.arange(902, dtype=torch.float64) / 25
    return Frames(hidden, density(hidden), torch.stack([steps[:-1], steps[1:]], dim=-1))


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_keeps_the_one_contract(frames, name):
    compress = BASELINES[name]
    for target in (1, 12, 300, 900):
        short = compress(frames, target, density)
        assert len(short) == target
        torch.testing.assert_close(short.density, density(short.hidden))
        again = compress(frames, target, density)
        assert torch.equal(short.hidden, again.hidden)
        assert torch.equal(short.spans, again.spans)
    for target in (901, 2000):
        assert torch.equal(compress(frames, target, density).hidden, frames.hidden)
    with pytest.raises(ValueError, match="at least 1"):
        compress(frames, 0, density)


@pytest.mark.parametrize("name", sorted(set(BASELINES) - {"random"}))
def test_all_but_random_account_for_all_of_the_audio(frames, name):
    spans = BASELINES[name](frames, 77, density).spans
    assert spans[0, 0] == 0
    assert spans[-1, 1] == 901 / 25
    assert torch.equal(spans[1:, 0], spans[:-1, 1])


def test_random_keeps_frames_as_they_are(frames):
    kept = BASELINES["random"](frames, 100, density)
    indices = (kept.spans[:, 0] * 25).round().long()
    assert (indices.diff() > 0).all()
    assert torch.equal(kept.hidden, frames.hidden[indices])


def test_average_pooling_is_the_mean_of_equal_segments(frames):
    pooled = BASELINES["avgpool"](frames[:900], 300, density)
    torch.testing.assert_close(pooled.hidden, frames.hidden[:900].reshape(300, 3, 16).mean(1))
    sizes = ((pooled.spans[:, 1] - pooled.spans[:, 0]) * 25).round()
    assert sizes.unique().tolist() == [3]
    uneven = BASELINES["avgpool"](frames, 300, density).spans
    assert ((uneven[:, 1] - uneven[:, 0]) * 25).round().unique().tolist() == [3, 4]


def test_most_similar_differs_from_single_pass_by_its_weights_alone(frames):
    plain, weighted = (BASELINES[n](frames, 300, density) for n in ("mostsim", "single-pass"))
    assert torch.equal(plain.spans, weighted.spans)
    assert not torch.allclose(plain.hidden, weighted.hidden)
    start, end = (plain.spans[7] * 25).round().long().tolist()
    torch.testing.assert_close(plain.hidden[7], frames.hidden[start:end].mean(0))


def test_constant_density_makes_fusion_of_no_density(frames):
    def half(hidden):
        return torch.full((len(hidden),), 0.5)

    flat = Frames(frames.hidden, half(frames.hidden), frames.spans)
    ours = BASELINES["no-density"](frames, 100, density)
    torch.testing.assert_close(ours.hidden, BASELINES["fusion"](flat, 100, half).hidden)
    assert not torch.allclose(ours.hidden, BASELINES["fusion"](frames, 100, density).hidden)


def test_single_pass_is_one_round(frames):
    one = fuse(frames, 100, density, at_once)
    assert len(one.rounds) == 1
    assert torch.equal(one.frames.hidden, BASELINES["single-pass"](frames, 100, density).hidden)
