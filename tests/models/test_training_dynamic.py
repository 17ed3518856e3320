"""Batches of conversations about fused clips, against the model's own reading and scoring."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from fusion_loop import loop_fuse, loop_ladder
from tiny_checkpoints import write_omni, write_qwen2_audio
from tiny_hearing import babble, loaded, whole
from torch import Tensor, nn

from fls_models.errors import DamagedWeights
from fls_models.lslm.decoder_inputs import IGNORE_INDEX
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.prompts import ASK, TRANSCRIBE
from fls_models.training.compression.dynamic import LENGTHS, draw, fused, surprisals
from fls_models.training.core.batches import members

REQUESTS = (
    ("Who?", "Ada."),
    ("What is the main argument?", "That machines are patient."),
    ("Is it?", ""),
)


@pytest.fixture(scope="module", params=[write_qwen2_audio, write_omni])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LargeSpeechLM:
    folder = tmp_path_factory.mktemp("model")
    request.param(folder / "released")
    return loaded(folder / "released", folder / "model")


@pytest.fixture(scope="module")
def heard(model: LargeSpeechLM) -> list[Tensor]:
    return [whole(model, babble(seconds, seed=3)) for seconds in (4, 1.5, 2.6)]


@pytest.mark.parametrize("prompt", [TRANSCRIBE, ASK.heard(), ASK])
def test_what_is_learned_is_what_score_says(model, heard, prompt) -> None:
    end = model._tokenizer.convert_tokens_to_ids("<|im_end|>")
    for recording, (request, reply) in zip(heard, REQUESTS, strict=True):
        [found] = surprisals(model, [model.conversation(prompt, recording, request, reply)])
        context = model.read(prompt, recording)
        scored = model.scores(context, request, [reply])[0]
        torch.testing.assert_close(found[:-1], -scored, rtol=1e-5, atol=1e-5)
        # The token that ends the turn, read off the logits that a reply is generated from.
        said = torch.cat(
            [model.request(context.prompt, request), model.embed(model.tokenize(reply))]
        )
        with torch.inference_mode():
            logits = model._forward(context, context.cache(), said, logits=1)[-1]
        torch.testing.assert_close(
            found[-1], -logits.log_softmax(-1)[end], rtol=1e-5, atol=1e-5, check_dtype=False
        )


def test_only_the_reply_and_its_end_are_taught(model, heard) -> None:
    embeddings, labels = model.conversation(TRANSCRIBE, heard[0], *REQUESTS[1])
    reply = model.tokenize(REQUESTS[1][1])
    assert len(embeddings) == len(labels)
    assert labels[-1] == model._tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert labels[-len(reply) - 1 : -1].tolist() == reply
    assert (labels[: -len(reply) - 1] == IGNORE_INDEX).all()
    # The recording is in it, as it is.
    windows = embeddings.unfold(0, len(heard[0]), 1).transpose(1, 2)
    assert any(torch.equal(window, heard[0]) for window in windows)


def test_a_template_whose_replies_do_not_end_is_refused(model, heard, monkeypatch) -> None:
    monkeypatch.setattr(model, "_parts", replace(model._parts, ends=()))
    with pytest.raises(DamagedWeights, match="pull the model again"):
        model.conversation(TRANSCRIBE, heard[0], "Who?", "Ada.")


def test_a_padded_batch_is_its_items_alone(model, heard) -> None:
    conversations = [
        model.conversation(TRANSCRIBE, recording, *exchange)
        for recording, exchange in zip(heard, REQUESTS, strict=True)
    ]
    assert len({len(labels) for _, labels in conversations}) == 3
    together = surprisals(model, conversations)
    for one, found in zip(conversations, together, strict=True):
        [alone] = surprisals(model, [one])
        torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-5)


def test_stretched_positions_are_set_back(model, heard) -> None:
    conversation = model.conversation(TRANSCRIBE, heard[0], "Who?", "Ada.")
    [before] = surprisals(model, [conversation])
    model.read(TRANSCRIBE, heard[0], rope_scale=4.0)
    [after] = surprisals(model, [conversation])
    assert torch.equal(before, after)


class Head:
    """A density that every frame has of its own."""

    def blank_probability(self, hidden: Tensor) -> Tensor:
        return hidden[:, 0].sigmoid().float()


def _blank(frame: np.ndarray) -> np.float32:
    return np.float32(1 / (1 + np.exp(-frame[0])))


@pytest.mark.parametrize("frames", [90, 750])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_window_goes_down_the_rungs(frames: int, length: int) -> None:
    hidden = torch.randn(frames, 8, generator=torch.Generator().manual_seed(frames))
    found = fused(Head(), hidden, length)
    assert len(found) == min(frames, length)
    rounds = loop_ladder(frames, length)
    expected, _ = loop_fuse(hidden.numpy(), rounds, lambda frame: 1 - _blank(frame))
    expected = torch.from_numpy(expected)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_each_window_is_fused_alone() -> None:
    hidden = torch.randn(800, 8, generator=torch.Generator().manual_seed(1))
    both = fused(Head(), hidden, 25)
    assert torch.equal(both, torch.cat([fused(Head(), part, 25) for part in hidden.split(750)]))


def test_gradients_come_back_through_the_means_alone() -> None:
    hidden = nn.Parameter(torch.randn(40, 8))
    fused(Head(), hidden, 12).sum().backward()
    assert hidden.grad is not None
    # The weights of a mean add up to 1, and none of them depends on the frames.
    torch.testing.assert_close(hidden.grad.sum(0), torch.full((8,), 12.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(hidden.grad, hidden.grad[:, :1].expand(-1, 8))


def test_every_length_is_drawn_alike() -> None:
    dice = torch.Generator().manual_seed(5)
    counts = Counter(draw(LENGTHS, dice) for _ in range(7000))
    assert counts.keys() == set(LENGTHS)
    # 1000 each, five standard deviations of a binomial are 146.
    assert all(abs(count - 1000) < 146 for count in counts.values())


def test_each_clip_comes_once_in_a_pass() -> None:
    batches = [members(10, 4, number, seed=2) for number in range(10)]
    order = [one for batch in batches for one in batch]
    passes = [order[first : first + 10] for first in range(0, 40, 10)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4
    assert members(10, 4, 7, seed=2) == batches[7]
    assert [members(10, 4, number, seed=3) for number in range(10)] != batches


def test_a_batch_may_be_larger_than_all_there_is() -> None:
    assert sorted(Counter(members(3, 7, 0, seed=0)).values()) == [2, 2, 3]
