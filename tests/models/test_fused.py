"""A fused recording on its way to the disk and back."""

from __future__ import annotations

import pytest
import torch
from safetensors import SafetensorError

from fls_models.extractor.frames import Frames
from fls_models.extractor.fused_recording import FusedRecording


def frames(count: int, first: float, dtype: torch.dtype) -> Frames:
    generator = torch.Generator().manual_seed(count)
    edges = first + torch.arange(count + 1, dtype=torch.float64) / 3
    return Frames(
        torch.randn(count, 5, generator=generator).to(dtype),
        torch.rand(count, generator=generator),
        torch.stack([edges[:-1], edges[1:]], dim=-1),
    )


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """To the last bit, of numbers that are not numbers and of zero's sign too."""
    return one.dtype == other.dtype and one.numpy(force=True).tobytes() == (
        other.numpy(force=True).tobytes()
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("lengths", [(), (7,), (7, 1, 30)])
def test_what_is_unpacked_is_what_was_packed(dtype, lengths):
    sections = tuple(frames(n, 100.1 * i, dtype) for i, n in enumerate(lengths))
    if sections:
        sections[0].hidden[0, 0] = -0.0
        # A view, as slices of frames are.
        sections = (sections[0][1:], *sections[1:])
    recording = FusedRecording(sections, 12_345, 0.1 + 0.2, "L=400", bool(lengths))
    again = FusedRecording.unpack(recording.pack())
    assert again.frames_before == 12_345
    assert again.duration == 0.1 + 0.2
    assert again.budget == "L=400"
    assert again.speaks is bool(lengths)
    assert again.frames_after == recording.frames_after == sum(map(len, sections))
    assert len(again.sections) == len(sections)
    for one, other in zip(again.sections, sections, strict=True):
        bits = torch.int32 if dtype == torch.float32 else torch.int16
        assert same(one.hidden.view(bits), other.hidden.view(bits))
        assert one.hidden.dtype == dtype
        assert same(one.density, other.density)
        assert same(one.spans, other.spans)


def test_the_same_recording_is_the_same_bytes():
    recording = FusedRecording((frames(9, 0, torch.bfloat16),), 99, 4.0, "fast", True)
    assert recording.pack() == recording.pack()


def test_sections_run_forwards():
    one, other = frames(3, 0, torch.float32), frames(3, 0.9, torch.float32)
    with pytest.raises(ValueError, match="run forwards"):
        FusedRecording((one, other), 6, 2.0, "fast", True)


@pytest.mark.parametrize("keep", [0, 20, 100])
def test_half_a_file_is_refused(keep):
    packed = FusedRecording((frames(9, 0, torch.bfloat16),), 99, 4.0, "fast", True).pack()
    with pytest.raises((ValueError, KeyError, SafetensorError)):
        FusedRecording.unpack(packed[:keep])
    with pytest.raises(SafetensorError):
        FusedRecording.unpack(packed[:-1])
