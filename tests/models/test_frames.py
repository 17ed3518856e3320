from __future__ import annotations

import pytest
import torch

from fls_models.extractor.frames import Frames


def make(count: int, first: int = 0, width: int = 4, dtype=torch.float32) -> Frames:
    steps = torch.arange(first, first + count + 1, dtype=torch.float64) / 25
    hidden = torch.arange(count * width).reshape(count, width).to(dtype)
    return Frames(hidden, torch.full((count,), 0.5), torch.stack([steps[:-1], steps[1:]], dim=-1))


def test_what_is_joined_can_be_sliced_apart_again():
    parts = [make(3), make(0, first=3), make(5, first=3), make(2, first=100)]
    joined = Frames.concatenate(parts)
    assert len(joined) == 10
    first = 0
    for part in parts:
        slice_ = joined[first : first + len(part)]
        first += len(part)
        assert torch.equal(slice_.hidden, part.hidden)
        assert torch.equal(slice_.density, part.density)
        assert torch.equal(slice_.spans, part.spans)


def test_a_slice_is_a_view():
    frames = make(10)
    assert frames[2:5].hidden.data_ptr() == frames.hidden[2].data_ptr()
    assert len(frames[-3:]) == 3
    with pytest.raises(ValueError, match="without a step"):
        frames[::2]


def test_joining_refuses_what_does_not_follow_or_match():
    with pytest.raises(ValueError, match="nothing to concatenate"):
        Frames.concatenate([])
    with pytest.raises(ValueError, match="run forwards"):
        Frames.concatenate([make(3), make(3, first=2)])
    with pytest.raises(ValueError, match="do not join"):
        Frames.concatenate([make(3), make(3, first=3, width=8)])
    with pytest.raises(ValueError, match="do not join"):
        Frames.concatenate([make(3), make(3, first=3, dtype=torch.bfloat16)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": torch.zeros(3)}, "hidden states"),
        ({"hidden": torch.zeros(3, 4, dtype=torch.int64)}, "hidden states"),
        ({"hidden": torch.zeros(3, 4, dtype=torch.float64)}, "hidden states"),
        ({"density": torch.zeros(2)}, "density"),
        ({"density": torch.zeros(3, dtype=torch.float16)}, "density"),
        ({"density": torch.tensor([0.0, 1.1, 0.0])}, "probability"),
        ({"density": torch.tensor([0.0, torch.nan, 0.0])}, "probability"),
        ({"spans": torch.zeros(3, 3, dtype=torch.float64)}, "spans"),
        ({"spans": torch.zeros(3, 2)}, "spans"),
        ({"spans": torch.tensor([[0, 2], [1, 3], [3, 4]]).double()}, "forwards"),
        ({"spans": torch.tensor([[1, 0], [1, 3], [3, 4]]).double()}, "forwards"),
        ({"spans": torch.tensor([[0, 1], [1, 2], [2, torch.nan]]).double()}, "forwards"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, message):
    good = make(3)
    fields = {"hidden": good.hidden, "density": good.density, "spans": good.spans}
    with pytest.raises(ValueError, match=message):
        Frames(**(fields | change))
