"""Every two frames one within the encoder: what that leaves, and what it takes."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
import torch
from tiny_whisper import BINS, LAYERS, TIMED_WORDS, WIDTH, write_tiny_whisper
from torch.utils.flop_counter import FlopCounterMode

from fls_models.audio.whisper.effort import EFFORTS
from fls_models.audio.whisper.load import load_whisper
from fls_models.audio.whisper.network import WhisperNetwork
from fls_models.planning.flops import EncoderDims, encoder_flops


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("whisper")
    write_tiny_whisper(place, words=TIMED_WORDS, sharpness=4.0)
    return place


@pytest.fixture
def window() -> torch.Tensor:
    return torch.randn(BINS, 3000, generator=torch.Generator().manual_seed(3))


def test_merging_halves_frames_and_leaves_what_they_say(folder: Path, window: torch.Tensor) -> None:
    network = WhisperNetwork(folder / "model.bin", torch.float32)
    plain = network.encode(window)
    merged = network.encode(window, 1)
    assert (len(plain), len(merged)) == (1500, 750)
    likeness = torch.nn.functional.cosine_similarity(merged, plain[::2]).mean()
    shuffled = torch.nn.functional.cosine_similarity(merged, plain[::2].flip(0)).mean()
    assert likeness > 0.9 > shuffled
    # Where frames are pairwise the same already, nothing is lost.
    pairs = merged.repeat_interleave(2, dim=0)
    asked = torch.tensor([[1, 2, 3]])
    heads = [(0, 0), (0, 1)]
    whole, whole_scores = network.attend(asked, network.begin([pairs], 3), heads)
    half, half_scores = network.attend(asked, network.begin([merged], 3), heads)
    torch.testing.assert_close(half, whole)
    torch.testing.assert_close(half_scores, whole_scores)


def test_what_was_encoded_with_merging_is_not_taken_for_what_was_not(
    folder: Path, window: torch.Tensor
) -> None:
    whisper = load_whisper(folder)
    [plain] = whisper.encode([window.numpy()])
    whisper.merging = 1
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


@pytest.mark.parametrize("merging", [None, 1])
def test_operations_are_those_that_are_planned(
    folder: Path, window: torch.Tensor, merging: int | None
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
