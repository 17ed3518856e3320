"""What is said to the language model around a recording. Words only; the model adds its markup.

The recording comes before the request, so that what the model made of it serves every question.
A model that hears gets it where its chat template puts audio, and no words for what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fls_models.core.results import Turn


@dataclass(frozen=True)
class Prompt:
    """Everything before the request: a system message, then `opening`, then the recording.

    With `audio`, the recording's embeddings are sound, and stand where the model's chat template
    puts it.
    """

    system: str
    opening: str
    audio: bool = False

    def heard(self) -> Prompt:
        """The same for a recording that the model hears instead of reading what was said."""
        return replace(self, opening="", audio=True)


ASK = Prompt(
    system="You answer questions about a recording. Use only what the recording says.",
    opening="Transcript of the recording:\n",
)
SUMMARISE = Prompt(
    system="You summarise recordings faithfully, in plain sentences. Use only what they say.",
    opening="Transcript of the recording:\n",
)
SAID = Prompt(system=SUMMARISE.system, opening="Said in a recording:\n")
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


def pointed(near: str, text: str, language: str = "English") -> str:
    """The same with what is said near the question before it."""
    return f'\n\nSaid there: "{near}"{question(text, language)}'


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


def main_point(language: str = "English") -> tuple[str, str]:
    """Requests that go with SUMMARISE, the second for when nothing came of the first."""
    return (
        "\n\nQuestion: What is the most important fact?\n"
        f"Answer in one short sentence{_in(language)}.",
        f"\n\nState the main point as a fact, in one short sentence of your own{_in(language)}. "
        "Do not mention the recording or the speaker.",
    )


def outcome(language: str = "English") -> tuple[str, str]:
    """Requests that go with SUMMARISE, the second for when nothing came of the first."""
    return (
        "\n\nQuestion: What is this part of the meeting about, and what comes of it?\n"
        f"Answer in one short sentence{_in(language)}.",
        "\n\nQuestion: What is discussed here, and what is decided?\n"
        f"Answer in one short sentence{_in(language)}.",
    )


def retelling(language: str = "English") -> tuple[str, str]:
    """Requests that go with SAID, the second for when nothing came of the first."""
    return (
        "\n\nRewrite this as one plain sentence in the third person, shorter, with all names and "
        f"numbers{_in(language)}. Leave out filler words.",
        "\n\nSay this again in one short sentence of your own, with all names and numbers"
        f"{_in(language)}.",
    )


def task(language: str = "English") -> tuple[str, str]:
    """Requests that go with SAID, the second for when nothing came of the first."""
    return (
        "\n\nWho has to do what, and until when? Answer in one short sentence"
        f"{_in(language)}, with the names and dates that are said.",
        f"\n\nWhat is to be done? Answer in one short sentence{_in(language)}.",
    )


def _in(language: str) -> str:
    return "" if language == "English" else f", in {language}"


TITLE = "\n\nGive this a title of two to six words. Reply with the title only."


TRANSCRIBE = Prompt(system="You are a helpful assistant.", opening="", audio=True)


def transcription(language: str | None) -> str:
    """The request that goes with TRANSCRIBE; the language by its English name, if it is known."""
    spoken = "" if language is None else f", which is in {language},"
    return (
        f"\n\nWrite down the speech{spoken} as text, word for word, with punctuation. Reply with "
        "the text only."
    )
