"""Which words are whose: by time, but no word alone in somebody else's sentence."""

from __future__ import annotations

import pytest

from fls_models.core.results import Sentence, Transcript, Word
from fls_models.speakers.assignment import with_speakers
from fls_models.speakers.turn import SpeakerTurn


def transcript(*sentences: str, start: float = 0.0) -> Transcript:
    """A word each half second of 0.4 s, sentences a second apart."""
    made, at = [], start
    for sentence in sentences:
        words = []
        for text in sentence.split():
            words.append(Word(at, at + 0.4, " " + text, 0.9))
            at += 0.5
        made.append(Sentence(tuple(words)))
        at += 0.5
    return Transcript("en", tuple(made), at)


def said(found: Transcript) -> list[tuple[str | None, str]]:
    return [(sentence.speaker, sentence.text) for sentence in found.sentences]


def turns(*spans: tuple[float, float, str]) -> list[SpeakerTurn]:
    return [SpeakerTurn(*span) for span in spans]


def test_sentences_have_speakers() -> None:
    whole = transcript("We need more room.", "How much more?", "Two rooms.")
    found = with_speakers(whole, turns((0, 2, "S1"), (2.4, 4.0, "S2"), (4.4, 6, "S1")))
    assert said(found) == [
        ("S1", "We need more room."),
        ("S2", "How much more?"),
        ("S1", "Two rooms."),
    ]
    assert all(
        word.speaker == sentence.speaker for sentence in found.sentences for word in sentence.words
    )


def test_a_sentence_is_cut_where_the_speaker_changes() -> None:
    whole = transcript("we need more room yes but how much")
    found = with_speakers(whole, turns((0, 2, "S1"), (2, 4, "S2")))
    assert said(found) == [("S1", "we need more room"), ("S2", "yes but how much")]


@pytest.mark.parametrize("late", [-0.4, -0.2, 0.2, 0.4])
def test_a_change_goes_to_the_end_of_the_sentence(late: float) -> None:
    whole = transcript("We need more room. Yes but how much?")
    found = with_speakers(whole, turns((0, 1.95 + late, "S1"), (1.95 + late, 4, "S2")))
    assert said(found) == [("S1", "We need more room."), ("S2", "Yes but how much?")]


def test_no_word_stands_alone_in_a_sentence_of_somebody_else() -> None:
    whole = transcript("we need more room than that")
    found = with_speakers(whole, turns((0, 1.0, "S1"), (1.0, 1.4, "S2"), (1.4, 3, "S1")))
    assert said(found) == [("S1", "we need more room than that")]


def test_a_short_reply_is_its_speakers() -> None:
    whole = transcript("We need more room.", "Yes.", "How much?")
    found = with_speakers(whole, turns((0, 2, "S1"), (2.4, 2.95, "S2"), (3.4, 5, "S1")))
    assert said(found)[1] == ("S2", "Yes.")


def test_words_in_nobodys_turn_go_to_whoever_is_near() -> None:
    whole = transcript("Hello there.", "Who is it?", start=10.0)
    found = with_speakers(whole, turns((2, 3, "S1"), (9.0, 9.8, "S2"), (13, 15, "S3")))
    assert [speaker for speaker, _ in said(found)] == ["S2", "S3"]


def test_without_turns_nothing_changes() -> None:
    whole = transcript("Hello.")
    assert with_speakers(whole, []) is whole
    nothing = Transcript(None, (), 3.0)
    assert with_speakers(nothing, turns((0, 1, "S1"))) is nothing


def test_where_two_speak_it_is_one_of_them() -> None:
    whole = transcript("We need more room.", "Yes.")
    found = with_speakers(whole, turns((0, 3, "S1"), (2.4, 3, "S2")))
    assert said(found)[0] == ("S1", "We need more room.")
    assert {speaker for speaker, _ in said(found)} <= {"S1", "S2"}
