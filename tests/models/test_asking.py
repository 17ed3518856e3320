"""Questions about a recording: passes, what speaks for them, and what an answer says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from tiny_talk import Verdicts, model, tiny_language_model, transcript

from fls_models.answering.answerer import Answerer
from fls_models.answering.generation import GenerationConfig
from fls_models.answering.map_reduce import grouped
from fls_models.core.budget import Budget
from fls_models.core.results import NO_SPEECH, NOT_SAID, Answer, Transcript
from fls_models.lslm.mini.language_model import MiniLanguageModel

WHAT = "What stands along the streets?"
SAID = [f"Sentence {i} tells of trees, of streets and of the harbor." for i in range(20)]
ALL = Budget("accurate")
SHORT = GenerationConfig(max_tokens=12)


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniLanguageModel]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny_language_model(tmp_path_factory.mktemp("asking"))
    torch.set_num_threads(threads)


def asking(
    llm: Any, *strengths: float, said: Transcript | None = None, most: int = 400, **how: object
) -> Answerer:
    settings = {"heard_in": {"listen": 2.5}, "budget": ALL, "generation": SHORT, **how}
    recording = transcript(SAID) if said is None else said
    return Answerer(model(llm, Verdicts(llm, *strengths), most), "talk.wav", recording, **settings)  # type: ignore[arg-type]


def test_an_answer_says_what_it_was_made_of(llm: MiniLanguageModel) -> None:
    answer = asking(llm, 1.0, most=5000).answer(WHAT)
    assert answer.answered
    assert answer.answer
    assert (answer.source, answer.question) == ("talk.wav", WHAT)
    [span] = answer.spans
    assert (span.start, span.end) == (0.0, pytest.approx(192.75))
    usage = answer.usage
    assert (usage.audio_seconds, usage.frames_before, usage.sections) == (200.0, 5000, 1)
    assert usage.frames_after < usage.prompt_tokens
    assert usage.answer_tokens == len(llm.tokenize(answer.answer))
    assert (usage.model, usage.budget, usage.reader) == ("tiny", "accurate", "text")
    assert next(iter(usage.seconds)) == "listen"
    assert {"check", "read", "answer"} <= set(usage.seconds)


def test_what_is_shown_is_what_is_answered(llm: MiniLanguageModel) -> None:
    for strengths, most in (((1.0,), 5000), ((1.0, 0.9), 600), ((-1.0,), 5000)):
        shown: list[str] = []
        answer = asking(llm, *strengths, most=most).answer(WHAT, shown.append)
        assert "".join(shown).strip() == answer.answer


def test_silence_is_not_answered(llm: MiniLanguageModel) -> None:
    shown: list[str] = []
    answer = asking(None, 1.0, said=Transcript(None, (), 12.0)).answer(WHAT, shown.append)
    assert (answer.answered, answer.answer, answer.spans) == (False, NO_SPEECH, ())
    assert shown == [NO_SPEECH]
    assert answer.usage.ratio is None
    assert answer.usage.frames_before == 300


def test_what_no_pass_speaks_of_is_not_answered(llm: MiniLanguageModel) -> None:
    answer = asking(llm, -0.1, most=600).answer(WHAT)
    assert (answer.answered, answer.answer, answer.spans) == (False, NOT_SAID, ())
    assert answer.usage.frames_after > 0
    assert answer.usage.answer_tokens == 0


def test_a_long_recording_is_read_in_passes(llm: MiniLanguageModel) -> None:
    answer = asking(llm, 1.0, most=300).answer(WHAT)
    assert answer.usage.sections > 2
    assert len(answer.spans) == answer.usage.sections
    assert all(one.end <= other.start for one, other in pairwise(answer.spans))
    assert answer.spans[0].start == 0.0
    assert answer.spans[-1].end == pytest.approx(192.75)


def test_only_passes_that_speak_of_the_question_answer(llm: MiniLanguageModel) -> None:
    # Far behind the strongest, near it, below the threshold.
    answer = asking(llm, 0.1, 2.0, 1.6, -0.5, most=300).answer(WHAT)
    assert answer.usage.sections >= 4
    starts = [span.start for span in answer.spans]
    assert 0.0 not in starts
    assert len(starts) >= 2
    assert len(starts) < answer.usage.sections


def test_the_same_question_gets_the_same_answer(llm: MiniLanguageModel) -> None:
    one = asking(llm, 1.0, 0.8, most=600)
    first, _, again = one.answer(WHAT), one.answer("Which harbor?"), one.answer(WHAT)
    anew = asking(llm, 1.0, 0.8, most=600).answer(WHAT)
    assert first.answer == again.answer == anew.answer
    assert first.spans == again.spans == anew.spans


def test_what_was_read_serves_the_next_question(
    llm: MiniLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    original = MiniLanguageModel.read

    def count(self: MiniLanguageModel, *given: object, **how: object) -> object:
        read.append(given)
        return original(self, *given, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(MiniLanguageModel, "read", count)
    one = asking(llm, 1.0, most=5000)
    one.answer(WHAT)
    before = len(read)
    one.answer("Which harbor?")
    assert 0 < len(read) == before


def test_a_budget_reads_less_of_it(llm: MiniLanguageModel) -> None:
    def read(budget: Budget) -> Answer:
        return asking(llm, 1.0, most=5000, budget=budget).answer(WHAT)

    fast, whole = read(Budget("fast")).usage, read(ALL).usage
    assert 0 < fast.frames_after <= 50 * 200 / 30 < whole.frames_after
    assert fast.ratio
    assert whole.ratio
    assert fast.ratio > whole.ratio


def test_progress_counts_passes_to_the_end(llm: MiniLanguageModel) -> None:
    told: list[tuple[str, float, float | None]] = []
    asking(llm, 1.0, most=300, progress=lambda *news: told.append(news)).answer(WHAT)
    for stage in ("read", "answer"):
        news = [(done, total) for name, done, total in told if name == stage]
        assert [done for done, _ in news] == list(range(len(news)))
        assert news[-1][0] == news[-1][1]


def test_greedy_ignores_the_seed_and_drawing_does_not(llm: MiniLanguageModel) -> None:
    def said(manner: GenerationConfig) -> str:
        return asking(llm, 1.0, most=5000, generation=manner).answer(WHAT).answer

    assert said(GenerationConfig(12, seed=1)) == said(GenerationConfig(12, seed=2))
    assert (
        said(GenerationConfig(12, 2.0, 1))
        == said(GenerationConfig(12, 2.0, 1))
        != said(GenerationConfig(12, 2.0, 2))
    )


def test_more_notes_than_one_pass_holds_are_merged_in_groups() -> None:
    notes = [[note] * 30 for note in range(7)]
    groups = grouped(notes, max_tokens=100)
    assert [note for group in groups for note in group] == notes
    assert len(groups) == 3
    assert all(len(group) >= 2 for group in groups[:-1])
    assert all(sum(map(len, group)) <= 100 for group in groups)
    # Two notes that do not fit are still put together, or merging would not end.
    assert len(grouped([[0] * 90, [1] * 90], max_tokens=100)) == 1


def test_an_answer_that_says_nothing_is_no_answer(
    llm: MiniLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MiniLanguageModel, "generate", lambda *_, **__: iter([" "]))
    answer = asking(llm, 1.0, most=5000).answer(WHAT)
    assert (answer.answered, answer.answer, answer.spans) == (False, NOT_SAID, ())
