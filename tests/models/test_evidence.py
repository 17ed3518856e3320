"""Passages that an answer rests on, from where the language model looks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from tiny_talk import tiny_language_model
from torch import Tensor

from fls_models.answering.evidence import MAX_SECONDS, PassAttention, passages
from fls_models.answering.readers.text import ModelInput, Phrase
from fls_models.core.results import Passage, Span
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.lslm.mini.network import Qwen2
from fls_models.lslm.prompts import ASK, question
from fls_models.training.compression.trainable_mini import stock_layers

REQUEST = question("Which letters are there?")


def looked(
    weights: Sequence[float], seconds: float = 5.0, first: float = 0.0, each: int = 2
) -> PassAttention:
    """Phrases of so many seconds and `each` embeddings, looked at so much in sum."""
    phrases, spans, rows = [], [], []
    for place, weight in enumerate(weights):
        start = first + place * seconds
        span = Span(start, start + seconds)
        phrases.append(Phrase(range(place * each, (place + 1) * each), span, f"phrase {place}"))
        spans += [
            [start + seconds * row / each, start + seconds * (row + 1) / each]
            for row in range(each)
        ]
        rows += [weight / each] * each
    reading = ModelInput(
        torch.zeros(len(rows), 3), torch.tensor(spans, dtype=torch.float64), tuple(phrases)
    )
    # Layers below the upper ones look elsewhere: they do not count.
    below = torch.rand(1, 4, len(rows), generator=torch.Generator().manual_seed(1))
    above = torch.tensor(rows).expand(2, 4, len(rows))
    return PassAttention(reading, torch.cat([below, above]))


def times(found: Sequence[Passage]) -> list[tuple[float, float]]:
    return [(one.span.start, one.span.end) for one in found]


def test_the_phrase_that_is_looked_at_most_comes_first() -> None:
    found = passages([looked([0.1, 0.1, 0.5, 0.1, 0.1, 0.3])], 3)
    assert times(found) == [(10.0, 15.0), (25.0, 30.0)]
    assert [one.text for one in found] == ["phrase 2", "phrase 5"]
    assert [one.share for one in found] == pytest.approx([0.5 / 1.2, 0.3 / 1.2])


def test_no_more_than_were_asked_for() -> None:
    weights = [0.5, 0.0, 0.4, 0.0, 0.45]
    assert times(passages([looked(weights)], 1)) == [(0.0, 5.0)]
    assert times(passages([looked(weights)], 2)) == [(0.0, 5.0), (20.0, 25.0)]
    assert times(passages([looked(weights)], 9)) == [(0.0, 5.0), (20.0, 25.0), (10.0, 15.0)]


def test_what_is_hardly_looked_at_is_no_evidence() -> None:
    assert times(passages([looked([0.5, 0.0, 0.2])], 3)) == [(0.0, 5.0)]


def test_neighbours_looked_at_as_much_are_one_passage() -> None:
    [found] = passages([looked([0.1, 0.3, 0.5, 0.3, 0.1])], 3)
    assert (found.span, found.text) == (Span(5.0, 20.0), "phrase 1 phrase 2 phrase 3")


def test_no_passage_is_longer_than_somebody_listens() -> None:
    found = sorted(times(passages([looked([0.3] * 40)], 99)))
    assert max(end - start for start, end in found) == MAX_SECONDS
    # All of it is looked at as much, and nothing is shown twice.
    assert found[0][0] == 0.0
    assert found[-1][1] == 200.0
    assert all(end == start for (_, end), (start, _) in pairwise(found))


def test_a_phrase_without_a_pause_is_cut() -> None:
    found = passages([looked([0.9], seconds=70.0, each=14)], 9)
    # The rest, 10 s, is looked at less.
    assert times(found) == [(0.0, 30.0), (30.0, 60.0)]
    assert {one.text for one in found} == {""}


def test_all_passes_are_compared() -> None:
    one = looked([0.1, 0.2])
    other = looked([0.1, 0.6], first=100.0)
    found = passages([one, other], 2)
    assert times(found) == [(105.0, 110.0)]
    assert found[0].share == pytest.approx(0.6)


def test_a_passage_is_as_strong_as_its_strongest_phrase() -> None:
    found = passages([looked([0.3, 0.3, 0.0, 0.0, 0.5])], 3)
    assert times(found) == [(20.0, 25.0), (0.0, 10.0)]
    assert [one.share for one in found] == pytest.approx([0.5 / 1.1, 0.6 / 1.1])


def test_nothing_looked_at_is_no_evidence() -> None:
    assert passages([looked([0.0, 0.0])], 3) == ()
    assert passages([], 3) == ()


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> MiniLanguageModel:
    return tiny_language_model(tmp_path_factory.mktemp("tiny"))


def plainly(llm: MiniLanguageModel, recording: Tensor, reply: str) -> Tensor:
    """The attention of a reply's tokens, from the whole conversation at once."""
    embedded, _ = llm.conversation(ASK, recording, REQUEST, reply)
    said = len(llm.tokenize(reply))
    network = llm.body
    assert isinstance(network, Qwen2)
    stock = stock_layers(network, lambda layer: layer)
    stock.set_attn_implementation("eager")
    with torch.inference_mode():
        output = stock(inputs_embeds=embedded.unsqueeze(0), output_attentions=True)
    first = len(llm.opening(ASK))
    # Each token is written at the place before it; one that ends the reply follows.
    writing = slice(len(embedded) - said - 2, len(embedded) - 2)
    return torch.stack(
        [
            layer[0, :, writing, first : first + len(recording)].mean(1)
            for layer in output.attentions
        ]
    )


def test_attention_is_that_of_the_reply_as_it_is_written(llm: MiniLanguageModel) -> None:
    recording = llm.embed(llm.tokenize("a recording of some letters and of nothing else"))
    reply = "letters are there"
    context = llm.read(ASK, recording)
    found = llm.attention(context, REQUEST, reply)
    expected = plainly(llm, recording, reply)
    assert found.shape == expected.shape
    assert found.shape[2] == len(recording)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-3)
    assert (found.sum(-1) <= 1).all()


def test_looking_changes_nothing(llm: MiniLanguageModel) -> None:
    recording = llm.embed(llm.tokenize("a recording of some letters"))
    context = llm.read(ASK, recording)
    before = list(llm.generate(context, REQUEST, max_tokens=12))
    llm.attention(context, REQUEST, "some letters")
    assert context.tokens == len(llm.opening(ASK)) + len(recording)
    assert list(llm.generate(context, REQUEST, max_tokens=12)) == before


def test_one_token_and_earlier_turns(llm: MiniLanguageModel) -> None:
    recording = llm.embed(llm.tokenize("a recording of some letters"))
    context = llm.read(ASK, recording)
    token = llm._tokenizer.decode(llm.tokenize("letters")[:1])
    alone = llm.attention(context, REQUEST, token)
    after = llm.attention(context, REQUEST, token, [("Which?", "Some.")])
    assert alone.shape == after.shape
    assert not torch.allclose(alone, after)
