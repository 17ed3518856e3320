"""Summaries: topics in order, each with what is said of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from tiny_talk import Verdicts, model, tiny_language_model, transcript

from fls_models.answering.generation import GenerationConfig
from fls_models.answering.summaries.summarize import summarise
from fls_models.answering.summaries.writing import as_title
from fls_models.core.budget import Budget
from fls_models.core.results import NO_SPEECH, Summary, Transcript
from fls_models.lslm.mini.language_model import MiniLanguageModel

GARDEN = [
    f"The garden grows green beans, and rain fell on the garden in week {i}."
    for i in "abcdefghijkl"
]
ENGINE = [
    f"Our engine burns diesel oil, and that engine has piston number {i}." for i in "abcdefghijkl"
]


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniLanguageModel]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny_language_model(tmp_path_factory.mktemp("summarising"))
    torch.set_num_threads(threads)


def summary(
    llm: object, said: Transcript, style: str = "bullets", most: int = 5000, **how: object
) -> Summary:
    settings = {
        "heard_in": {"listen": 1.0},
        "style": style,
        "budget": Budget("accurate"),
        "generation": GenerationConfig(max_tokens=12),
        **how,
    }
    return summarise(model(llm, Verdicts(llm), most=most), "talk.wav", said, **settings)  # type: ignore[arg-type]


def test_each_topic_is_a_chapter_at_its_own_time(llm: MiniLanguageModel) -> None:
    found = summary(llm, transcript(GARDEN + ENGINE))
    assert [chapter.start for chapter in found.chapters] == [0.0, 120.0]
    assert found.chapters[0].end <= 120.0 < found.chapters[1].end <= 240.0
    assert all(chapter.summary for chapter in found.chapters)
    assert found.answered
    assert found.usage.sections == 2
    assert found.usage.audio_seconds == 240.0


def test_the_brief_summary_is_made_of_the_same_sentences(llm: MiniLanguageModel) -> None:
    found = summary(llm, transcript(GARDEN + ENGINE), style="brief")
    assert found.brief == " ".join(chapter.summary for chapter in found.chapters)


def test_titles_cost_extra_and_come_for_chapters_only(llm: MiniLanguageModel) -> None:
    said = transcript(GARDEN + ENGINE)
    plain, titled = summary(llm, said), summary(llm, said, style="chapters")
    assert not any(chapter.title for chapter in plain.chapters)
    assert [chapter.summary for chapter in titled.chapters] == [
        chapter.summary for chapter in plain.chapters
    ]
    assert [chapter.start for chapter in titled.chapters] == [0.0, 120.0]


def test_a_short_recording_is_one(llm: MiniLanguageModel) -> None:
    found = summary(llm, transcript(GARDEN[:2] + ENGINE[:1]), style="brief")
    assert len(found.chapters) == 1


def test_silence_has_no_chapters(llm: MiniLanguageModel) -> None:
    found = summary(None, Transcript(None, (), 600.0))
    assert found.chapters == ()
    assert not found.answered
    assert found.brief == NO_SPEECH
    assert found.usage.ratio is None


def test_a_topic_longer_than_a_pass_is_read_in_several(llm: MiniLanguageModel) -> None:
    whole = summary(llm, transcript(GARDEN))
    parts = summary(llm, transcript(GARDEN), most=200)
    assert len(parts.chapters) == len(whole.chapters)
    assert parts.usage.prompt_tokens > whole.usage.prompt_tokens
    assert parts.usage.frames_after == whole.usage.frames_after


def test_the_same_recording_has_the_same_summary(llm: MiniLanguageModel) -> None:
    said = transcript(GARDEN + ENGINE)
    assert summary(llm, said).chapters == summary(llm, said).chapters


def test_progress_counts_topics(llm: MiniLanguageModel) -> None:
    told: list[tuple[str, float, float | None]] = []
    summary(llm, transcript(GARDEN + ENGINE), progress=lambda *news: told.append(news))
    assert told == [("summarize", done, 2) for done in range(3)]


@pytest.mark.parametrize(
    ("reply", "title"),
    [
        ('"Beans and Rain."', "Beans and Rain"),
        ("Title: Beans\nand more", "Beans"),
        ("## **Beans**", "Beans"),
        ("“Beans”", "Beans"),
        ("  \n", ""),
        ("", ""),
    ],
)
def test_titles_stand_as_titles_do(reply: str, title: str) -> None:
    assert as_title(reply) == title
