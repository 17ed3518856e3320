"""Where sentences end."""

import pytest

from fls_models.core.text.sentence_ends import sentences_of


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "It rained. Dr. Wu left, e.g. by bus. Why?",
            ["It rained.", "Dr. Wu left, e.g. by bus.", "Why?"],
        ),
        ("J.P. Morgan paid 3.5 million. He left.", ["J.P. Morgan paid 3.5 million.", "He left."]),
        (
            "It was NASA. They said “no.” Then came 19.",
            ["It was NASA.", "They said “no.”", "Then came 19."],
        ),
        ("下雨了。他走了。", ["下雨了。", "他走了。"]),
        ("One line\n\nAnother", ["One line", "Another"]),
        ("", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert sentences_of(text) == sentences
