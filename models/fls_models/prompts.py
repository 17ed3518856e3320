"""What is said to the language model around a recording. Words only; the model adds its markup.

The recording comes before the request, so that what the model made of it serves every question.
"""

from __future__ import annotations

from dataclasses import dataclass


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


def question(text: str, language: str = "English") -> str:
    """The request that goes with ASK and NOTES; the language by its English name."""
    wish = "the question's language" if language == "English" else language
    return f"\n\nQuestion: {text}\nAnswer in one or two sentences, in {wish}."


IN_A_SENTENCE = (
    "\n\nIn your own words, in one short sentence: what is this about, and what is its most "
    "important point?"
)
IN_A_FEW = (
    "\n\nWhat is this recording about? Name the people, the place and the main points, in two "
    "sentences."
)
TITLE = "\n\nGive this a title of two to six words. Reply with the title only."
