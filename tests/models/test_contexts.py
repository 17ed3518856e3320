"""Contexts with room behind them, against transformers' own cache, which copies."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch
from tiny_checkpoints import write_qwen2_audio
from tiny_hearing import HEARD, loaded
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from fls_models.lslm import kv_cache as contexts
from fls_models.lslm.kv_cache import KVCache, KVContext, KVLayer
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.transformers_body import as_transformers

HEADS, WIDTH, LAYERS = 2, 4, 3


def states(positions: int, dice: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(1, HEADS, positions, WIDTH, generator=dice).to(dtype)


def append(cache: KVCache, positions: int, dice: torch.Generator) -> None:
    for layer in cache.layers:
        layer.update(states(positions, dice), states(positions, dice))


def append_to_theirs(cache: Cache, positions: int, dice: torch.Generator) -> None:
    for layer in range(LAYERS):
        cache.update(states(positions, dice), states(positions, dice), layer)


def context_of(positions: int = 10, seed: int = 0, stretch: float = 1.0) -> KVContext:
    cache = KVCache.empty(LAYERS, positions)
    append(cache, positions, torch.Generator().manual_seed(seed))
    return KVContext.of(cache, HEARD, stretch)


def copied(context: KVContext) -> list[Tensor]:
    return [one.clone() for pair in context.keys_values for one in pair]


def assert_unchanged(context: KVContext, before: list[Tensor]) -> None:
    found = [one for pair in context.keys_values for one in pair]
    assert all(torch.equal(one, other) for one, other in zip(found, before, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seed", range(6))
def test_any_sequence_of_updates_holds_what_a_dynamic_cache_holds(
    seed: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "_ROOM", 16)
    chance, dice = random.Random(seed), torch.Generator().manual_seed(seed)
    layer, theirs = KVLayer(), DynamicLayer()
    for _ in range(30):
        if chance.random() < 0.2:
            # The same again behind what there is: a request that goes on with a context.
            layer = layer.lend()
        positions = chance.choice([1, 1, 1, 2, 5, 15, 16, 17, 40])
        keys, values = states(positions, dice, dtype), states(positions, dice, dtype)
        found, expected = layer.update(keys, values), theirs.update(keys, values)
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == dtype
            assert torch.equal(one, other)
        assert layer.length == theirs.get_seq_length()


def test_a_cache_of_layers_is_what_a_model_takes_for_one() -> None:
    cache, theirs = KVCache.empty(LAYERS, 7), DynamicCache()
    for positions in (7, 1, 1, 600, 1):
        # Made anew for each pass through a model.
        ours = as_transformers(cache)
        for layer, other in zip(ours.layers, theirs.layers, strict=False):
            assert layer.get_mask_sizes(3) == other.get_mask_sizes(3)
        for each in (ours, theirs):
            append_to_theirs(each, positions, torch.Generator().manual_seed(positions))
        assert ours.get_seq_length() == theirs.get_seq_length() == cache.length
    assert cache.length == 610
    for layer, other in zip(cache.layers, theirs.layers, strict=True):
        assert torch.equal(layer.states[0], other.keys)
        assert torch.equal(layer.states[1], other.values)


def test_buffers_grow_and_then_have_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "_ROOM", 8)
    layer, dice = KVLayer(), torch.Generator().manual_seed(0)
    places = []
    for _ in range(30):
        keys, _ = layer.update(states(1, dice), states(1, dice))
        places.append(keys.data_ptr())
    # 1 + 8 positions, then 10 + 8, 19 + 8 and 28 + 8.
    changes = [i for i in range(1, 30) if places[i] != places[i - 1]]
    assert changes == [9, 18, 27]


def test_what_is_expected_finds_room_from_the_start() -> None:
    layer, dice = KVLayer(expected_length=5000), torch.Generator().manual_seed(0)
    places = {layer.update(states(1000, dice), states(1000, dice))[0].data_ptr() for _ in range(5)}
    # And a request behind it does.
    places.add(layer.update(states(500, dice), states(500, dice))[0].data_ptr())
    assert len(places) == 1


def test_nothing_is_copied_for_the_first_request() -> None:
    context = context_of()
    cache = context.cache()
    append(cache, 5, torch.Generator().manual_seed(1))
    for layer, (keys, values) in zip(cache.layers, context.keys_values, strict=True):
        assert layer.states[0].data_ptr() == keys.data_ptr()
        assert layer.states[1].data_ptr() == values.data_ptr()


def test_once_a_request_is_done_the_next_takes_its_place() -> None:
    context = context_of()
    before = copied(context)
    for seed in range(3):
        cache = context.cache()
        append(cache, 5, torch.Generator().manual_seed(seed))
        assert cache.layers[0].states[0].data_ptr() == context.keys_values[0][0].data_ptr()
        assert_unchanged(context, before)
        del cache


def test_a_second_request_meanwhile_gets_buffers_of_its_own() -> None:
    context = context_of()
    one, other = context.cache(), context.cache()
    append(one, 5, torch.Generator().manual_seed(1))
    append(other, 5, torch.Generator().manual_seed(2))
    keys, other_keys = one.layers[0].states[0], other.layers[0].states[0]
    assert keys.data_ptr() != other_keys.data_ptr()
    assert not torch.equal(keys[:, :, 10:], other_keys[:, :, 10:])
    assert torch.equal(keys[:, :, :10], other_keys[:, :, :10])


@pytest.mark.parametrize("room", [2, 512])
@pytest.mark.parametrize("seed", range(4))
def test_requests_in_any_order_never_change_a_context(
    seed: int, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each against a DynamicCache that holds a copy of the context."""
    monkeypatch.setattr(contexts, "_ROOM", room)
    chance = random.Random(seed)
    context = context_of(12, seed)
    before = copied(context)
    running: list[tuple[torch.Generator, torch.Generator, KVCache, DynamicCache]] = []
    for step in range(60):
        if not running or chance.random() < 0.2:
            theirs = DynamicCache()
            for layer, (keys, values) in enumerate(context.keys_values):
                theirs.update(keys.clone(), values.clone(), layer)
            dice = [torch.Generator().manual_seed(step) for _ in range(2)]
            running.append((*dice, context.cache(), theirs))
        elif len(running) > 2 and chance.random() < 0.3:
            running.pop(chance.randrange(len(running)))
        one, other, ours, theirs = chance.choice(running)
        positions = chance.choice([1, 1, 3, 7])
        append(ours, positions, one)
        append_to_theirs(theirs, positions, other)
        assert_unchanged(context, before)
        for _, _, ours, theirs in running:
            for layer, expected in zip(ours.layers, theirs.layers, strict=True):
                assert torch.equal(layer.states[0], expected.keys)
                assert torch.equal(layer.states[1], expected.values)


def test_sizes() -> None:
    context = context_of(10)
    assert context.tokens == 10
    # Keys and values of float32, without the room behind them.
    assert context.bytes == LAYERS * 2 * HEADS * 10 * WIDTH * 4
    append(context.cache(), 30, torch.Generator().manual_seed(0))
    assert context.tokens == 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("stretch", [1.0, 4693 / 1000])
def test_what_was_packed_is_the_same_to_the_last_bit(dtype: torch.dtype, stretch: float) -> None:
    cache, dice = KVCache.empty(LAYERS, 9), torch.Generator().manual_seed(0)
    for layer in cache.layers:
        layer.update(states(9, dice, dtype), states(9, dice, dtype))
    context = KVContext.of(cache, HEARD, stretch)
    found = KVContext.unpack(context.pack(), HEARD, torch.device("cpu"))
    assert found.rope_scale == stretch
    assert found.tokens == 9
    for one, other in zip(found.keys_values, context.keys_values, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            assert mine.dtype == dtype
            assert torch.equal(mine, theirs)
    # And it can be gone on from, as often as one likes.
    before = copied(found)
    for seed in (1, 1):
        cache = found.cache()
        for layer in cache.layers:
            layer.update(*[states(4, torch.Generator().manual_seed(seed), dtype)] * 2)
        assert_unchanged(found, before)
    # Packed twice it is twice the same, whatever was written behind it.
    assert found.pack() == context.pack()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LargeSpeechLM:
    released = tmp_path_factory.mktemp("released")
    write_qwen2_audio(released, ctc=True)
    return loaded(released, tmp_path_factory.mktemp("converted") / "model")


def test_replies_side_by_side_are_those_given_alone(model: LargeSpeechLM) -> None:
    recording = torch.randn(30, model.width, generator=torch.Generator().manual_seed(0))

    def begin(context: KVContext, seed: int) -> Iterator[str]:
        # Random weights care little for the question, but dice do.
        return model.generate(
            context, f"Question {seed}?", max_tokens=12, temperature=1.0, seed=seed
        )

    alone = [list(begin(model.read(HEARD, recording), seed)) for seed in range(3)]
    context = model.read(HEARD, recording)
    before = copied(context)
    running = [begin(context, seed) for seed in range(3)]
    found: list[list[str]] = [[], [], []]
    chance = random.Random(0)
    left = [0, 1, 2]
    while left:
        turn = chance.choice(left)
        piece = next(running[turn], None)
        if piece is None:
            left.remove(turn)
        else:
            found[turn].append(piece)
        # Judged in between, too.
        model.surprisal(context, "Who?")
        assert_unchanged(context, before)
    assert found == alone
    assert len({tuple(one) for one in found}) == 3


def test_a_reply_that_is_given_up_leaves_no_trace(model: LargeSpeechLM) -> None:
    recording = torch.randn(30, model.width, generator=torch.Generator().manual_seed(1))
    context = model.read(HEARD, recording)
    before = copied(context)
    expected = "".join(model.generate(context, "Who?", max_tokens=12))
    begun = model.generate(context, "Where?", max_tokens=12)
    next(begun)
    begun.close()
    assert "".join(model.generate(context, "Who?", max_tokens=12)) == expected
    assert_unchanged(context, before)


def test_a_packed_context_answers_as_the_one_that_was_read(model: LargeSpeechLM) -> None:
    recording = torch.randn(40, model.width, generator=torch.Generator().manual_seed(2))
    context = model.read(HEARD, recording, rope_scale=2.5)
    again = model.unpack(model.pack(context), HEARD)
    one, other = (list(model.generate(each, "Who?", max_tokens=12)) for each in (context, again))
    assert one == other
    assert torch.equal(model.surprisal(context, "Where?"), model.surprisal(again, "Where?"))
