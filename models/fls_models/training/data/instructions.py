"""Questions about clips and their answers, for a model that learns to read fused frames.

Of three kinds: to write down what is said, and to go on with it; questions that came with the text,
about clips in which the answer is said; and requests that a language model which reads the
transcript is to answer itself (`distillation`). All are worded in several ways. Chance comes as a
generator: the same one gives the same exercises.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from fls_models.core.text.normalizer import normalise
from fls_models.lslm import prompts
from fls_models.lslm.prompts import ASK, SUMMARISE, Prompt
from fls_models.training.data.documents import Question

TRANSCRIBING = (
    prompts.transcription(None).strip(),
    "Transcribe the recording.",
    "Write down exactly what is said.",
    "What is said in this recording, word for word?",
    "Please give me the transcript of this audio.",
    "Convert the speech to text.",
    "Repeat every word that you hear.",
)
CONTINUING = (
    "Continue the speech in this recording.",
    "What is said next?",
    "The recording breaks off. Go on with what is said.",
    "How does the speaker go on?",
)
SUMMARISING = (
    "Summarise this recording in one or two sentences.",
    "What is this recording about? Name the main points, in two sentences.",
    "In your own words, in one short sentence: what is this about?",
    "Give me the gist of what is said.",
)
GENERAL = (
    "What is the topic?",
    "What is the main point that is made?",
    "Who or what is mentioned?",
    "What happens, according to the recording?",
    "What reasons or examples are given?",
    "Which detail is worth remembering?",
    "What does the speaker want the listeners to do or to know?",
    "What is said about the most important person or thing in it?",
    "Are there names, places or numbers in it? Which?",
    "How does the recording end?",
)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Of the words of a key sentence, those that a clip must hold: cuts and skips take some.
_HELD = 0.8


@dataclass(frozen=True)
class Exercise:
    """A question as the model is asked it, and the answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class Request:
    """What a language model that reads the transcript is asked, for the answer to `question`.

    `prompt` and `request` are what it gets before and after the transcript.
    """

    question: str
    prompt: Prompt
    request: str


def transcription(lines: Sequence[str], rng: Random) -> Exercise:
    """To write down the lines of a clip."""
    return Exercise(rng.choice(TRANSCRIBING), " ".join(lines))


def continuation(lines: Sequence[str], line_count: int, rng: Random) -> Exercise:
    """To say the line that follows the first `line_count` lines, which are all that is heard."""
    if not 0 < line_count < len(lines):
        raise ValueError(f"{line_count} of {len(lines)} lines leave nothing to go on with")
    return Exercise(rng.choice(CONTINUING), lines[line_count])


def own_questions(
    questions: Sequence[Question], lines: Sequence[str], rng: Random, *, whole: bool
) -> list[Exercise]:
    """Questions of the document that a clip with these lines answers; all of them when `whole`.

    A question belongs to a clip in which its key sentence is said; without one, all words of four
    letters or more of its answer. Every other one with choices names them and wants a letter.
    """
    exercises = []
    for question in answered(questions, lines, whole=whole):
        wording = rng.random()
        if question.choices and wording < 0.5:
            exercises.append(_by_letter(question))
        else:
            exercises.append(Exercise(_asked(question.question, wording), question.answer))
    return exercises


def request(
    questions: Sequence[Question], lines: Sequence[str], rng: Random, *, whole: bool
) -> Request:
    """What a language model is to answer about a clip: a summary, a question of its document that
    the clip answers (a small model makes answers up to others), or a general one.
    """
    kind, wording = rng.random(), rng.random()
    if kind < 0.4:
        question = rng.choice(SUMMARISING)
        return Request(question, SUMMARISE, f"\n\n{question}")
    candidates = answered(questions, lines, whole=whole) if kind < 0.7 else []
    question = rng.choice([candidate.question for candidate in candidates] or GENERAL)
    return Request(_asked(question, wording), ASK, prompts.question(question))


def _asked(question: str, wording: float) -> str:
    """As it was put, or as `fls ask` puts questions."""
    return question if wording < 0.75 else prompts.question(question).strip()


def _by_letter(question: Question) -> Exercise:
    listed = "\n".join(
        f"{letter}. {choice}" for letter, choice in zip(_LETTERS, question.choices, strict=False)
    )
    letter = _LETTERS[question.choices.index(question.answer)]
    return Exercise(
        f"{question.question}\n{listed}\nReply with the letter of the right answer only.", letter
    )


def answered(
    questions: Sequence[Question], lines: Sequence[str], *, whole: bool
) -> Sequence[Question]:
    """Those that lines answer: whose key sentence is among them; without one, those of whose answer
    every longer word is. All when the lines are the whole document.
    """
    if whole:
        return questions
    words = set(normalise(" ".join(lines)).split())
    return [question for question in questions if _answers(words, question)]


def _answers(spoken_words: set[str], question: Question) -> bool:
    if question.key is not None:
        words = set(normalise(question.key).split())
        return bool(words) and len(words & spoken_words) >= _HELD * len(words)
    words = {word for word in normalise(question.answer).split() if re.search(r"\w{4}|\d", word)}
    return bool(words) and words <= spoken_words
