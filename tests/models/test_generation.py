"""Where replies end that are asked for in so many sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fls_models.answering.generation import GenerationConfig


class Writer:
    """A `LanguageModel` as far as it writes: one text, word by word."""

    def __init__(self, text: str) -> None:
        self._text = text

    def generate(self, *_: Any, **__: Any) -> Iterator[str]:
        for number, word in enumerate(self._text.split(" ")):
            yield f" {word}" if number else word


def written(text: str, sentences: int | None) -> str:
    llm: Any = Writer(text)
    return GenerationConfig().decode(llm, llm, "", sentences=sentences)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Trees come first. Parks follow.", "Trees come first."),
        ("Trees vs. parks. The order counts.", "Trees vs. parks."),
        ("They met Dr. Wells and Prof. Reed. Both left.", "They met Dr. Wells and Prof. Reed."),
        ("Some tools, e.g. rakes. Others too.", "Some tools, e.g. rakes."),
        ("It fell by 3.5 degrees. Then it rained.", "It fell by 3.5 degrees."),
        ("The answer is no. They stay.", "The answer is no."),
        ("One sentence alone", "One sentence alone"),
    ],
)
def test_a_sentence_ends_where_one_does(text: str, first: str) -> None:
    assert written(text, 1) == first
    assert written(text, None) == text
