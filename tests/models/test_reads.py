"""What was read is found again: exactly, only where it is the same, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from tiny_talk import tiny_language_model
from torch import Tensor

from fls_models.core.cache import NULL_CACHE, Cache, CacheKey
from fls_models.lslm import context_cache as reads_module
from fls_models.lslm.context_cache import KIND, ContextCache
from fls_models.lslm.kv_cache import KVContext
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.lslm.prompts import ASK, NOTES, Prompt

REQUEST = "\n\nQuestion: What is in the cellar?"
REPLY = " the thing in the house, and another one: réglage 42."


class Shelf:
    """A memory that can be looked into."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, kind: str, parts: CacheKey) -> bytes | None:
        return self.kept.get(f"{kind} {sorted(parts.items())}")

    def put(self, kind: str, parts: CacheKey, content: bytes) -> None:
        self.kept[f"{kind} {sorted(parts.items())}"] = content


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> MiniLanguageModel:
    return tiny_language_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def read(llm: MiniLanguageModel, monkeypatch: pytest.MonkeyPatch) -> list[Prompt]:
    """The prompts of what the model really read."""
    found: list[Prompt] = []
    original = MiniLanguageModel.read

    def count(self: MiniLanguageModel, prompt: Prompt, recording: Tensor, **how: Any) -> KVContext:
        found.append(prompt)
        return original(self, prompt, recording, **how)

    monkeypatch.setattr(MiniLanguageModel, "read", count)
    return found


def said(llm: MiniLanguageModel, text: str = "the tools in the cellar, and the one") -> Tensor:
    return llm.embed(llm.tokenize(text))


def test_unpacked_is_what_was_packed_to_the_last_bit(llm: MiniLanguageModel) -> None:
    context = llm.read(ASK, said(llm))
    again = llm.unpack(llm.pack(context), ASK)
    assert (again.tokens, again.bytes) == (context.tokens, context.bytes)
    for layer, other in zip(context.keys_values, again.keys_values, strict=True):
        for part, same in zip(layer, other, strict=True):
            assert part.dtype == same.dtype
            assert torch.equal(part, same)
    assert torch.equal(
        llm.scores(context, REQUEST, [REPLY])[0], llm.scores(again, REQUEST, [REPLY])[0]
    )
    assert torch.equal(llm.surprisal(context, REPLY), llm.surprisal(again, REPLY))
    for temperature in (0.0, 1.0):
        replies = [
            list(llm.generate(one, REQUEST, max_tokens=24, temperature=temperature, seed=3))
            for one in (context, again)
        ]
        assert replies[0] == replies[1]
        assert replies[0]
    # And neither was changed by what was asked of it.
    assert llm.pack(context) == llm.pack(again)


def test_what_was_read_is_read_once(llm: MiniLanguageModel, read: list[Prompt]) -> None:
    reads = ContextCache(llm, "tiny")
    assert reads.read(ASK, said(llm)) is reads.read(ASK, said(llm))
    assert read == [ASK]


def test_the_next_process_finds_it_in_the_memory(
    llm: MiniLanguageModel, read: list[Prompt]
) -> None:
    shelf = Shelf()
    first = ContextCache(llm, "tiny", shelf).read(ASK, said(llm))
    second = ContextCache(llm, "tiny", shelf).read(ASK, said(llm))
    assert read == [ASK]
    assert second is not first
    assert torch.equal(
        llm.scores(first, REQUEST, [REPLY])[0], llm.scores(second, REQUEST, [REPLY])[0]
    )
    assert second.prompt == ASK
    assert [name.split()[0] for name in shelf.kept] == [KIND]


@pytest.mark.parametrize("shelf", [None, Shelf], ids=["this process", "the next"])
@pytest.mark.parametrize(
    ("identity", "prompt", "text"),
    [
        ("other", ASK, "the tools"),
        ("tiny", NOTES, "the tools"),
        ("tiny", Prompt(ASK.system, ASK.opening + " "), "the tools"),
        ("tiny", Prompt(ASK.system + " ", ASK.opening), "the tools"),
        ("tiny", ASK, "the tool"),
        ("tiny", ASK, "the tools "),
    ],
)
def test_another_model_prompt_or_recording_is_read_anew(
    llm: MiniLanguageModel,
    read: list[Prompt],
    shelf: type[Shelf] | None,
    identity: str,
    prompt: Prompt,
    text: str,
) -> None:
    memory: Cache = shelf() if shelf else NULL_CACHE
    reads = ContextCache(llm, "tiny", memory)
    reads.read(ASK, said(llm, "the tools"))
    if shelf or identity != "tiny":
        reads = ContextCache(llm, identity, memory)
    found = reads.read(prompt, said(llm, text))
    assert read == [ASK, prompt]
    assert llm.pack(found) == llm.pack(llm.read(prompt, said(llm, text)))


def test_another_form_of_context_is_read_anew(
    llm: MiniLanguageModel, read: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    ContextCache(llm, "tiny", shelf).read(ASK, said(llm))
    monkeypatch.setattr(MiniLanguageModel, "context_form", "another")
    ContextCache(llm, "tiny", shelf).read(ASK, said(llm))
    assert len(read) == 2


def test_a_bit_more_in_an_embedding_is_another_recording(
    llm: MiniLanguageModel, read: list[Prompt]
) -> None:
    reads = ContextCache(llm)
    recording = said(llm)
    reads.read(ASK, recording)
    changed = recording.clone()
    changed[-1, -1] = torch.nextafter(changed[-1, -1], torch.tensor(9.0))
    reads.read(ASK, changed)
    assert len(read) == 2


def test_the_one_used_longest_ago_goes_first(
    llm: MiniLanguageModel, read: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["the one", "the two", "the ten"]
    sizes = {text: llm.read(ASK, said(llm, text)).bytes for text in texts}
    assert len(set(sizes.values())) == 1
    monkeypatch.setattr(reads_module, "_MAX_BYTES", 2 * sizes[texts[0]])
    reads = ContextCache(llm)
    one, two, ten = (said(llm, text) for text in texts)
    read.clear()
    reads.read(ASK, one)
    reads.read(ASK, two)
    reads.read(ASK, one)
    reads.read(ASK, ten)
    assert len(read) == 3
    reads.read(ASK, one)
    reads.read(ASK, ten)
    assert len(read) == 3
    reads.read(ASK, two)
    assert len(read) == 4


def test_one_that_is_larger_than_the_limit_stays_while_it_is_the_only_one(
    llm: MiniLanguageModel, read: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads_module, "_MAX_BYTES", 1)
    reads = ContextCache(llm)
    for _ in range(2):
        reads.read(ASK, said(llm))
    assert len(read) == 1
    reads.read(NOTES, said(llm))
    reads.read(ASK, said(llm))
    assert len(read) == 3
