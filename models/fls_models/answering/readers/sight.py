"""The sentences of a pass that a question is about, put before the model's eyes; and what of its
answer is shown.

A small model that reads a page finds the fact more often when the two sentences nearest to the
question stand before it once more; what it gains says `benchmarks/README.md`.
"""

from collections.abc import Callable, Iterator

from fls_models.answering.readers.relevance import Relevance
from fls_models.answering.readers.text import ModelInput, quotation
from fls_models.core.text.sentence_ends import sentence_ends
from fls_models.core.text.words import content_words, same_word, words_of

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

    To "What recent change was discussed?", "The recent change was discussed there" says none.
    """
    words, known = words_of(answer), words_of(question)
    # A month and a man may be called May and Will, which say nothing in small letters.
    names = words_of(" ".join(word for word in answer.split()[1:] if word[0].isupper()))
    return words[:1] in ([verdict] for verdict in _VERDICTS) or any(
        word not in _EMPTY and not any(same_word(word, other) for other in known)
        for word in [*content_words(words), *names]
    )


class HeldBack:
    """Shows an answer sentence by sentence, from where it `answers`, and only what `holds`."""

    def __init__(
        self,
        answers: Callable[[str], bool],
        holds: Callable[[str], bool],
        show: Callable[[str], None],
    ) -> None:
        self._answers, self._holds, self._show = answers, holds, show
        self._coming = self._waiting = self._shown = ""

    def __call__(self, piece: str) -> None:
        self._coming += piece
        while end := next(_ends(self._coming), 0):
            self._take(self._coming[:end])
            self._coming = self._coming[end:]

    def finish(self) -> str:
        """All that is shown of the answer, which is over; empty where it says nothing."""
        self._take(self._coming)
        self._coming = ""
        return self._shown.strip()

    def _take(self, sentence: str) -> None:
        if not sentence.strip() or not self._holds(sentence):
            return
        self._waiting += sentence
        if self._shown or self._answers(self._waiting):
            self._show(self._waiting)
            self._shown += self._waiting
            self._waiting = ""


def _ends(text: str) -> Iterator[int]:
    """Behind each sentence, and each line of a list."""
    yield from sorted({*sentence_ends(text), *(at + 1 for at, c in enumerate(text) if c == "\n")})
