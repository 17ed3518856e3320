"""What stands between Whisper and a language model, against plain loops and torch's own layers."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny_mini import SHAPE, random_connector
from torch import Tensor, nn

from fls_models.lslm.mini.connector import Block, Connector

DICE = torch.Generator().manual_seed(1)
TABLE = torch.randn(SHAPE.tokens, SHAPE.model_width, generator=DICE)


@pytest.fixture(scope="module")
def connector() -> Connector:
    return random_connector()


def hidden(*size: int, seed: int = 2) -> Tensor:
    return torch.randn(*size, SHAPE.width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", [name for name in asdict(SHAPE) if name != "heads"])
def test_sizes_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        replace(SHAPE, **{name: 0})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"heads": 5}, "5 heads do not divide a width of 32"),
        ({"heads": -1}, "heads at least 0"),
        ({"kernel": 4}, "the kernel is odd"),
    ],
)
def test_heads_divide_and_kernels_are_odd(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(SHAPE, **changes)


@torch.no_grad()
def test_without_heads_a_frame_sees_no_further_than_its_convolutions() -> None:
    connector = random_connector(shape=replace(SHAPE, heads=0))
    assert not any("qkv" in name for name in connector.state_dict())
    frames = torch.randn(1, 80, SHAPE.encoder_width, generator=torch.Generator().manual_seed(3))
    before = connector.adapter(frames)
    frames[0, :2] = 0
    moved = (connector.adapter(frames) != before).any(-1)[0].nonzero().flatten().tolist()
    reach = SHAPE.blocks * (SHAPE.kernel // 2)
    assert moved == list(range(reach + 1))


@torch.no_grad()
def test_frames_become_half_as_many_hidden_states(connector: Connector) -> None:
    frames = torch.randn(3, 20, SHAPE.encoder_width, generator=torch.Generator().manual_seed(3))
    found = connector.adapter(frames)
    assert found.shape == (3, 10, SHAPE.width)
    # Windows do not see each other.
    torch.testing.assert_close(connector.adapter(frames[1:2])[0], found[1])
    logits = connector.logits(found)
    assert logits.shape == (3, 10, SHAPE.tokens + 1)
    assert connector.embeddings(found, TABLE).shape == (3, 10, SHAPE.model_width)


@torch.no_grad()
def test_the_first_layer_joins_neighbours() -> None:
    connector = Connector(replace(SHAPE, blocks=1))
    frames = torch.randn(1, 4, SHAPE.encoder_width, generator=torch.Generator().manual_seed(3))
    weight, bias = connector.adapter.joined.weight, connector.adapter.joined.bias
    for place in range(2):
        both = torch.cat([frames[0, 2 * place], frames[0, 2 * place + 1]])
        found = connector.adapter.joined(frames.reshape(1, 2, -1))[0, place]
        torch.testing.assert_close(found, weight @ both + bias)


@torch.no_grad()
def test_a_blocks_attention_is_that_of_torch(connector: Connector) -> None:
    block: Any = connector.adapter.blocks[0]
    stock = nn.MultiheadAttention(SHAPE.width, SHAPE.heads, batch_first=True)
    stock.in_proj_weight.copy_(block.qkv.weight)
    stock.in_proj_bias.copy_(block.qkv.bias)
    stock.out_proj.weight.copy_(block.out.weight)
    stock.out_proj.bias.copy_(block.out.bias)
    stock.train(False)
    normed = hidden(2, 7)
    torch.testing.assert_close(
        block._attended(normed), stock(normed, normed, normed)[0], rtol=1e-4, atol=1e-5
    )


@torch.no_grad()
def test_a_blocks_convolution_is_a_plain_loop(connector: Connector) -> None:
    block: Any = connector.adapter.blocks[0]
    normed = hidden(1, 9)
    value, gate = block.gate(normed[0]).chunk(2, -1)
    gated = value * torch.sigmoid(gate)
    weight, reach = block.depthwise.weight[:, 0], SHAPE.kernel // 2
    near = torch.zeros(9, SHAPE.width)
    for place in range(9):
        for step in range(-reach, reach + 1):
            if 0 <= place + step < 9:
                near[place] += weight[:, step + reach] * gated[place + step]
    near = block.depthwise_norm(near + block.depthwise.bias)
    expected = block.pointwise(near * torch.sigmoid(near))
    torch.testing.assert_close(block._convolved(normed)[0], expected, rtol=1e-4, atol=1e-5)


def test_dropout_is_for_training_alone() -> None:
    block = Block(SHAPE, dropout=0.5)
    states = hidden(1, 5)
    assert not torch.equal(block(states), block(states))
    block.train(False)
    assert torch.equal(block(states), block(states))


@torch.no_grad()
def test_a_projector_begins_as_the_mixture_of_what_the_head_reads() -> None:
    connector = Connector(SHAPE)
    states = hidden(6)
    shares = F.softmax(connector.ctc(connector.norm(states)), -1)
    for place, found in enumerate(connector.embeddings(states, TABLE)):
        expected = sum(float(shares[place, token]) * TABLE[token] for token in range(SHAPE.tokens))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    # Sure of a token, it says that token; sure of the blank, what was learned for it.
    with torch.no_grad():
        connector.ctc.weight.zero_()
        connector.ctc.bias.zero_()
        connector.ctc.bias[3] = 40.0
        connector.projector.blank.fill_(0.25)
    assert torch.allclose(connector.embeddings(states, TABLE), TABLE[3], atol=1e-5)
    with torch.no_grad():
        connector.ctc.bias[SHAPE.tokens] = 90.0
    assert torch.allclose(connector.embeddings(states, TABLE), torch.tensor(0.25), atol=1e-5)


@torch.no_grad()
def test_a_frame_fused_of_equal_ones_projects_as_they_do(connector: Connector) -> None:
    [state] = hidden(1)
    fused = torch.stack([state] * 5).mean(0)
    alone, together = connector.embeddings(torch.stack([state, fused]), TABLE)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_norm_is_the_heads_and_the_projectors(connector: Connector) -> None:
    states = hidden(4)
    # A norm takes no notice of scale and shift; the blocks' own output does.
    torch.testing.assert_close(
        connector.logits(3 * states + 1), connector.logits(states), rtol=1e-3, atol=1e-3
    )
