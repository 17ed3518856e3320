"""What is said to the language model around a recording. Words only; the model adds its markup.

The recording comes before the request, so that what the model made of it serves every question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fls_models.results import Turn


@dataclass(frozen=True)
class Prompt:
    """Everything before the request: a system message, then `opening`, then the recording."""

    system: str
    opening: str


ASK = Prompt(
    system="You answer questions about a recording. Use only what the recording says.",
    opening="Transcript of the recording:\n",
)
SUMMARISE = Prompt(
    system="You summarise recordings faithfully, in plain sentences. Use only what they say.",
    opening="Transcript of the recording:\n",
)
NOTES = Prompt(
    system="You answer questions about a recording. Use only the notes taken from it.",
    opening="Notes taken from consecutive parts of one recording:\n",
)

RECORDINGS = Prompt(
    system="You put together what several recordings say. Use only what is given here.",
    opening="Answers from several recordings, each with the recording's name:\n",
)


def question(text: str, language: str = "English") -> str:
    """The request that goes with ASK and NOTES; the language by its English name."""
    wish = "the question's language" if language == "English" else language
    return f"\n\nQuestion: {text}\nAnswer in one or two sentences, in {wish}."


def exchanges(turns: Sequence[Turn]) -> list[tuple[str, str]]:
    """Earlier turns as requests and replies, in front of a request that goes with ASK.

    How to answer is said once, with the request: a small model muddles it with the questions.
    """
    return [(f"\n\nQuestion: {turn.question}", turn.answer) for turn in turns]


def before_question(turn: Turn) -> str:
    """A turn as plain text, in front of a question whose likelihood is to be known."""
    return f"\n\nQuestion: {turn.question}\nAnswer: {turn.answer}"


def over_all(text: str, language: str = "English") -> str:
    """The request that goes with RECORDINGS."""
    wish = "the question's language" if language == "English" else language
    return (
        f"\n\nQuestion: {text}\nAnswer in one or two sentences, in {wish}, from all of these "
        "answers together, and name the recordings."
    )


IN_A_SENTENCE = (
    "\n\nIn your own words, in one short sentence: what is this about, and what is its most "
    "important point?"
)
IN_A_FEW = (
    "\n\nWhat is this recording about? Name the people, the place and the main points, in two "
    "sentences."
)
TITLE = "\n\nGive this a title of two to six words. Reply with the title only."
