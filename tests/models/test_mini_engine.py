"""The 8-bit engine against stock transformers, on a tiny model that was really converted."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_gguf import CONTROL, HIDDEN, LAYERS, write_tiny_gguf
from torch import Tensor
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from fls_models.core.machine.memory import Memory
from fls_models.core.machine.processor import multiplies_int8
from fls_models.core.progress import ignore
from fls_models.errors import DamagedWeights
from fls_models.lslm.kv_cache import KVCache, KVContext
from fls_models.lslm.mini import int8
from fls_models.lslm.mini.int8 import Int8Embedding, Int8Linear
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.lslm.mini.network import Qwen2
from fls_models.lslm.mini.tokenizer import ChatTokenizer
from fls_models.lslm.prompts import ASK
from fls_models.lslm.transformers_body import TransformersBody
from fls_models.training.compression.trainable_mini import stock_layers
from fls_models.weights.conversion.gguf import convert
from fls_models.weights.conversion.int8 import quantise

SPEECH = " the tools in the cellar, and <|im_end|> the one thing that they want there"
REQUEST = "\n\nQuestion: what is in the cellar?"
REPLY = "a thing, the one in the house; there it is, and then another one: réglage 42."


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def converted(at: Path, *, tied: bool = False, echo: bool = False) -> Path:
    """A converted tiny model; the words are `write_tiny_gguf`'s."""
    write_tiny_gguf(at / "model.gguf", tied=tied, echo=echo)
    into = at / "converted"
    into.mkdir()
    convert(at / "model.gguf", into, ignore)
    return into


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return converted(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder: Path) -> MiniLanguageModel:
    return MiniLanguageModel(folder)


@pytest.fixture(scope="module")
def context(model: MiniLanguageModel) -> KVContext:
    return model.read(ASK, model.embed(model.tokenize(SPEECH)))


def reply(model: MiniLanguageModel, context: KVContext, tokens: int = 60, **how: float) -> str:
    settings = {"temperature": 0.0, "seed": 0, **how}
    return "".join(model.generate(context, REQUEST, max_tokens=tokens, **settings))  # type: ignore[arg-type]


def test_a_model_that_nobody_needs_any_more_is_freed(folder: Path) -> None:
    model = MiniLanguageModel(folder)
    reply(model, model.read(ASK, model.embed(model.tokenize(SPEECH))), tokens=3)
    freed = weakref.ref(model)
    del model
    gc.collect()
    assert freed() is None


def stock(folder: Path) -> Qwen2ForCausalLM:
    """Stock transformers in float32 on the weights that the 8-bit levels stand for."""
    stored = load_file(folder / "model.safetensors")
    weights = {name: value for name, value in stored.items() if not name.endswith(".scale")}
    for name, value in stored.items():
        if name.endswith(".scale"):
            matrix = name.removesuffix("scale") + "weight"
            weights[matrix] = weights[matrix].float() * value[:, None]
    weights["model.embed_tokens.weight"] = weights["lm_head.weight"]
    config = Qwen2Config(**json.loads((folder / "config.json").read_text()))
    reference: Qwen2ForCausalLM = Qwen2ForCausalLM(config)
    reference.load_state_dict(weights)
    reference.train(False)
    return reference


def stock_logprobs(folder: Path, pieces: list[tuple[str, bool]]) -> tuple[Tensor, list[int]]:
    """Log-probability of each token of the last piece; pieces are (text, may hold control)."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = [
        tokenizer.encode(text, add_special_tokens=False, split_special_tokens=not control)
        for text, control in pieces
    ]
    flat = [token for piece in ids for token in piece]
    with torch.inference_mode():
        logits = stock(folder)(torch.tensor([flat])).logits[0]
    last = len(ids[-1])
    chances = logits[-last - 1 : -1].log_softmax(dim=-1)
    return chances.gather(1, torch.tensor(ids[-1])[:, None])[:, 0], ids[-1]


HEAD = (f"<|im_start|>system\n{ASK.system}<|im_end|>\n<|im_start|>user\n", True)
TAIL = ("<|im_end|>\n<|im_start|>assistant\n", True)


def test_scores_are_those_of_the_stock_model(
    folder: Path, model: MiniLanguageModel, context: KVContext
) -> None:
    speech = [(ASK.opening, False), (SPEECH, False)]
    expected, ids = stock_logprobs(folder, [HEAD, *speech, (REQUEST, False), TAIL, (REPLY, False)])
    found = model.scores(context, REQUEST, [REPLY])[0]
    assert found.shape == (len(ids),)
    assert (found - expected).abs().max() < 0.06
    assert (found - expected).abs().mean() < 0.02
    # A prompt without the recording scores otherwise: the tolerance would not hide its loss.
    deaf, _ = stock_logprobs(folder, [HEAD, speech[0], (REQUEST, False), TAIL, (REPLY, False)])
    assert (found - deaf).abs().mean() > 0.06


def test_replies_are_scored_as_each_alone(model: MiniLanguageModel, context: KVContext) -> None:
    replies = [REPLY, "No", "The other way round, as it seems."]
    together = model.scores(context, REQUEST, replies)
    for reply, found in zip(replies, together, strict=True):
        assert len(found) == len(model.tokenize(reply))
        torch.testing.assert_close(found, model.scores(context, REQUEST, [reply])[0])
    assert model.scores(context, REQUEST, [""])[0].shape == (0,)


def test_reading_counts_the_tokens_of_prompt_and_recording(
    model: MiniLanguageModel, context: KVContext, folder: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    head = tokenizer.encode(HEAD[0] + ASK.opening, add_special_tokens=False)
    assert context.tokens == len(head) + len(model.tokenize(SPEECH))


def test_greedy_replies_are_the_same_bytes_twice(
    model: MiniLanguageModel, context: KVContext, folder: Path
) -> None:
    once = reply(model, context)
    assert once
    assert once == reply(model, context) == reply(model, context, seed=7)
    anew = MiniLanguageModel(folder)
    assert once == reply(anew, anew.read(ASK, anew.embed(anew.tokenize(SPEECH))))


def test_sampled_replies_depend_on_the_seed_alone(
    model: MiniLanguageModel, context: KVContext
) -> None:
    said = [reply(model, context, tokens=12, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


def test_earlier_turns_are_a_chat_by_the_template_of_the_tokenizer(
    model: MiniLanguageModel, context: KVContext, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [
        {"role": "system", "content": ASK.system},
        {"role": "user", "content": "(the recording)" + REQUEST},
        {"role": "assistant", "content": REPLY},
        {"role": "user", "content": "And in the attic?"},
    ]
    chat = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    after = chat.partition("(the recording)")[2]
    expected = model.embed(tokenizer.encode(after, add_special_tokens=False))
    fed: list[Tensor] = []
    forward = MiniLanguageModel._forward

    def watched(
        self: MiniLanguageModel,
        context: KVContext,
        cache: KVCache,
        embeddings: Tensor,
        *,
        logits: int,
    ) -> Tensor:
        fed.append(embeddings)
        return forward(self, context, cache, embeddings, logits=logits)

    monkeypatch.setattr(MiniLanguageModel, "_forward", watched)
    earlier = [(REQUEST, REPLY)]
    next(model.generate(context, "\n\nAnd in the attic?", max_tokens=1, exchanges=earlier), None)
    assert torch.equal(fed[0], expected)


def test_markup_in_earlier_turns_is_text(model: MiniLanguageModel, context: KVContext) -> None:
    [end] = model._tokenizer.encode(CONTROL[2], add_special_tokens=False)
    asked = model.request(context.prompt, REQUEST, [(CONTROL[2], CONTROL[2])])
    ends = (asked == model.embed([end])).all(dim=1).sum()
    assert (
        ends
        == (model.request(context.prompt, REQUEST, [("a", "b")]) == model.embed([end]))
        .all(dim=1)
        .sum()
    )


def test_surprisal_may_be_that_after_a_lead(
    folder: Path, model: MiniLanguageModel, context: KVContext
) -> None:
    speech = [(ASK.opening, False), (SPEECH, False)]
    lead = ("\n\nQuestion: what?\nAnswer: that.\n\nQuestion:", False)
    expected, _ = stock_logprobs(folder, [HEAD, *speech, lead, (REPLY, False)])
    found = model.surprisal(context, REPLY, "\n\nQuestion: what?\nAnswer: that.")
    assert (-found - expected).abs().max() < 0.06


def test_nothing_that_follows_changes_a_context(
    model: MiniLanguageModel, context: KVContext
) -> None:
    before = model.scores(context, REQUEST, [REPLY])[0], model.surprisal(context, SPEECH)
    tokens = context.tokens
    reply(model, context)
    abandoned = model.generate(context, REQUEST, max_tokens=9, temperature=0.0, seed=0)
    next(abandoned, None)
    after = model.scores(context, REQUEST, [REPLY])[0], model.surprisal(context, SPEECH)
    assert context.tokens == tokens
    assert all(torch.equal(first, second) for first, second in zip(before, after, strict=True))


def test_markup_in_a_transcript_is_text(model: MiniLanguageModel, folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for markup in CONTROL:
        [control] = tokenizer.encode(markup, add_special_tokens=False)
        found = model.tokenize(f"a{markup}b")
        assert control not in found
        assert tokenizer.decode(found) == f"a{markup}b"


def test_a_reply_holds_no_half_characters_at_the_end_of_a_piece(
    model: MiniLanguageModel, context: KVContext
) -> None:
    for seed in range(5):
        pieces = list(model.generate(context, REQUEST, max_tokens=30, temperature=2.0, seed=seed))
        assert pieces
        assert not any(piece.endswith("\ufffd") for piece in pieces)


def test_a_loop_stops(tmp_path: Path) -> None:
    echo = MiniLanguageModel(converted(tmp_path, echo=True))
    context = echo.read(ASK, echo.embed(echo.tokenize("a")))
    said = reply(echo, context, tokens=500)
    assert 1 <= len(said) < 40


def test_a_limit_on_tokens_holds(model: MiniLanguageModel, context: KVContext) -> None:
    assert reply(model, context, tokens=0) == ""
    pieces = list(model.generate(context, REQUEST, max_tokens=3, temperature=1.0, seed=1))
    assert len(pieces) <= 3


def test_a_tied_model_gives_the_same_weights(tmp_path: Path, folder: Path) -> None:
    tied = load_file(converted(tmp_path, tied=True) / "model.safetensors")
    untied = load_file(folder / "model.safetensors")
    assert tied.keys() == untied.keys()
    assert "model.embed_tokens.weight" not in tied
    assert torch.equal(tied["lm_head.weight"], untied["lm_head.weight"])


@pytest.mark.parametrize("lost", ["model.layers.1.mlp.up_proj.scale", "model.norm.weight"])
def test_a_lost_tensor_is_named(tmp_path: Path, folder: Path, lost: str) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    del tensors[lost]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(DamagedWeights, match=lost.replace(".", r"\.")):
        MiniLanguageModel(tmp_path)


@pytest.mark.parametrize("rope_scale", [1.0, 3.5])
@pytest.mark.parametrize("pieces", [(1,), (9,), (9, 1, 1), (5, 7, 1, 3)], ids=str)
def test_layers_are_those_of_transformers(
    model: MiniLanguageModel, pieces: tuple[int, ...], rope_scale: float
) -> None:
    network = model.body
    assert isinstance(network, Qwen2)
    theirs = TransformersBody(stock_layers(network, lambda layer: layer))
    dice = torch.Generator().manual_seed(3)
    mine, others = KVCache.empty(LAYERS), KVCache.empty(LAYERS)
    with torch.inference_mode():
        for n in pieces:
            x = torch.randn(n, HIDDEN, generator=dice)
            before = x.clone()
            found = network.read(x, mine, rope_scale)
            expected = theirs.read(x, others, rope_scale)
            assert torch.equal(x, before)
            # A level of 8 bits may go the other way.
            torch.testing.assert_close(found, expected, rtol=0, atol=0.05)
            assert (found - expected).norm() < 0.01 * expected.norm()
    for layer, other in zip(mine.layers, others.layers, strict=True):
        for states, expected in zip(layer.states, other.states, strict=True):
            assert (states - expected).norm() < 0.01 * expected.norm()


def test_int8_layers_are_not_trained(model: MiniLanguageModel) -> None:
    with pytest.raises(NotImplementedError, match="no gradients"):
        model.through(torch.zeros(1, 1, HIDDEN), torch.zeros(1, 1), torch.ones(1, 1))


@pytest.mark.parametrize("text", ["", "a réglage\t42\n\n é", f"x{CONTROL[2]}y", "日本 👩‍🚀 don't"])
@pytest.mark.parametrize("split", [False, True])
def test_the_tokenizer_is_that_of_transformers(folder: Path, text: str, split: bool) -> None:
    mine, theirs = ChatTokenizer(folder), AutoTokenizer.from_pretrained(folder)
    ids = mine.encode(text, split_special_tokens=split)
    assert ids == theirs.encode(text, add_special_tokens=False, split_special_tokens=split)
    # And the next text is read as it asks for.
    assert mine.encode(CONTROL[2]) == theirs.encode(CONTROL[2], add_special_tokens=False)
    for skip in (False, True):
        found = mine.decode(ids, skip_special_tokens=skip)
        assert found == theirs.decode(ids, skip_special_tokens=skip)


def test_the_template_may_lie_in_the_settings(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    template = (tmp_path / "copy" / "chat_template.jinja").read_text()
    (tmp_path / "copy" / "chat_template.jinja").unlink()
    settings = json.loads((tmp_path / "copy" / "tokenizer_config.json").read_text())
    settings["chat_template"] = template
    (tmp_path / "copy" / "tokenizer_config.json").write_text(json.dumps(settings))
    messages = [{"role": "user", "content": "Who?"}]
    one, other = ChatTokenizer(folder), ChatTokenizer(tmp_path / "copy")
    assert one.apply_chat_template(messages) == other.apply_chat_template(messages)


@pytest.mark.parametrize("damage", ["tokenizer.json", "config.json", "model.safetensors"])
def test_a_damaged_file_is_told(folder: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / damage).write_text("{")
    with pytest.raises(DamagedWeights, match="pull it again"):
        MiniLanguageModel(tmp_path / "copy")


def test_int8_levels_are_within_half_a_step() -> None:
    weight = torch.randn(24, 64, generator=torch.Generator().manual_seed(0))
    weight[3] = 0
    levels, scale = quantise(weight)
    assert levels.dtype == torch.int8
    off = (levels.float() * scale[:, None] - weight).abs()
    assert (off <= scale[:, None] * 0.5001).all()
    assert torch.equal(Int8Embedding(levels, scale)(torch.tensor([3])), torch.zeros(1, 64))


@pytest.mark.parametrize("shape", [(1, HIDDEN), (1, 1, HIDDEN), (7, HIDDEN), (2, 5, HIDDEN)])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("multiplies", [False, True])
def test_an_int8_layer_is_near_its_float_one(
    shape: tuple[int, ...], biased: bool, multiplies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = torch.Generator().manual_seed(1)
    weight = torch.randn(48, HIDDEN, generator=dice)
    bias = torch.randn(48, generator=dice) if biased else None
    levels, scale = quantise(weight)
    x = torch.randn(shape, generator=dice)
    exact = torch.nn.functional.linear(x, levels.float() * scale[:, None], bias)
    monkeypatch.setattr(int8, "multiplies_int8", lambda: multiplies)
    found = Int8Linear(levels, scale, bias)(x)
    assert found.shape == exact.shape
    assert found.dtype == torch.float32
    assert (found - exact).norm() / exact.norm() < 0.012


def test_a_huge_token_costs_the_others_nothing() -> None:
    dice = torch.Generator().manual_seed(2)
    layer = Int8Linear(*quantise(torch.randn(48, HIDDEN, generator=dice)), None)
    x = torch.randn(4, HIDDEN, generator=dice)
    alone = layer(x)[1:]
    x[0] *= 5000
    assert torch.equal(layer(x)[1:], alone)


def _multiplied(layer: Int8Linear, rows: int, times: int) -> None:
    for _ in range(times):
        layer(torch.ones(rows, HIDDEN))


@pytest.mark.skipif(not multiplies_int8(), reason="this processor has no products of int8")
@pytest.mark.parametrize("rows", [1, 3, 8, 40, 200])
def test_packed_weights_multiply_to_the_same_bits(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "memory", lambda: Memory(10**11, 10**11))
    dice = torch.Generator().manual_seed(3)
    layer = Int8Linear(*quantise(torch.randn(48, HIDDEN, generator=dice)), None)
    x = torch.randn(rows, HIDDEN, generator=dice)
    before = layer(x)
    # One row, and many, lose nothing by the order of the file.
    _multiplied(layer, 1, 100)
    _multiplied(layer, 65, 100)
    assert layer._packed is None
    _multiplied(layer, 2, 60)
    assert layer._packed is not None
    assert torch.equal(layer(x), before)


@pytest.mark.parametrize("short", [None, Memory(2 * 10**9, 10**11)])
def test_weights_stay_as_they_are_where_memory_may_be_short(
    short: Memory | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "memory", lambda: short)
    layer = Int8Linear(torch.ones(48, HIDDEN, dtype=torch.int8), torch.ones(48), None)
    _multiplied(layer, 2, 100)
    assert layer._packed is None


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, AttributeError])
def test_weights_that_cannot_be_packed_stay_as_they_are(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Tensor] = []

    def fail(weight: Tensor) -> None:
        tries.append(weight)
        raise error

    monkeypatch.setattr(int8, "memory", lambda: Memory(10**11, 10**11))
    monkeypatch.setattr(int8, "multiplies_int8", lambda: True)
    monkeypatch.setattr(int8, "PackedWeight", fail)
    layer = Int8Linear(torch.ones(48, HIDDEN, dtype=torch.int8), torch.ones(48), None)
    _multiplied(layer, 2, 200)
    assert len(tries) == 1
    assert layer(torch.ones(2, HIDDEN)).shape == (2, 48)
