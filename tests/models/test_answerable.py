"""Whether a recording speaks of a question, by how much likelier it makes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_talk import tiny_language_model

from fls_models.answering.answerability import Answerability, AnswerabilityScore
from fls_models.core.results import Turn
from fls_models.lslm import prompts
from fls_models.lslm.context_cache import ContextCache
from fls_models.lslm.kv_cache import KVContext
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.weights import card
from fls_models.weights.store import Installed
from fls_models.weights.thresholds import Thresholds

LIMITS = Thresholds(gain=0.7, general=0.2)
QUESTION = "What stands along the streets?"


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniLanguageModel]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny_language_model(tmp_path_factory.mktemp("answerable"))
    torch.set_num_threads(threads)


def read(llm: MiniLanguageModel, text: str) -> KVContext:
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
    assert (AnswerabilityScore(gain, general).over(LIMITS) > 0) is speaks


def test_another_language_than_english_has_a_gain_of_its_own() -> None:
    limits = Thresholds(gain=0.7, general=0.2, abroad=0.4)
    for is_abroad, speaks in ((False, False), (True, True)):
        score = AnswerabilityScore(0.5, -1.0, is_abroad=is_abroad)
        assert (score.over(limits) > 0) is speaks
        assert (score.over(LIMITS) > 0) is False


def test_what_suits_any_recording_stands_before_a_question_in_its_language(
    llm: MiniLanguageModel,
) -> None:
    context, one = read(llm, " Trees stand along the streets."), Answerability(ContextCache(llm))
    english = one.judge(QUESTION).evidence(context)
    assert not english.is_abroad
    # Of a recording in another language, more cannot be asked of an English question.
    other = one.judge(QUESTION, spoken="German").evidence(context)
    assert (other.is_abroad, other.gain) == (True, english.gain)
    lead = (
        "\n\nQuestion: Worum geht es hier, und wer spricht darüber?\nAnswer: Das sagt die Aufnahme."
    )
    before = llm.surprisal(read(llm, "..."), "Was steht dort?", lead).mean()
    after = llm.surprisal(context, "Was steht dort?", lead).mean()
    german = one.judge("Was steht dort?", language="German").evidence(context)
    assert german.is_abroad
    assert german.gain == pytest.approx(float(before - after), abs=1e-5)
    # Nothing is known to say in Finnish.
    finnish = one.judge(QUESTION, language="Finnish").evidence(context)
    assert (finnish.is_abroad, finnish.gain) == (False, english.gain)


def test_gain_is_how_much_likelier_the_recording_makes_the_question(
    llm: MiniLanguageModel,
) -> None:
    context = read(llm, " Trees stand along the streets.")
    evidence = Answerability(ContextCache(llm)).judge(QUESTION).evidence(context)
    before = llm.surprisal(read(llm, "..."), QUESTION).mean()
    after = llm.surprisal(context, QUESTION).mean()
    assert evidence.gain == pytest.approx(float(before - after), abs=1e-5)


def test_nothing_heard_gains_nothing(llm: MiniLanguageModel) -> None:
    assert Answerability(ContextCache(llm)).judge(QUESTION).evidence(
        read(llm, "...")
    ).gain == pytest.approx(0)


def test_general_does_not_depend_on_the_recording(llm: MiniLanguageModel) -> None:
    judge = Answerability(ContextCache(llm)).judge(QUESTION)
    found = {
        judge.evidence(read(llm, text)).general for text in (" Trees.", " A long talk of tea.")
    }
    assert len(found) == 1


def test_the_same_question_is_judged_the_same(llm: MiniLanguageModel) -> None:
    context = read(llm, " Trees stand along the streets.")
    one = Answerability(ContextCache(llm))
    first = one.judge(QUESTION).evidence(context)
    one.judge("Who?").evidence(context)
    assert first == one.judge(QUESTION).evidence(context)
    assert first == Answerability(ContextCache(llm)).judge(QUESTION).evidence(context)


@pytest.mark.parametrize("question", ["?", "Wo?", "どこ", "a" * 300])
def test_any_question_can_be_judged(llm: MiniLanguageModel, question: str) -> None:
    evidence = Answerability(ContextCache(llm)).judge(question).evidence(read(llm, " Trees."))
    assert evidence.over(LIMITS) == evidence.over(LIMITS)


BEFORE = Turn("What did they plant?", "They planted trees.")


@pytest.mark.parametrize(("follow", "speaks"), [(0.6, True), (0.5, False), (0.4, False)])
def test_following_is_evidence_of_its_own(follow: float, speaks: bool) -> None:
    limits = Thresholds(gain=0.7, general=0.2, follow=0.5)
    assert (AnswerabilityScore(-1.0, -1.0, follow).over(limits) > 0) is speaks
    assert AnswerabilityScore(0.8, -1.0, follow).over(limits) > 0


def test_a_question_that_follows_is_judged_after_the_turn_before_it(
    llm: MiniLanguageModel,
) -> None:
    context = read(llm, " Trees stand along the streets.")
    found = Answerability(ContextCache(llm)).judge(QUESTION, BEFORE).evidence(context)
    lead = "\n\nQuestion: What did they plant?\nAnswer: They planted trees."
    before = llm.surprisal(read(llm, "..."), QUESTION, lead).mean()
    after = llm.surprisal(context, QUESTION, lead).mean()
    assert found.follow == pytest.approx(float(before - after), abs=1e-5)
    # What it is worth by itself does not change.
    alone = Answerability(ContextCache(llm)).judge(QUESTION).evidence(context)
    assert (found.gain, found.general) == (alone.gain, alone.general)


@pytest.mark.parametrize("question", ["Why?", "For how long?", "为什么？", "…"])
def test_a_question_without_words_of_its_own_is_part_of_the_turn_before(
    llm: MiniLanguageModel, question: str
) -> None:
    context = read(llm, " Trees stand along the streets.")
    one = Answerability(ContextCache(llm))
    found = one.judge(question, BEFORE).evidence(context)
    joined = one.judge(f"{BEFORE.question} {question}").evidence(context)
    assert (found.gain, found.general) == (joined.gain, joined.general)
    whole = one.judge(f"{BEFORE.question} {BEFORE.answer} {question}").evidence(context)
    assert found.follow == whole.gain


@pytest.mark.parametrize("question", ["And who is the mayor?", "Who is the mayor?", "谁是市长？"])
def test_a_question_with_words_of_its_own_is_not(llm: MiniLanguageModel, question: str) -> None:
    assert Answerability(ContextCache(llm)).judge(question, BEFORE).question == question


@pytest.mark.weights
def test_a_follow_up_is_judged_with_what_it_follows(mini_weights: Installed) -> None:
    llm = MiniLanguageModel(mini_weights.llm)
    text = (Path(__file__).parents[2] / "examples" / "lecture.txt").read_text(encoding="utf-8")
    context = read(llm, " " + " ".join(text.split()))
    answerability = Answerability(ContextCache(llm))
    limits = card.load("mini").thresholds
    mill = Turn("How hot was the ground on Mill Street?", "The ground reached 52 degrees.")

    def over(question: str, turn: Turn | None) -> float:
        return answerability.judge(question, turn).evidence(context).over(limits)

    assert over("And on Bridge Street?", None) < 0 < over("And on Bridge Street?", mill)
    assert over("Why?", mill) > 0
    assert over("And who is the mayor?", mill) < 0
    assert over("And what does a loaf of bread cost?", mill) < 0


@pytest.mark.weights
def test_a_lecture_speaks_of_its_own_questions_and_not_of_foreign_ones(
    mini_weights: Installed,
) -> None:
    llm = MiniLanguageModel(mini_weights.llm)
    text = (Path(__file__).parents[2] / "examples" / "lecture.txt").read_text(encoding="utf-8")
    context = read(llm, " " + " ".join(text.split()))
    answerability = Answerability(ContextCache(llm))
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
