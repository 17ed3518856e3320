"""Drafts: what is guessed, and that a reply is the same with them, token by token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_gguf import HIDDEN
from tiny_talk import tiny_language_model
from torch import Tensor

from fls_models.bench.qa.items import load_items
from fls_models.lslm.base import Draw
from fls_models.lslm.kv_cache import KVCache
from fls_models.lslm.mini.int8 import few_rows
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.lslm.mini.network import Qwen2
from fls_models.lslm.prompts import ASK, question
from fls_models.lslm.replies.drafts import Drafts
from fls_models.weights.store import Installed

SPEECH = "letters and words, letters and numbers, some words, and letters and words again"
REQUEST = "\n\nQuestion: which letters?"


def drafts(source: list[int], reply: list[int], length: int = 4) -> Drafts:
    found = Drafts(source, length)
    for token in reply:
        found.append(token)
    return found


def test_what_followed_the_same_words_is_guessed() -> None:
    assert drafts([1, 2, 3, 4, 5, 6, 7], [9, 2, 3]).guess() == [4, 5, 6, 7]
    assert drafts([1, 2, 3, 4, 5, 6, 7], [9, 5, 6]).guess()[:1] == [7]


def test_one_word_is_too_little_to_guess_by() -> None:
    assert drafts([1, 2, 3], [2]).guess() == []
    assert drafts([1, 2, 3], [9, 2]).guess() == []
    # Nor does the source's own end count as the reply's beginning.
    assert drafts([1, 2, 3, 1, 2], []).guess() == []
    assert drafts([1, 2, 3, 1], [2]).guess() == []


def test_the_longest_likeness_is_followed() -> None:
    source = [1, 2, 3, 8, 7, 1, 2, 3, 9]
    assert drafts(source, [2, 3], 1).guess() == [8]
    assert drafts(source, [7, 1, 2, 3], 1).guess() == [9]


def test_a_reply_may_repeat_itself() -> None:
    assert drafts([], [4, 5, 6, 7, 4, 5], 2).guess() == [6, 7]


def test_nothing_is_guessed_of_length_0() -> None:
    assert drafts([1, 2, 3], [1, 2], 0).guess() == []


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> MiniLanguageModel:
    return tiny_language_model(tmp_path_factory.mktemp("drafts"))


def replies(llm: MiniLanguageModel, temperature: float, seed: int) -> tuple[list[str], list[str]]:
    """With drafts and without, piece by piece."""
    context = llm.read(ASK, llm.embed(llm.tokenize(SPEECH)), text=SPEECH)
    parts = llm._parts
    found = []
    for length in (few_rows() - 1, 0):
        llm._parts = replace(parts, draft_length=length)
        try:
            stream = llm.generate(
                context, REQUEST, max_tokens=60, temperature=temperature, seed=seed
            )
            found.append(list(stream))
        finally:
            llm._parts = parts
    return found[0], found[1]


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_replies_are_the_same_with_and_without(
    llm: MiniLanguageModel, temperature: float, seed: int
) -> None:
    ours, plain = replies(llm, temperature, seed)
    assert ours == plain


def test_what_is_confirmed_comes_at_the_price_of_one(
    llm: MiniLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    read = Qwen2.read

    def counted(self: Qwen2, x: Tensor, cache: KVCache, rope_scale: float) -> Tensor:
        passes.append(len(x))
        return read(self, x, cache, rope_scale)

    monkeypatch.setattr(Qwen2, "read", counted)
    # Greedy replies of random weights go round in circles, which is a repetition, too.
    tokens = len(llm.tokenize("".join(replies(llm, 0.0, 0)[0])))
    ours = passes[: len(passes) - tokens]
    assert max(ours[2:]) > 1
    assert len(ours) < tokens


def test_few_rows_are_each_what_they_are_alone(llm: MiniLanguageModel) -> None:
    network = llm.body
    assert isinstance(network, Qwen2)
    dice = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        before = torch.randn(9, HIDDEN, generator=dice)
        rows = torch.randn(few_rows(), HIDDEN, generator=dice)
        caches = [KVCache.empty(network.config.num_hidden_layers) for _ in range(2)]
        for cache in caches:
            network.read(before, cache, 1.0)
        together = network.read(rows, caches[0], 1.0)
        alone = [network.read(row[None], caches[1], 1.0) for row in rows]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("max_tokens", [0, 1, 60])
def test_replies_that_are_written_together_are_what_they_are_alone(
    llm: MiniLanguageModel, max_tokens: int
) -> None:
    context = llm.read(ASK, llm.embed(llm.tokenize(SPEECH)), text=SPEECH)
    other = "\n\nQuestion: and what else is there?"
    draws = [Draw(REQUEST), Draw(other), *(Draw(REQUEST, 1.2, seed) for seed in range(3))]
    together = llm.generate_all(context, draws, max_tokens=max_tokens, is_whole=lambda text: False)
    alone = [
        "".join(
            llm.generate(
                *(context, draw.request),
                max_tokens=max_tokens,
                temperature=draw.temperature,
                seed=draw.seed,
            )
        )
        for draw in draws
    ]
    assert list(together) == alone
    assert max_tokens < 60 or len(set(alone)) > 3
    # And what was read of the recording is as it was.
    assert "".join(llm.generate(context, other, max_tokens=max_tokens)) == alone[1]


def test_a_reply_that_is_whole_ends_and_is_told_before_the_others_are(
    llm: MiniLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    read = Qwen2.read_each

    def counted(self: Qwen2, x: Tensor, caches: list[KVCache], rope_scale: float) -> Tensor:
        passes.append(len(x))
        return read(self, x, caches, rope_scale)

    monkeypatch.setattr(Qwen2, "read_each", counted)
    context = llm.read(ASK, llm.embed(llm.tokenize(SPEECH)), text=SPEECH)
    draws = [Draw(REQUEST, 1.2, seed) for seed in range(3)]
    whole = "".join(llm.generate(context, REQUEST, max_tokens=40, temperature=1.2, seed=0))

    def is_whole(text: str) -> bool:
        return whole.startswith(text) and len(text) > len(whole) // 3

    replies = llm.generate_all(context, draws, max_tokens=40, is_whole=is_whole)
    first = next(replies)
    assert len(whole) // 3 < len(first) < len(whole)
    assert set(passes) == {3}
    before = len(passes)
    assert len(list(replies)) == 2
    # Without the first from then on.
    assert max(passes[before:]) == 2


def test_positions_are_forgotten(llm: MiniLanguageModel) -> None:
    network = llm.body
    assert isinstance(network, Qwen2)
    dice = torch.Generator().manual_seed(2)
    with torch.inference_mode():
        cache, plain = (KVCache.empty(network.config.num_hidden_layers) for _ in range(2))
        first, wrong, right = (torch.randn(3, HIDDEN, generator=dice) for _ in range(3))
        for read in (cache, plain):
            network.read(first, read, 1.0)
        network.read(wrong, cache, 1.0)
        cache.truncate(3)
        assert cache.length == 3
        found, expected = network.read(right, cache, 1.0), network.read(right, plain, 1.0)
    assert torch.equal(found, expected)


@pytest.mark.weights
def test_mini_replies_the_same_with_and_without(mini_weights: Installed) -> None:
    mini = MiniLanguageModel(mini_weights.llm)
    sample = Path(__file__).parents[2] / "examples" / "qa-sample" / "sample.jsonl"
    [item, *_] = load_items(sample)
    context = mini.read(ASK, mini.embed(mini.tokenize(item.text)), text=item.text)
    request = question(f"{item.question} Tell me all that is said about it.")
    found = "".join(mini.generate(context, request, max_tokens=50))
    mini._parts = replace(mini._parts, draft_length=0)
    assert found == "".join(mini.generate(context, request, max_tokens=50))
