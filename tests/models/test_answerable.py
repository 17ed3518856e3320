"""Whether a recording speaks of a question, by how much likelier it makes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_talk import tiny_language_model

from fls_models import card, prompts
from fls_models.answerable import Answerability, Evidence
from fls_models.lslm.mini import MiniLanguageModel, ReadContext
from fls_models.thresholds import Thresholds
from fls_models.weights import Installed

LIMITS = Thresholds(gain=0.7, general=0.2)
QUESTION = "What stands along the streets?"


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniLanguageModel]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny_language_model(tmp_path_factory.mktemp("answerable"))
    torch.set_num_threads(threads)


def read(llm: MiniLanguageModel, text: str) -> ReadContext:
    return llm.read(prompts.ASK, llm.embed(llm.tokenize(text)))


@pytest.mark.parametrize(
    ("gain", "general", "speaks"),
    [
        (0.8, -1.0, True),
        (0.6, -1.0, False),
        (0.0, 0.3, True),
        (-2.0, 0.3, True),
        (0.6, 0.1, False),
        (0.7, 0.2, False),
    ],
)
def test_either_kind_of_evidence_is_enough(gain: float, general: float, speaks: bool) -> None:
    assert (Evidence(gain, general).over(LIMITS) > 0) is speaks


def test_gain_is_how_much_likelier_the_recording_makes_the_question(
    llm: MiniLanguageModel,
) -> None:
    context = read(llm, " Trees stand along the streets.")
    evidence = Answerability(llm).judge(QUESTION).evidence(context)
    before = llm.surprisal(read(llm, "..."), QUESTION).mean()
    after = llm.surprisal(context, QUESTION).mean()
    assert evidence.gain == pytest.approx(float(before - after), abs=1e-5)


def test_nothing_heard_gains_nothing(llm: MiniLanguageModel) -> None:
    assert Answerability(llm).judge(QUESTION).evidence(read(llm, "...")).gain == pytest.approx(0)


def test_general_does_not_depend_on_the_recording(llm: MiniLanguageModel) -> None:
    judge = Answerability(llm).judge(QUESTION)
    found = {
        judge.evidence(read(llm, text)).general for text in (" Trees.", " A long talk of tea.")
    }
    assert len(found) == 1


def test_the_same_question_is_judged_the_same(llm: MiniLanguageModel) -> None:
    context = read(llm, " Trees stand along the streets.")
    one = Answerability(llm)
    first = one.judge(QUESTION).evidence(context)
    one.judge("Who?").evidence(context)
    assert first == one.judge(QUESTION).evidence(context)
    assert first == Answerability(llm).judge(QUESTION).evidence(context)


@pytest.mark.parametrize("question", ["?", "Wo?", "どこ", "a" * 300])
def test_any_question_can_be_judged(llm: MiniLanguageModel, question: str) -> None:
    evidence = Answerability(llm).judge(question).evidence(read(llm, " Trees."))
    assert evidence.over(LIMITS) == evidence.over(LIMITS)


@pytest.mark.weights
def test_a_lecture_speaks_of_its_own_questions_and_not_of_foreign_ones(
    mini_weights: Installed,
) -> None:
    llm = MiniLanguageModel(mini_weights.llm)
    text = (Path(__file__).parents[2] / "examples" / "lecture.txt").read_text(encoding="utf-8")
    context = read(llm, " " + " ".join(text.split()))
    answerability = Answerability(llm)
    limits = card.load("mini").thresholds

    def over(question: str) -> float:
        return answerability.judge(question).evidence(context).over(limits)

    own = [
        "What is the main argument?",
        "How many trees did Copper Bay plant, and along how many streets?",
    ]
    foreign = [
        "What does Walter carry?",
        "How many loaves does the bakery bake in a day?",
    ]
    assert min(map(over, own)) > 0
    assert max(map(over, foreign)) < 0
