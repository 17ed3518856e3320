"""Whether what was heard bears out a sentence that a language model wrote about it.

By its words: names and numbers were said, and of the words that say something most were, a few
phrases from each other, those around names and numbers in the order in which they were said, and
people have the parts that they had (`roles`).
And by likelihood: a sentence s = (s_1 ... s_n), written on a request, is likelier after what it
tells of,

    gain = 1/n sum_i  log p(s_i | recording, request) - log p(s_i | nothing, request)

in nats per token, where `nothing` is the prompt with "..." for a recording. That a model excuses
itself or says what it would say of any recording gains little; words tell better what it makes up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import LCSseq

from fls_models.answering.readers.text import Phrase
from fls_models.answering.summaries.roles import keeps_roles
from fls_models.core.text.exact import ExactWords
from fls_models.core.text.words import (
    content_words,
    covered,
    is_number,
    words_of,
    words_of_each,
)
from fls_models.lslm.base import Context, LanguageModel
from fls_models.lslm.context_cache import ContextCache
from fls_models.lslm.prompts import Prompt

_NOTHING = "..."
# Nats per token.
_GAIN = 1.0
# So many of its content words are said in so many phrases in a row.
_SAID, _TOGETHER, _FEW = 0.6, 5, 4
# Names and numbers are looked for in so many in a row.
_NEXT = 3
# And of a sentence with names or numbers, or told again from one phrase, so many are words of what
# was said, in its order.
_ORDERED = 0.85
# One part of so many may stand at the other end.
_MOVED = 3
# Of the words that say nothing by themselves, those that turn what stands around them.
_HINGES = frozenset(("not", "no", "more", "most", "than", "over", "under"))
_NEGATION_WORDS = """
    not no never none nobody nothing neither nor cannot without nicht nichts nie niemals niemand
    kein keine keinen keinem keiner ohne pas jamais rien personne sans aucun aucune nunca nadie
    nada sin ningún ninguna ninguno jamás tampoco
"""
_NEGATIONS = frozenset(_NEGATION_WORDS.split())
# Letters by which two words are one there: all of the shorter one, or so many.
_STEM, _SHORTEST = 5, 3


@dataclass(frozen=True)
class Support:
    """What sentences about one recording are held against; `exact` is None where no words are
    known, `language` the recording's, by its English name."""

    reads: ContextCache
    exact: ExactWords | None
    language: str = "English"

    def bears_out(
        self,
        sentence: str,
        context: Context,
        prompt: Prompt,
        request: str,
        phrases: Sequence[Phrase],
    ) -> bool:
        """Whether a sentence, the reply to a request about what a context holds, is true to it.

        `phrases` are what it holds. Of frames, whose words are not known, every sentence passes:
        what their likelihoods mean is measured for no model.
        """
        if not sentence or self.exact is None:
            return bool(sentence)
        if self.exact.wrong(sentence) or not is_said(sentence, phrases):
            return False
        if not is_in_place(sentence, self.exact.of(sentence), phrases):
            return False
        if not keeps_roles(sentence, phrases, self.language):
            return False
        return self.gain(sentence, context, prompt, request) >= _GAIN

    def gain(self, sentence: str, context: Context, prompt: Prompt, request: str) -> float:
        """By how much likelier it is after what a context holds, in nats per token."""
        llm: LanguageModel = self.reads.llm
        nothing = self.reads.read(prompt, llm.embed(llm.tokenize(_NOTHING)))
        [with_it] = llm.scores(context, request, [sentence])
        [without] = llm.scores(nothing, request, [sentence])
        return float((with_it - without).mean())


def is_said(sentence: str, phrases: Sequence[Phrase]) -> bool:
    """Whether most of a sentence's words are said in phrases in a row, of few words all.

    Names of those who speak are not among what they say.
    """
    speakers = words_of(" ".join(phrase.speaker or "" for phrase in phrases))
    content = [word for word in content_words(words_of(sentence)) if word not in speakers]
    least = _SAID if len(content) > _FEW else 1.0
    spoken = words_of_each([phrase.text for phrase in phrases])
    near = (spoken[first : first + _TOGETHER] for first in range(len(spoken)))
    return not content or any(
        covered(content, [word for words in some for word in words]) >= least for some in near
    )


def is_in_place(sentence: str, exact: Sequence[str], phrases: Sequence[Phrase]) -> bool:
    """Whether its names and numbers (`exact`) stand among words that they were said with.

    A number that was said of one thing and is written of another is the commonest error of small
    models: a drain that flooded 11 times, and floods that were "reduced by 11 times".
    """
    if not exact:
        return True
    wanted = words_of(" ".join(exact))
    spoken = [f"{phrase.speaker or ''} {phrase.text}" for phrase in phrases]
    near = [
        " ".join(spoken[first : first + count])
        for count in range(1, _NEXT + 1)
        for first in range(len(spoken) - count + 1)
    ]
    return any(
        covered(wanted, words) == 1 and keeps_order(sentence, said)
        for said, words in zip(near, words_of_each(near), strict=True)
    )


def keeps_order(sentence: str, said: str) -> bool:
    """Whether a sentence's words come as they were said, and few others: small models that put a
    sentence in another order have its people change places, or its verbs.

    Some words of what stands first ("last year") may stand last, or the other way round.
    """
    if not keeps_negations(sentence, said):
        return False
    words, others = (_telling(words_of(text)) for text in (sentence, said))
    words = [_stem(word, others) for word in words]
    content = content_words(words)
    if sum(word in others for word in content) < _ORDERED * len(content):
        return False
    most = len(words) // _MOVED
    turned = [words[count:] + words[:count] for count in range(-most, most + 1) if abs(count) != 1]
    shared = sum(word in others for word in words)
    return any(LCSseq.similarity(each, others) == shared for each in turned)


def keeps_negations(sentence: str, said: str) -> bool:
    """Whether a sentence denies nothing where nothing was denied, nor states what was denied: the
    word after "not"."""
    words, others = words_of(sentence), words_of(said)
    if not _NEGATIONS.isdisjoint(words):
        return not _NEGATIONS.isdisjoint(others)
    telling, following = set(content_words(others)) - _NEGATIONS, ""
    for word in reversed(others):
        if word in _NEGATIONS and following in words:
            return False
        if word in telling:
            following = word
    return True


def _telling(words: Sequence[str]) -> list[str]:
    """Those that say something, and those on which it hangs what the others say."""
    telling = _HINGES.union(content_words(words))
    return [word for word in words if word in telling]


def _stem(word: str, others: Sequence[str]) -> str:
    """The one of the others that a word is a form of; itself where there is none."""
    if word in others or is_number(word):
        return word
    for other in others:
        short = min(len(word), len(other), _STEM)
        if short >= _SHORTEST and word[:short] == other[:short]:
            return other
    return word
