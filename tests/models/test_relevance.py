"""Which sentences a question is about."""

from __future__ import annotations

import numpy as np
import pytest

from fls_models.answering.readers.relevance import Relevance

LECTURE = [
    "Good evening and welcome.",
    "The council planted two thousand trees along the harbor streets.",
    "It was a hot summer and nobody slept.",
    "Helen Ward measured the temperature of the ground.",
    "Thank you for listening.",
]


@pytest.mark.parametrize(
    ("question", "nearest"),
    [
        ("How many trees were planted?", 1),
        ("What did Ward measure?", 3),
        ("Who was planting a tree?", 1),
        ("Was the summer hot?", 2),
    ],
)
def test_the_sentence_that_a_question_is_about_is_nearest(question: str, nearest: int) -> None:
    assert int(Relevance(LECTURE).to(question).argmax()) == nearest


def test_nearness_is_between_0_and_1_and_shared_with_neighbours() -> None:
    near = Relevance(LECTURE).to("Helen Ward measured the temperature of the ground.")
    assert ((near >= 0) & (near <= 1)).all()
    assert near[3] > near[2] > 0
    assert near[4] > near[0]


def test_a_question_about_something_else_is_near_nothing() -> None:
    assert not Relevance(LECTURE).to("xylophone zzz?").any()
    assert not Relevance(LECTURE).to("???").any()


def test_similarity_is_that_of_directions() -> None:
    alike = Relevance(LECTURE).similarity()
    assert alike.shape == (5, 5)
    np.testing.assert_allclose(alike, alike.T)
    np.testing.assert_allclose(np.diag(alike), 1.0)
    assert (alike >= 0).all()
    assert (alike <= 1 + 1e-9).all()


def test_the_central_sentence_is_the_one_that_others_repeat() -> None:
    said = ["Bees live on the roof.", "The bees on the roof make honey.", "I like trains."]
    central = Relevance([*said, "Honey of bees on a roof is sweet."]).centrality()
    assert int(central.argmin()) == 2


@pytest.mark.parametrize(
    ("said", "question"),
    [
        (["Die Bäckerei backt Brot.", "Der Zug hält in Halle."], "Wo hält der Zug?"),
        (["面包店每天早上烤面包。", "火车停在海边的车站。"], "火车停在哪里"),
        (["Пекарня печёт хлеб.", "Поезд стоит на станции."], "Где стоит поезд?"),
    ],
)
def test_it_works_in_any_script(said: list[str], question: str) -> None:
    assert int(Relevance(said).to(question).argmax()) == 1


@pytest.mark.parametrize("said", [[], ["..."], ["...", "?!"], [""]])
def test_nothing_said_is_near_nothing(said: list[str]) -> None:
    relevance = Relevance(said)
    assert relevance.to("Who?").shape == (len(said),)
    assert not relevance.to("Who?").any()
    assert not relevance.centrality().any()
    assert relevance.similarity().shape == (len(said), len(said))
