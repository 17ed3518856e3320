"""The language of a question, which names in it do not change."""

from __future__ import annotations

import pytest

from fls_models.answering.question_language import language_of
from fls_models.pipelines.cascade import CascadeModel
from fls_models.weights.store import Installed


class Deaf:
    """A language model that must not be needed."""

    def choose(self, *_: object) -> str:
        raise AssertionError("the script tells")


@pytest.mark.parametrize(
    ("question", "language"),
    [("谁开面包店?", "Chinese"), ("Кто печёт хлеб в Oak Hill?", "Russian"), ("Why?", "English")],
)
def test_the_script_tells(question: str, language: str) -> None:
    assert language_of(question, Deaf(), None) == language  # type: ignore[arg-type]


def test_of_names_alone_nothing_is_asked() -> None:
    assert language_of("Who, Maria Sanchez Garcia?", Deaf(), None) == "English"  # type: ignore[arg-type]


@pytest.mark.weights
def test_names_are_not_the_language(mini_weights: Installed) -> None:
    model = CascadeModel(mini_weights)
    nothing = model.answerability.nothing
    for question, language in {
        "Where did Maria go?": "English",
        "What does the French minister say?": "English",
        "What rare wildlife event occurred in the Sea of Cortez last month?": "English",
        "What was the increase found in the German study on flexible work hours?": "English",
        "Wer leitet die Bäckerei in Oak Hill?": "German",
        "Combien d'arbres Copper Bay a-t-elle plantés ?": "French",
        "Cuantos arboles plantaron en Mill Street?": "Spanish",
    }.items():
        assert language_of(question, model.language_model, nothing) == language, question
