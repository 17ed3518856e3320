"""A conversation: what of it goes into the next request, and which recordings answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from tiny_talk import Letters, Verdicts, model, tiny_language_model, transcript

from fls_models.answering.answerer import Answerer
from fls_models.answering.conversation import HISTORY, Conversation, recent
from fls_models.answering.generation import GenerationConfig
from fls_models.core.budget import Budget
from fls_models.core.results import (
    NO_SPEECH,
    NONE_SAYS,
    NOT_SAID,
    AggregateAnswer,
    Answer,
    Transcript,
    Turn,
)
from fls_models.lslm.mini.language_model import MiniLanguageModel

WHAT = "What stands along the streets?"
SAID = [f"Sentence {i} tells of trees, of streets and of the harbor." for i in range(20)]
SHORT = GenerationConfig(max_tokens=12)


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniLanguageModel]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny_language_model(tmp_path_factory.mktemp("conversation"))
    torch.set_num_threads(threads)


def conversation(llm: Any, *strengths: float, **how: Any) -> Conversation:
    """About as many recordings as there are strengths, called `a`, `b`, ..."""
    manner = how.pop("generation", SHORT)
    said = how.pop("said", transcript(SAID))
    askings = [
        Answerer(
            model(llm, Verdicts(llm, strength), 5000),
            "abcdef"[number],
            said,
            heard_in={},
            budget=Budget("accurate"),
            generation=manner,
        )
        for number, strength in enumerate(strengths)
    ]
    return Conversation(model(llm, Verdicts(llm, 1.0), 5000), askings, generation=manner, **how)


@pytest.fixture
def earlier(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[str, str]]]:
    """What the model was told of earlier turns, answer by answer; it answers `Yes.`"""
    told: list[list[tuple[str, str]]] = []

    def generate(*_: Any, exchanges: Any = (), **__: Any) -> Iterator[str]:
        told.append(list(exchanges))
        return iter(["Yes", "."])

    monkeypatch.setattr(MiniLanguageModel, "generate", generate)
    return told


def test_a_question_is_told_what_came_before(
    llm: MiniLanguageModel, earlier: list[list[tuple[str, str]]]
) -> None:
    talk = conversation(llm, 1.0)
    for text in ("First question?", "Second question?", "Third question?"):
        assert talk.ask(text).text == "Yes."
    assert [len(turns) for turns in earlier] == [0, 1, 2]
    (first, reply), (second, _) = earlier[2]
    assert "First question?" in first
    assert "Second question?" in second
    assert reply == "Yes."


def test_an_answer_is_the_same_as_without_a_conversation(llm: MiniLanguageModel) -> None:
    shown: list[str] = []
    reply = conversation(llm, 1.0).ask(WHAT, shown.append)
    alone = Answerer(
        model(llm, Verdicts(llm, 1.0), 5000),
        "a",
        transcript(SAID),
        heard_in={},
        budget=Budget("accurate"),
        generation=SHORT,
    ).answer(WHAT)
    assert isinstance(reply.result, Answer)
    assert (reply.text, reply.sources) == (alone.answer, ("a",))
    assert "".join(shown).strip() == reply.text
    assert reply.result.spans == alone.spans


def test_what_was_not_answered_is_no_turn(
    llm: MiniLanguageModel, earlier: list[list[tuple[str, str]]]
) -> None:
    talk = conversation(llm, -1.0)
    reply = talk.ask(WHAT)
    assert (reply.answered, reply.text, reply.sources) == (False, NOT_SAID, ())
    assert talk.turns == ()
    silent = conversation(llm, 1.0, said=Transcript(None, (), 12.0))
    assert silent.ask(WHAT).text == NO_SPEECH
    assert earlier == []


def test_forgetting_begins_anew(
    llm: MiniLanguageModel, earlier: list[list[tuple[str, str]]]
) -> None:
    talk = conversation(llm, 1.0)
    talk.ask(WHAT)
    talk.forget()
    talk.ask(WHAT)
    assert earlier == [[], []]


def test_an_interrupted_answer_changes_nothing(
    llm: MiniLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = conversation(llm, 1.0)
    first = talk.ask(WHAT)
    before = talk.turns

    def stop(piece: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        talk.ask("Which harbor?", stop)
    assert talk.turns == before
    talk.forget()
    assert talk.ask(WHAT).text == first.text


def test_the_history_stays_within_its_tokens(llm: MiniLanguageModel) -> None:
    talk = conversation(llm, 1.0, generation=GenerationConfig(max_tokens=60))
    for number in range(12):
        talk.ask(f"{number}: {WHAT * (number % 3 + 1)}")
        asked = [len(llm.tokenize(turn.question + turn.answer)) for turn in talk.turns]
        assert 0 < sum(asked) <= HISTORY
        assert talk.turns[-1].question.startswith(f"{number}:")
    assert len(talk.turns) < 12


def turn(question: int, answer: int) -> Turn:
    """A turn of so many letters, which are the tokens of `Letters`, in words of four."""
    return Turn("q" * question, ("aaa " * answer)[:answer].strip())


def cost(turns: tuple[Turn, ...]) -> int:
    from fls_models.lslm import prompts

    return sum(len(asked) + len(replied) for asked, replied in prompts.exchanges(turns))


def test_the_oldest_turns_are_dropped_first() -> None:
    turns = [turn(10, 19), turn(20, 19), turn(30, 19)]
    whole = cost(tuple(turns))
    assert recent(turns, Letters(), whole) == tuple(turns)  # type: ignore[arg-type]
    assert recent(turns, Letters(), whole - 1) == tuple(turns[1:])  # type: ignore[arg-type]
    newest = cost(tuple(turns[2:]))
    assert recent(turns, Letters(), newest) == tuple(turns[2:])  # type: ignore[arg-type]
    assert recent([], Letters(), 100) == ()  # type: ignore[arg-type]


def test_an_older_turn_does_not_overtake_a_newer_one() -> None:
    turns = [turn(1, 3), turn(10, 399), turn(1, 3)]
    assert recent(turns, Letters(), 250) == (turns[2],)  # type: ignore[arg-type]


@pytest.mark.parametrize("most", [120, 199, 200, 300])
def test_a_turn_too_long_loses_the_end_of_its_answer(most: int) -> None:
    long = turn(10, 4000)
    (kept,) = recent([turn(1, 3), long], Letters(), most)  # type: ignore[arg-type]
    assert kept.question == long.question
    assert long.answer.startswith(kept.answer)
    assert cost((kept,)) <= most < cost((kept,)) + len(" aaa")


def test_a_question_too_long_is_no_history() -> None:
    assert recent([turn(1, 3), turn(5000, 100)], Letters(), 300) == ()  # type: ignore[arg-type]


def test_the_clearest_of_several_recordings_answers(llm: MiniLanguageModel) -> None:
    shown: list[str] = []
    reply = conversation(llm, 0.2, 2.0, -1.0).ask(WHAT, shown.append)
    assert reply.sources == ("b",)
    assert isinstance(reply.result, Answer)
    assert reply.result.source == "b"
    assert "".join(shown).strip() == reply.text


def test_several_clear_recordings_are_put_together(llm: MiniLanguageModel) -> None:
    talk = conversation(llm, 1.6, 2.0, -1.0)
    reply = talk.ask(WHAT)
    assert reply.sources == ("b", "a")
    assert isinstance(reply.result, AggregateAnswer)
    assert reply.result.question == WHAT
    again = talk.ask("And then?")
    assert isinstance(again.result, AggregateAnswer)
    assert again.result.question == "And then?"


def test_none_of_several_recordings_says(llm: MiniLanguageModel) -> None:
    shown: list[str] = []
    talk = conversation(llm, -0.2, -2.0)
    reply = talk.ask(WHAT, shown.append)
    assert (reply.answered, reply.text, reply.sources) == (False, NONE_SAYS, ())
    assert shown == [NONE_SAYS]
    assert talk.turns == ()
    silent = conversation(llm, 1.0, 1.0, said=Transcript(None, (), 12.0))
    assert silent.ask(WHAT).text == NONE_SAYS


def test_a_question_without_words_of_its_own_goes_where_the_answer_came_from(
    llm: MiniLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    score = Answerer.score

    def watched(self: Answerer, question: str, earlier: Any = ()) -> Any:
        asked.append((self.source, question))
        return score(self, question, earlier)

    monkeypatch.setattr(Answerer, "score", watched)
    talk = conversation(llm, 0.2, 2.0)
    for text in ("Why?", WHAT, "Why?"):
        assert talk.ask(text).sources == ("b",)
    assert asked == [("a", "Why?"), ("b", "Why?"), ("a", WHAT), ("b", WHAT), ("b", "Why?")]


def test_only_the_recording_that_answered_judges_with_the_answer(
    llm: MiniLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[Turn | None] = []
    judge = Verdicts.judge

    def watched(self: Verdicts, question: str, turn: Turn | None = None, **how: bool) -> Any:
        judged.append(turn)
        return judge(self, question, turn, **how)

    monkeypatch.setattr(Verdicts, "judge", watched)
    talk = conversation(llm, 0.2, 2.0)
    first = talk.ask(WHAT)
    talk.ask("And who planted it?")
    assert judged == [None, None, None, Turn(WHAT, first.text, ("b",))]


def test_the_budget_holds_from_the_next_question_on(llm: MiniLanguageModel) -> None:
    talk = conversation(llm, 1.0)

    def read() -> int:
        found = talk.ask(WHAT).result
        assert isinstance(found, Answer)
        return found.usage.frames_after

    whole = read()
    talk.budget = Budget(target_length=60)
    assert talk.budget.label == "L=60"
    assert 0 < read() <= 60 < whole


def test_what_is_read_depends_on_the_question_before(llm: MiniLanguageModel) -> None:
    said = ["The harbor is deep."] + ["Nothing else is told of anything."] * 9 + ["Why not?"]
    talk = conversation(llm, 1.0, said=transcript(said))
    talk.budget = Budget(target_length=30)
    talk.ask("How deep is the harbor?")
    follow = talk.ask("Why not?").result
    assert isinstance(follow, Answer)
    assert follow.spans[0].start == 0.0
