"""Where one topic ends and the next begins."""

from __future__ import annotations

import pytest
from tiny_talk import transcript

from fls_models.answering.readers.topics import topics
from fls_models.core.results import Sentence

GARDEN = "The garden grows green beans, and the garden needs rain in week {}."
ENGINE = "Our engine burns diesel oil, and that engine turned pistons {} times."
CHESS = "White moves a bishop to the queenside, black answers with knight {}."


def said(*parts: tuple[str, int], every: float = 5.0) -> tuple[Sentence, ...]:
    texts = [text.format(i) for text, count in parts for i in range(count)]
    return transcript(texts, every).sentences


def test_topics_change_where_the_words_do() -> None:
    found = topics(said((GARDEN, 20), (ENGINE, 15), (CHESS, 18)), shortest=40, max_topics=24)
    assert found == [range(20), range(20, 35), range(35, 53)]


@pytest.mark.parametrize("count", [1, 2, 7, 40])
@pytest.mark.parametrize("most", [1, 2, 24])
def test_every_sentence_is_in_one_topic(count: int, most: int) -> None:
    sentences = said((GARDEN, (count + 1) // 2), (ENGINE, count // 2))
    found = topics(sentences, shortest=20, max_topics=most)
    assert [i for stretch in found for i in stretch] == list(range(count))
    assert 1 <= len(found) <= most
    assert all(len(stretch) for stretch in found)


def test_one_topic_stays_whole() -> None:
    assert topics(said((GARDEN, 30)), shortest=40, max_topics=24) == [range(30)]


def test_no_topic_is_shorter_than_allowed() -> None:
    sentences = said((CHESS, 2), (GARDEN, 20), (ENGINE, 3), (GARDEN, 20), (CHESS, 2))
    for stretch in topics(sentences, shortest=40, max_topics=24):
        assert sentences[stretch.stop - 1].end - sentences[stretch.start].start >= 40


def test_a_recording_shorter_than_a_topic_is_one() -> None:
    assert topics(said((GARDEN, 2), (ENGINE, 2)), shortest=40, max_topics=24) == [range(4)]


def test_nothing_said_has_no_topics() -> None:
    assert topics((), shortest=40, max_topics=24) == []


def test_sentences_without_words_are_no_crash() -> None:
    sentences = transcript(["...", "?", "!", "..."] * 5).sentences
    found = topics(sentences, shortest=40, max_topics=24)
    assert [i for stretch in found for i in stretch] == list(range(20))


def test_hours_of_talk_are_divided_at_the_joints_of_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fls_models.answering.readers.topics._MAX_COMPARED", 7)
    sentences = transcript([f"Sentence {i} of many." for i in range(23)]).sentences
    found = topics(sentences, shortest=10.0, max_topics=5)
    assert [index for stretch in found for index in stretch] == list(range(23))
    assert all(stretch.start % 4 == 0 for stretch in found)
