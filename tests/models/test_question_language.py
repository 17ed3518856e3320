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


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("What does Martin do with the loaves that are not sold?", "English"),
        ("What happens to the loaves that go wrong?", "English"),
        ("Do those in El Paso agree on what La Niña is?", "English"),
        ("Wer leitet die Bäckerei, und seit wann?", "German"),
        ("Was hat die Sprecherin über den Honig gesagt?", "German"),
        ("Combien d'arbres la ville a-t-elle plantés dans les rues ?", "French"),
        ("¿Cuántos árboles plantó la ciudad en las calles?", "Spanish"),
        ("Quanti alberi ha piantato la città nelle strade?", "Italian"),
        ("Quantas árvores a cidade plantou e onde não há sombra?", "Portuguese"),
        ("Hoeveel bomen zijn er door de stad geplant, en waarom?", "Dutch"),
        ("Ile drzew posadzono w mieście i dlaczego nie więcej?", "Polish"),
        ("Bu konuşmada kim ne diyor?", "Turkish"),
        ("Vad säger hon om träden och varför?", "Swedish"),
        ("Kdo mluví o stromech a proč se mají sázet?", "Czech"),
        ("Ai nói về những cái cây và bao nhiêu cây là của thành phố?", "Vietnamese"),
    ],
)
def test_small_words_tell(question: str, language: str) -> None:
    assert language_of(question, Deaf(), None) == language  # type: ignore[arg-type]


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
