"""The sentences of a pass that a question is about, put before the model's eyes.

A small model that reads a page finds the fact more often when the two sentences nearest to the
question stand before it once more; what it gains says `benchmarks/README.md`.
"""

import re
from collections.abc import Callable

from fls_models.answering.readers.relevance import Relevance
from fls_models.answering.readers.text import ModelInput, quotation
from fls_models.core.text.words import content_words, is_number, same_word, words_of

# So many sentences; a pass of little more is all before its eyes.
_SENTENCES = 2
_FEWEST = 4
# What shares less with the question than this is not about it.
_LEAST = 0.05
# Words by which an answer says that there is something, and not what.
_SAYS_NOTHING = """
    according conference conversation discussed found highlighted information lecture made meeting
    mentioned noted observed presented recent recently recording said says shared speaker stated
    talked transcript
"""
_EMPTY = frozenset(_SAYS_NOTHING.split())
_VERDICTS = ("yes", "no")
_QUANTITIES = frozenset(
    [
        "all",
        "both",
        "dozen",
        "few",
        "half",
        "hundreds",
        "most",
        "no",
        "none",
        "quarter",
        "several",
        "third",
    ]
)
_ASKS_A_NUMBER = re.compile(r"\b(how many|what (percentage|share|number))\b", re.IGNORECASE)


def nearest(reading: ModelInput, question: str) -> str:
    """What a question is nearest to, in the recording's order; empty where nothing is near."""
    phrases = [phrase for phrase in reading.phrases if phrase.text]
    if len(phrases) < _FEWEST:
        return ""
    scores = Relevance([phrase.text for phrase in phrases]).to(question).tolist()
    # Of two that stand beside the nearest, what follows says more about it.
    ranked = sorted(range(len(phrases)), key=lambda place: (-scores[place], -place))
    best = sorted(ranked[:_SENTENCES])
    return quotation(phrases[place] for place in best if scores[place] >= _LEAST)


def adds_something(answer: str, question: str) -> bool:
    """Whether an answer says a word or a number that the question does not.

    To "What recent change was discussed?", "The recent change was discussed there" says none. What
    asks for numbers is answered by as many.
    """
    words, known = words_of(answer), words_of(question)
    if asked := len(_ASKS_A_NUMBER.findall(question)):
        return sum(is_number(word) or word in _QUANTITIES for word in words) >= asked
    # A month and a man may be called May and Will, which say nothing in small letters.
    names = words_of(" ".join(word for word in answer.split()[1:] if word[0].isupper()))
    return words[:1] in ([verdict] for verdict in _VERDICTS) or any(
        word not in _EMPTY and not any(same_word(word, other) for other in known)
        for word in [*content_words(words), *names]
    )


class HeldBack:
    """Shows an answer as it comes, from where it says something on."""

    def __init__(self, question: str, show: Callable[[str], None]) -> None:
        self._question, self._show = question, show
        self._pieces: list[str] = []
        self._is_open = False

    def __call__(self, piece: str) -> None:
        if self._is_open:
            self._show(piece)
            return
        self._pieces.append(piece)
        # The last word may go on.
        whole_words = "".join(self._pieces).rpartition(" ")[0]
        self._open_if(adds_something(whole_words, self._question))

    def is_shown(self, answer: str) -> bool:
        """Whether the answer, which is over, says anything; then all of it is shown."""
        if not self._is_open:
            self._open_if(adds_something(answer, self._question))
        return self._is_open

    def _open_if(self, says_something: bool) -> None:
        if says_something:
            self._is_open = True
            self._show("".join(self._pieces))
