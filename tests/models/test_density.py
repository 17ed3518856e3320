from __future__ import annotations

import pytest
import torch
from torch import nn

from fls_models.extractor import density
from fls_models.extractor.density import CtcHead, FoldedCtcHead, content_density, density_from


@pytest.fixture
def head() -> CtcHead:
    torch.manual_seed(0)
    head = CtcHead(width=48, inner_width=96, tokens=30)
    nn.init.normal_(head.layer_norm.weight, mean=1, std=0.2)
    nn.init.normal_(head.layer_norm.bias, std=0.2)
    nn.init.normal_(head.linear.weight, std=0.5)
    return head


def test_parameters_bear_the_released_names(head):
    names = {"layer_norm.weight", "layer_norm.bias", "projector.weight", "projector.bias"}
    assert set(head.state_dict()) == names | {"linear.weight"}
    assert head.linear.weight.shape == (31, 96)


def test_blank_is_the_last_class(head):
    hidden = torch.randn(20, 48)
    expected = torch.softmax(head(hidden), dim=-1)[:, -1]
    torch.testing.assert_close(head.blank_probability(hidden), expected)


def test_the_folded_head_gives_the_same_probabilities(head):
    hidden = 3 * torch.randn(500, 48)
    folded = head.fold()
    torch.testing.assert_close(folded.logits(hidden), head(hidden), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        folded.blank_probability(hidden), head.blank_probability(hidden), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("fold", [False, True])
def test_pieces_change_nothing(head, fold, monkeypatch):
    head = head.fold() if fold else head
    hidden = torch.randn(333, 48)
    whole = head.blank_probability(hidden)
    monkeypatch.setattr(density, "_PIECE_ELEMENTS", 48 * 7)
    torch.testing.assert_close(head.blank_probability(hidden), whole, rtol=1e-6, atol=1e-7)


def test_logits_never_exist_for_all_frames(head, monkeypatch):
    monkeypatch.setattr(density, "_PIECE_ELEMENTS", 100 * 48)
    folded, rows = head.fold(), []
    logits = FoldedCtcHead.logits
    monkeypatch.setattr(
        FoldedCtcHead, "logits", lambda self, h: rows.append(len(h)) or logits(self, h)
    )
    folded.blank_probability(torch.randn(1001, 48))
    assert sum(rows) == 1001
    assert max(rows) == 100


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_hidden_states_are_read_in_float32(head, dtype):
    hidden = torch.randn(50, 48).to(dtype)
    blank = head.fold().blank_probability(hidden)
    assert blank.dtype == torch.float32
    assert torch.equal(blank, head.fold().blank_probability(hidden.float()))


def test_density_stays_a_probability(head):
    assert content_density(torch.tensor([0.0, 0.25, 1.0, 1.0000001])).tolist() == [1, 0.75, 0, 0]
    assert density_from(head.blank_probability)(torch.zeros(0, 48)).shape == (0,)


def test_a_folded_head_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="width 4"):
        FoldedCtcHead(torch.ones(3), torch.zeros(4), torch.zeros(5, 4), torch.zeros(5))
    with pytest.raises(ValueError, match="5 classes"):
        FoldedCtcHead(torch.ones(4), torch.zeros(4), torch.zeros(5, 4), torch.zeros(4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_log_probabilities_are_columns_of_the_whole(head, dtype, monkeypatch):
    hidden = (3 * torch.randn(501, 48)).to(dtype)
    tokens = torch.tensor([7, 0, 29, 7])
    expected = head(hidden.float()).log_softmax(-1)[:, [7, 0, 29, 7, 30]]
    monkeypatch.setattr(density, "_PIECE_ELEMENTS", 100 * 48)
    folded, rows = head.fold(), []
    logits = FoldedCtcHead.logits
    monkeypatch.setattr(
        FoldedCtcHead, "logits", lambda self, h: rows.append(len(h)) or logits(self, h)
    )
    found = folded.log_probabilities(hidden, tokens)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert rows == [100] * 5 + [1]


def test_log_probabilities_of_nothing_and_of_no_tokens(head):
    folded, none = head.fold(), torch.zeros(0, dtype=torch.int64)
    hidden = torch.randn(9, 48)
    assert folded.log_probabilities(hidden[:0], torch.tensor([1, 2])).shape == (0, 3)
    torch.testing.assert_close(
        folded.log_probabilities(hidden, none)[:, 0].exp(), folded.blank_probability(hidden)
    )
    for wrong in ([30], [-1]):
        with pytest.raises(ValueError, match="tokens 0 to 29"):
            folded.log_probabilities(hidden, torch.tensor(wrong))
    with pytest.raises(ValueError, match="int64"):
        folded.log_probabilities(hidden, torch.tensor([1.0]))


@pytest.mark.parametrize("before", ["none", "ieee", "tf32"])
def test_the_precision_of_products_is_left_as_it_was(before):
    matmul = torch.backends.cuda.matmul
    at_first = matmul.fp32_precision

    def fail_on(device):
        with density._tensor_cores(torch.device(device)):
            raise KeyError(matmul.fp32_precision)

    try:
        matmul.fp32_precision = before
        for device, within in (("cuda", "tf32"), ("cpu", before)):
            with pytest.raises(KeyError, match=within):
                fail_on(device)
            assert matmul.fp32_precision == before
    finally:
        matmul.fp32_precision = at_first
