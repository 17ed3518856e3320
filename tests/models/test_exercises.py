"""Questions about clips: those that fit them, in words that fit what is asked."""

from __future__ import annotations

from random import Random

import pytest

from fls_models.lslm import prompts
from fls_models.training.data import instructions as exercises
from fls_models.training.data.documents import Question

LINES = ("The harbour has nine bridges.", "Ann built the first of them.", "It was never painted.")
KEYED = Question("Who built it?", "The engineer", key="Ann built the first of them.")
PLAIN = Question("How many bridges?", "Nine bridges.")
FOREIGN = Question("What colour?", "Turquoise.")
CHOICES = Question("Who?", "Ann", ("Bob", "Ann", "Eve"), key="Ann built the first of them.")


def every(count: int = 200) -> list[Random]:
    return [Random(seed) for seed in range(count)]


def test_transcription_has_many_wordings_and_one_answer() -> None:
    found = [exercises.transcription(LINES, chance) for chance in every()]
    assert {one.answer for one in found} == {" ".join(LINES)}
    assert len({one.question for one in found}) == len(exercises.TRANSCRIBING)
    # As `fls transcribe` asks it.
    assert prompts.transcription(None).strip() in {one.question for one in found}


def test_what_is_said_next_follows_what_is_heard() -> None:
    for heard in (1, 2):
        assert exercises.continuation(LINES, heard, Random(0)).answer == LINES[heard]
    for heard in (0, 3):
        with pytest.raises(ValueError, match="nothing to go on"):
            exercises.continuation(LINES, heard, Random(0))


def test_questions_go_with_the_clips_that_answer_them() -> None:
    asked = [KEYED, PLAIN, FOREIGN]

    def answers(lines: tuple[str, ...], *, whole: bool = False) -> list[str]:
        found = exercises.own_questions(asked, lines, Random(0), whole=whole)
        return [one.answer for one in found]

    assert answers(LINES) == ["The engineer", "Nine bridges."]
    assert answers(LINES[2:]) == []
    assert answers(LINES[1:]) == ["The engineer"]
    assert answers(LINES[2:], whole=True) == ["The engineer", "Nine bridges.", "Turquoise."]


def test_choices_are_named_to_half_of_the_clips() -> None:
    found = [
        one
        for chance in every()
        for one in exercises.own_questions([CHOICES], LINES, chance, whole=False)
    ]
    lettered = [one for one in found if one.answer == "B"]
    assert len(found) == 200
    assert 70 < len(lettered) < 130
    assert all("A. Bob\nB. Ann\nC. Eve" in one.question for one in lettered)
    assert {one.answer for one in found} == {"B", "Ann"}


def test_questions_are_put_as_fls_ask_puts_them_too() -> None:
    found = {
        one.question
        for chance in every()
        for one in exercises.own_questions([KEYED], LINES, chance, whole=False)
    }
    assert found == {KEYED.question, prompts.question(KEYED.question).strip()}


def test_requests_are_summaries_own_and_general_questions() -> None:
    def kinds(questions: list[Question]) -> tuple[set[str], float]:
        found = [exercises.request(questions, LINES, chance, whole=False) for chance in every(400)]
        summaries = [one for one in found if one.prompt is prompts.SUMMARISE]
        others = [one for one in found if one.prompt is prompts.ASK]
        assert {one.question for one in summaries} <= set(exercises.SUMMARISING)
        # What the model reads is the whole request, however it is put to the one that is trained.
        assert all(one.question.strip() in one.request for one in others)
        return {one.request for one in others}, len(summaries) / len(found)

    general = {prompts.question(one) for one in exercises.GENERAL}
    asked, share = kinds([KEYED, FOREIGN])
    assert asked == general | {prompts.question(KEYED.question)}
    assert share == pytest.approx(0.4, abs=0.08)
    assert kinds([FOREIGN])[0] == general
