"""What stands before the model's eyes, and answers that say nothing."""

from __future__ import annotations

import pytest
from scribe import Scribe
from tiny_talk import Letters, Verdicts, model, transcript

from fls_models.answering.answerer import Answerer
from fls_models.answering.generation import GenerationConfig
from fls_models.answering.readers.sight import HeldBack, adds_something, nearest
from fls_models.answering.readers.text import ModelInput, TextReader
from fls_models.core.budget import Budget
from fls_models.core.results import NOT_SAID

SAID = [
    "Good morning to all of you.",
    "The bridge over the Lune was closed in May.",
    "Its cables were rusty.",
    "Trams go round by Mill Street.",
    "We hope for better weather.",
]
QUESTION = "When was the bridge closed?"


def reading(count: int = len(SAID)) -> ModelInput:
    reader = TextReader(Letters(), transcript(SAID[:count]), 5000)  # type: ignore[arg-type]
    [whole] = reader.readings(Budget("accurate"), None)
    return whole


def test_the_nearest_sentences_stand_in_their_order() -> None:
    # Those beside the nearest have a third of it; of two, the one behind it.
    assert nearest(reading(), QUESTION) == f"{SAID[1]} {SAID[2]}"
    assert nearest(reading(), "Wo ist Zug?") == ""
    # Of three sentences all are in sight.
    assert nearest(reading(3), QUESTION) == ""


@pytest.mark.parametrize(
    ("answer", "question", "adds"),
    [
        ("The recent change was discussed in the meeting.", "What recent change was made?", False),
        ("It was closed in May.", QUESTION, True),
        ("The bridge was closed.", QUESTION, False),
        ("", QUESTION, False),
        ("None of them is closed.", "How many bridges are closed?", True),
        ("42", "How many bridges are closed?", True),
        ("No.", "Is the bridge closed?", True),
        ("Yes, the bridge is closed.", "Is the bridge closed?", True),
        ("Die Brücke wurde im Mai gesperrt.", "Wann wurde die Brücke gesperrt?", True),
    ],
)
def test_what_adds_something(answer: str, question: str, adds: bool) -> None:
    assert adds_something(answer, question) is adds


def held_back(shown: list[str]) -> HeldBack:
    return HeldBack(
        lambda text: adds_something(text, QUESTION), lambda text: "2031" not in text, shown.append
    )


def test_an_answer_is_shown_from_where_it_says_something() -> None:
    shown: list[str] = []
    held = held_back(shown)
    for piece in ("The", " bridge was", " closed. It", " was", " in M", "ay. Of"):
        held(piece)
    assert shown == ["The bridge was closed. It was in May. "]
    for piece in (" 2031 nothing is", " said. Trams", " go round."):
        held(piece)
    assert held.finish() == "The bridge was closed. It was in May. Trams go round."
    assert "".join(shown) == held.finish()


def test_the_lines_of_a_list_are_shown_one_by_one() -> None:
    shown: list[str] = []
    held = held_back(shown)
    held("- in May\n- in 2031\n- in June")
    assert held.finish() == "- in May\n- in June"
    assert shown == ["- in May\n", "- in June"]


def test_an_answer_that_says_nothing_is_not_shown() -> None:
    shown: list[str] = []
    held = held_back(shown)
    held("The bridge was closed.")
    assert held.finish() == ""
    unsaid = held_back(shown)
    unsaid("In 2031")
    assert unsaid.finish() == ""
    assert shown == []


@pytest.mark.parametrize(
    ("replies", "answer"),
    [
        (("It was closed in May.", "never asked"), "It was closed in May."),
        (("The bridge was closed.", "In May, they say."), "In May, they say."),
        (("The bridge was closed.", "The closed bridge."), f"{SAID[1]} {SAID[2]}"),
        (("In 2031 it was closed.", "In May, they say."), "In May, they say."),
        (("It was closed by Angela Merkel.", "In June 1999."), f"{SAID[1]} {SAID[2]}"),
    ],
)
def test_an_answer_that_says_nothing_is_written_once_more_then_quoted(
    replies: tuple[str, str], answer: str
) -> None:
    requests: list[str] = []

    def reply(said: str, request: str) -> str:
        requests.append(request)
        return replies[0] if "Said there:" in request else replies[1]

    llm = Scribe(reply)
    shown: list[str] = []
    asked = Answerer(
        model(llm, Verdicts(llm, 1.0), 5000),  # type: ignore[arg-type]
        "talk.wav",
        transcript(SAID),
        heard_in={},
        budget=Budget("accurate"),
        generation=GenerationConfig(),
    ).answer(QUESTION, shown.append)
    assert asked.answer == "".join(shown) == answer
    assert asked.evidence == ()
    assert requests[0].startswith('\n\nSaid there: "The bridge over the Lune')
    assert len(requests) == (1 if answer == replies[0] else 2)


@pytest.mark.parametrize("question", ["Who closed the bridge?", "How many closed the bridge?"])
def test_what_was_not_said_is_no_answer(question: str) -> None:
    llm = Scribe(lambda said, request: "The bridge was closed by the 2031 men of Angela Merkel.")
    shown: list[str] = []
    asked = Answerer(
        model(llm, Verdicts(llm, 1.0), 5000),  # type: ignore[arg-type]
        "talk.wav",
        transcript([*SAID[:1], "The bridge over the river was closed.", *SAID[2:]]),
        heard_in={},
        budget=Budget("accurate"),
    ).answer(question, shown.append)
    assert not asked.answered
    assert asked.answer == "".join(shown) == NOT_SAID


def test_a_question_about_any_recording_is_put_as_it_is() -> None:
    requests: list[str] = []

    def reply(said: str, request: str) -> str:
        requests.append(request)
        return "About a bridge."

    llm = Scribe(reply)
    verdicts = Verdicts(llm, 1.0)  # type: ignore[arg-type]
    verdicts.general = 1.0
    recording = transcript(SAID)
    answerer = Answerer(
        model(llm, verdicts, 5000), "talk.wav", recording, heard_in={}, budget=Budget("accurate")
    )
    assert answerer.answer("What is said about the bridge?").answer == "About a bridge."
    assert "Said there:" not in requests[0]
