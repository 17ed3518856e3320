"""Replies of several passes become one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scribe import Scribe

from fls_models.answering.map_reduce import Show, grouped, merged
from fls_models.core.progress import ignore


def put_together(replies: list[str], final: str, most: int = 100) -> tuple[str, str, list[str]]:
    """The reply, what was shown, and the notes of each reading."""
    scribe = Scribe(lambda said, request: final)
    shown: list[str] = []
    notes: list[str] = []

    def decode(context: Any, show: Show) -> str:
        notes.append(context.said)
        show(final)
        return final

    def reply(text: str) -> Callable[[Show], str]:
        def come(show: Show) -> str:
            show(text)
            return text

        return come

    found = merged(
        scribe,  # type: ignore[arg-type]
        [reply(text) for text in replies],
        decode,
        max_tokens=most,
        show=shown.append,
        progress=ignore,
    )
    return found, "".join(shown), notes


@pytest.mark.parametrize(
    ("replies", "final", "expected", "notes"),
    [
        (["a"], "z", "a", []),
        (["a", "b"], "z", "z", ["- a - b"]),
        # A pass that has nothing to say is no note.
        (["a", "", "b"], "z", "z", ["- a - b"]),
        (["", "b", ""], "z", "b", []),
        (["", ""], "z", "", []),
        # Nothing comes of putting them together.
        (["a", "b"], "", "a", ["- a - b"]),
    ],
)
def test_replies_are_put_together(
    replies: list[str], final: str, expected: str, notes: list[str]
) -> None:
    found, shown, read = put_together(replies, final)
    assert (found, shown) == (expected, expected)
    assert read == notes


def test_notes_of_notes() -> None:
    found, shown, read = put_together(list("abcde"), "z", most=4)
    assert (found, shown) == ("z", "z")
    assert read == ["- a - b", "- c - d", "- e", "- z - z", "- z", "- z - z"]


def test_groups_are_of_two_or_more() -> None:
    assert grouped([[1] * 5, [2] * 5, [3]], 3) == [[[1] * 5, [2] * 5], [[3]]]
