"""Words as they are compared."""

import pytest

from fls_models.core.text.words import words_of, words_of_each

TEXTS = ["In nineteen ninety", "nine, I'll pay $2 million.", "", "20% of Mr. Wu's", "—", "héllo"]


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[::-1], TEXTS[:1], [""], []])
def test_many_texts_at_once_are_each_as_alone(texts: list[str]) -> None:
    assert words_of_each(texts) == [words_of(text) for text in texts]
