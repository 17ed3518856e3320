"""The text reader: what of a transcript the language model gets, in which passes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_talk import Letters, transcript, written

from fls_models.answering.readers.text import ModelInput, Phrase, TextReader, quotation
from fls_models.core.budget import Budget
from fls_models.core.results import Sentence, Span, Transcript, Word

SAID = [
    "Good evening and welcome to all of you.",
    "The council planted two thousand trees along the harbor.",
    "It was a hot summer.",
    "Helen Ward measured the temperature of the ground.",
    "Thank you for listening.",
]
ALL = Budget("accurate")


def reader(said: Transcript, most: int = 10_000) -> TextReader:
    return TextReader(Letters(), said, most)  # type: ignore[arg-type]


def test_all_of_it_is_read_when_the_budget_pays_for_all() -> None:
    [reading] = reader(transcript(SAID)).readings(ALL, "Who?")
    assert written(reading.embeddings) == "".join(f" {text}" for text in SAID)
    assert [phrase.text for phrase in reading.phrases] == SAID
    assert len(reading) == len(reading.spans) == len(reading.embeddings)


def test_each_token_has_the_time_of_its_word() -> None:
    [reading] = reader(transcript(SAID[:1])).readings(ALL, None)
    spoken = " Good evening"
    times = [[0.0, 0.25]] * len(" Good") + [[0.25, 0.5]] * len(" evening")
    assert reading.spans[: len(spoken)].tolist() == times
    assert reading.spans.dtype == torch.float64


def test_a_script_without_spaces_gets_one_between_sentences_only() -> None:
    words = tuple(Word(float(i), i + 1.0, letter, 1.0) for i, letter in enumerate("火车停"))
    said = Transcript("zh", (Sentence(words), Sentence(words)), 6.0)
    [reading] = reader(said).readings(ALL, None)
    assert written(reading.embeddings) == " 火车停 火车停"


def test_a_small_budget_keeps_what_the_question_is_about() -> None:
    found = reader(transcript(SAID))
    budget = Budget(target_length=len(SAID[1]) + 5)
    assert 1 in found.selected(budget, "How many trees were planted?")
    assert 3 in found.selected(budget, "What did Helen Ward measure?")


def test_what_is_kept_stays_in_order_and_within_the_budget() -> None:
    found = reader(transcript(SAID * 20))
    for length in (60, 200, 1000, 3000):
        kept = found.selected(Budget(target_length=length), "Which trees?")
        assert kept == sorted(set(kept))
        assert sum(len(SAID[index % 5]) + 1 for index in kept) <= length


def test_at_least_one_sentence_is_read() -> None:
    found = reader(transcript(SAID))
    assert len(found.selected(Budget(target_length=1), "How many trees?")) == 1
    assert len(found.readings(Budget(target_length=1), None)) == 1


def test_the_same_question_keeps_the_same_sentences() -> None:
    same = transcript(["All the same words."] * 30)
    kept = [reader(same).selected(Budget(target_length=100), "Same?") for _ in range(2)]
    assert kept[0] == kept[1]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    most=st.integers(40, 400),
)
def test_passes_cover_all_in_order_and_are_near_each_other_in_length(
    lengths: list[int], most: int
) -> None:
    said = transcript(["x" * length for length in lengths])
    readings = reader(said, most).readings(ALL, None)
    assert " ".join(reading.text for reading in readings) == said.text
    assert sum(map(len, readings)) == sum(length + 1 for length in lengths)
    longest = max(lengths) + 1
    # A section is cut between sentences, so by at most one of them beyond its share.
    assert max(map(len, readings)) <= most + longest


def test_nothing_said_is_nothing_to_read() -> None:
    assert reader(Transcript(None, (), 5.0)).selected(ALL, "Who?") == []


def test_a_reading_has_a_span_for_each_embedding() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        ModelInput(torch.zeros(3, 2), torch.zeros(2, 2), (Phrase(range(3), Span(0, 1)),))


@pytest.mark.parametrize("rows", [[range(2)], [range(1), range(2, 3)], [range(2), range(1, 3)]])
def test_phrases_divide_a_reading(rows: list[range]) -> None:
    phrases = tuple(Phrase(one, Span(0, 1)) for one in rows)
    with pytest.raises(ValueError, match="must divide 3 embeddings"):
        ModelInput(torch.zeros(3, 2), torch.zeros(3, 2), phrases)


def by(speakers: str, said: Transcript) -> Transcript:
    """The transcript with a speaker for each sentence."""
    sentences = tuple(
        Sentence(tuple(replace(word, speaker=speaker) for word in sentence.words))
        for sentence, speaker in zip(said.sentences, speakers, strict=True)
    )
    return replace(said, sentences=sentences)


def test_each_sentence_is_read_with_its_speaker() -> None:
    [reading] = reader(by("AABA", transcript(SAID[:4]))).readings(ALL, "Who?")
    expected = f"A: {SAID[0]}\nA: {SAID[1]}\nB: {SAID[2]}\nA: {SAID[3]}"
    assert written(reading.embeddings) == expected
    assert [phrase.speaker for phrase in reading.phrases] == [*"AABA"]
    # A name is said when its sentence begins; in a quotation, where another spoke before.
    assert reading.spans[0].tolist() == [0.0, 0.0]
    assert reading.text == f"A: {SAID[0]} {SAID[1]} B: {SAID[2]} A: {SAID[3]}"
    assert quotation(reading.phrases[1:3]) == f"A: {SAID[1]} B: {SAID[2]}"
