"""Frames that are one within the encoder: which ones, and what they still weigh."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
import torch
from tiny_whisper import BINS, LAYERS, TIMED_WORDS, WIDTH, write_tiny_whisper
from torch.utils.flop_counter import FlopCounterMode

from fls_models.audio.whisper.effort import EFFORTS, Merging
from fls_models.audio.whisper.load import load_whisper
from fls_models.audio.whisper.merging import Spans, spans_of
from fls_models.audio.whisper.network import WhisperNetwork, _attend, _attend_by_head
from fls_models.planning.flops import EncoderDims, encoder_flops


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("whisper")
    write_tiny_whisper(place, words=TIMED_WORDS, sharpness=4.0)
    return place


@pytest.fixture
def window() -> torch.Tensor:
    return torch.randn(BINS, 3000, generator=torch.Generator().manual_seed(3))


def test_the_most_alike_neighbours_are_one() -> None:
    a, b, c = torch.eye(3)
    spans = spans_of(torch.stack([a, a, b, c, c, c, b, a]), Merging(1, 3 / 8))
    assert spans.sizes.tolist() == [2, 1, 3, 1, 1]


def test_a_span_is_the_mean_of_its_frames_and_stands_in_all_their_places() -> None:
    spans = Spans(torch.tensor([2, 1]))
    means = spans.means(torch.tensor([[1.0, 2.0], [3.0, 4.0], [7.0, 8.0]]))
    assert means.tolist() == [[2.0, 3.0], [7.0, 8.0]]
    assert spans.frames(means).tolist() == [[2.0, 3.0], [2.0, 3.0], [7.0, 8.0]]


@pytest.mark.parametrize("attend", [_attend, _attend_by_head])
def test_a_span_is_attended_to_as_its_frames_are(attend) -> None:
    keys, values = torch.randn(2, 1, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    spans = Spans(torch.tensor([4, 1, 2]))
    queries = keys + 1
    every = torch.repeat_interleave(torch.arange(3), spans.sizes)
    expected = attend(queries[:, :, every], keys[:, :, every], values[:, :, every], None)
    found = attend(queries, keys, values, spans.bias(torch.float32))
    torch.testing.assert_close(found[:, :, every], expected)


def test_merging_leaves_so_many_different_frames(folder: Path, window: torch.Tensor) -> None:
    network = WhisperNetwork(folder / "model.bin", torch.float32)
    plain = network.encode(window)
    merged = network.encode(window, Merging(1, 0.25))
    assert merged.shape == plain.shape
    assert len(merged.unique_consecutive(dim=0)) == round(0.75 * len(plain))
    assert torch.equal(network.encode(window, Merging(1, 0.0)), plain)
    likeness = torch.nn.functional.cosine_similarity(merged, plain).mean()
    shuffled = torch.nn.functional.cosine_similarity(merged, plain.flip(0)).mean()
    assert likeness > 0.9 > shuffled


def test_what_was_encoded_with_merging_is_not_taken_for_what_was_not(
    folder: Path, window: torch.Tensor
) -> None:
    whisper = load_whisper(folder)
    [plain] = whisper.encode([window.numpy()])
    whisper.merging = Merging(1, 0.25)
    [merged] = whisper.encode([window.numpy()])
    whisper.merging = None
    [again] = whisper.encode([window.numpy()])
    assert torch.equal(plain, again)
    assert not torch.equal(plain, merged)


def test_only_fast_merges_and_others_are_known_by_the_keys_that_they_had() -> None:
    assert {name for name, effort in EFFORTS.items() if effort.merging} == {"fast"}
    assert EFFORTS["balanced"].key() == {
        "name": "greedy with temperature fallback",
        "beams": 1,
        "temperatures": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    }
    assert EFFORTS["fast"].key()["name"] != "greedy"


@pytest.mark.parametrize("merging", [None, Merging(1, 0.25)])
def test_operations_are_those_that_are_planned(
    folder: Path, window: torch.Tensor, merging: Merging | None
) -> None:
    network = WhisperNetwork(folder / "model.bin", torch.float32)
    # What torch does not count by itself.
    counts = {
        torch.ops.mkldnn._linear_pointwise: lambda rows, *_, out_shape, **__: (
            2 * prod(rows) * out_shape[-1]
        ),
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (
            lambda queries, keys, *_, **__: 4 * prod(queries) * keys[-2]
        ),
    }
    with FlopCounterMode(display=False, custom_mapping=counts) as counter:
        network.encode(window, merging)
    dims = EncoderDims(BINS, WIDTH, 2 * WIDTH, LAYERS)
    assert counter.get_total_flops() == encoder_flops(dims, merging=merging)
