"""Answers name what was said, and what was said of the thing that is asked about."""

from __future__ import annotations

import pytest

from fls_models.answering.readers.grounds import Grounds, asks_for_one_thing
from fls_models.answering.readers.text import Phrase
from fls_models.core.results import Span

SAID = [
    "The opera 'Arctic Light' premiered in Norway, with a choir of holograms.",
    "It cost two million dollars.",
    "Now, let us turn to bridges.",
    "The oldest bridge of the valley was built by stone masons.",
    "Nobody knows how they did it without cranes.",
    "A company from Lyon wants to find out with LINC-PINT, its new scanner.",
    "Its head is Dr. Lin Wu, who used to work for Stanford.",
    "She began with 45 stones.",
]


def grounds(
    said: list[str] = SAID,
    *,
    names: bool = True,
    numbers: bool = True,
    speaker: str | None = None,
) -> Grounds:
    phrases = [Phrase(range(1), Span(n, n + 1), text, speaker) for n, text in enumerate(said)]
    return Grounds(phrases, names=names, numbers=numbers)


@pytest.mark.parametrize(
    ("question", "sentence", "holds"),
    [
        ("Where did 'Arctic Light' premiere?", "It premiered in Norway.", True),
        ("Who composed 'Arctic Light'?", "'Arctic Light' was composed by Verdi.", False),
        # Said, but of something else.
        ("Who composed 'Arctic Light'?", "'Arctic Light' was composed by Lin Wu.", False),
        ("How much did 'Arctic Light' cost?", "'Arctic Light' cost $2 million.", True),
        ("How much did 'Arctic Light' cost?", "'Arctic Light' cost $3 million.", False),
        ("How much did 'Arctic Light' cost?", "'Arctic Light' cost 45 dollars.", False),
        ("Which scanner is new?", "LINC-PINT", True),
        # What is counted need not be said.
        ("How many things were bought?", "Four things were bought.", True),
        ("How many things were bought?", "Forty things were bought.", False),
        # Other words of the answer lead there, too.
        ("Who is meant?", "Lin Wu, who is the head of a company from Lyon.", True),
        ("Does a company build it?", "Yes, Lin Wu of Stanford does.", True),
        # Half of the names, at least.
        ("Who is the head?", "Lin Wu of Norway.", True),
        ("Who is the head?", "Lin Wu of Berlin.", False),
        # Names of the question are no matter.
        ("Did Angela Merkel speak?", "Angela Merkel did not speak.", True),
        ("What was built?", "A bridge.", True),
    ],
)
def test_names_and_numbers_are_said_near_what_is_asked(
    question: str, sentence: str, holds: bool
) -> None:
    assert grounds().hold(sentence, question) is holds


def test_what_is_not_looked_at_holds() -> None:
    question = "Who composed 'Arctic Light', and in how many years?"
    for names in (True, False):
        for numbers in (True, False):
            held = grounds(names=names, numbers=numbers)
            assert held.hold("It was composed by Verdi.", question) is not names
            assert held.hold("They took 17 years.", question) is not numbers


def test_who_speaks_is_known() -> None:
    spoken = grounds(["I will bring the cake."], speaker="Anna")
    assert spoken.hold("Anna will bring the cake.", "Who brings the cake?")
    assert not spoken.hold("The cake Peter will bring.", "Who brings the cake?")


@pytest.mark.parametrize(
    ("question", "text", "answers"),
    [
        ("By what share was the delay cut?", "It was cut noticeably.", False),
        ("How many bridges are closed?", "None of them is closed.", True),
        ("How many bridges are closed?", "Several bridges.", True),
        ("How many trees along how many streets?", "Trees along 31 streets.", False),
        ("How many trees along how many streets?", "2,400 along 31 streets.", True),
        ("How many bridges are closed?", "Forty-two bridges are closed.", True),
        ("How much did it cost?", "It was expensive.", False),
        ("What is the name of the scanner?", "The scanner is new.", False),
        ("What is the name of the scanner?", "The scanner is LINC-PINT.", True),
        ("Which company built it?", "A company from Lyon built it.", True),
        ("Which company built it?", "The company built it.", False),
        ("Why did it close?", "It was old.", True),
        ("Wie viele Brücken sind es?", "Es sind einige.", False),
        ("Combien de ponts ?", "Il y en a 45.", True),
    ],
)
def test_what_is_of_the_kind_that_is_asked_for(question: str, text: str, answers: bool) -> None:
    assert grounds().answer(text, question) is answers


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who is the head?", True),
        ("How much did it cost?", True),
        ("Wie heißt die Firma?", True),
        ("What was built?", False),
        ("Why did it close?", False),
    ],
)
def test_what_asks_for_one_thing(question: str, expected: bool) -> None:
    assert asks_for_one_thing(question) is expected


@pytest.mark.parametrize(
    ("language", "said", "answer", "holds"),
    [
        ("German", "Jede Nacht backen wir hundertachtzig Brote.", "Es sind 180 Brote.", True),
        ("German", "Jede Nacht backen wir hundertachtzig Brote.", "Es sind 80 Brote.", False),
        ("German", "Jede Nacht backen wir achtzig Brote.", "Es sind 8 Brote.", False),
        ("French", "La nuit, nous faisons cent quatre-vingts pains.", "Il y a 180 pains.", True),
        ("Spanish", "Cada noche hacemos cuarenta y seis panes.", "Son 46 panes.", True),
        ("Spanish", "Cada noche hacemos 46 panes.", "Son 46 panes.", True),
        ("Finnish", "Joka yö leivomme neljä leipää.", "Leipiä on 4.", False),
    ],
)
def test_numbers_may_be_spelt_out(language: str, said: str, answer: str, holds: bool) -> None:
    phrases = [Phrase(range(1), Span(0, 1), said)]
    held = Grounds(phrases, names=False, numbers=True, language=language)
    assert held.hold(answer, "?") == holds


@pytest.mark.parametrize(
    ("language", "answer", "holds"),
    [
        ("German", "Der Turm hat zweihundertvierzig Stufen.", True),
        ("German", "Der Turm hat hundertvierzig Stufen.", True),
        ("German", "Der Turm hat eine und noch eine Stufe.", False),
        ("French", "La tour compte deux cent quarante marches.", True),
        ("French", "Une tour et une marche.", False),
        ("Spanish", "La torre tiene 240 escalones.", True),
        ("Spanish", "La torre tiene una y otra.", False),
        ("English", "The tower has two hundred and forty steps.", True),
    ],
)
def test_a_number_that_is_spelt_out_is_one(language: str, answer: str, holds: bool) -> None:
    questions = {
        "German": "Wie viele Stufen?",
        "French": "Combien de marches ?",
        "Spanish": "¿Cuántos escalones?",
        "English": "How many steps?",
    }
    held = Grounds([], names=False, numbers=True, language=language)
    assert held.answer(answer, questions[language]) == holds
