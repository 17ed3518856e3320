"""Names and numbers of a text, which are right or wrong, whatever the words around them.

Names are words with a capital inside a sentence, and at its beginning where what was said has them
inside one, or the next word is a name, too.
"""

import re
from collections.abc import Collection, Sequence

from fls_models.core.text.words import content_words, is_number, same_word, words_of

_WORD = re.compile(r"[^\W_][\w'’.-]*")
_PAUSE = re.compile(r"\W*\S+[,;:!?]\s")
_I = re.compile(r"I(['’]\w+)?")
# ISO 639-1: every noun has a capital there, and endings of its own.
_CAPITAL_NOUNS = frozenset(("de", "lb"))


class ExactWords:
    """Names and numbers that were said, in sentences or as names of those who speak."""

    def __init__(
        self, sentences: Sequence[str], speakers: Collection[str] = (), language: str | None = None
    ) -> None:
        everything = " ".join([*sentences, *speakers])
        self._inflects = language in _CAPITAL_NOUNS
        self._written = {
            part for word in _written(everything) for part in (word.casefold(), *_parts(word))
        }
        self._numbers = {word for word in words_of(everything) if is_number(word)}
        inside = [word for sentence in sentences for word in _written(sentence)[1:]]
        inside += [word for speaker in speakers for word in _written(speaker)]
        self._names = {word.casefold() for word in inside if word[0].isupper()}

    def of(self, sentence: str) -> list[str]:
        """The names and numbers of a sentence."""
        written = _written(sentence)
        names = [word for word in written[1:] if word[0].isupper() and not _I.fullmatch(word)]
        if written and written[0][0].isupper():
            first = written[0]
            # Not "Yes, Anna" and "Today I".
            is_followed = names[:1] == written[1:2] != [] and not _PAUSE.match(sentence)
            is_known = first.casefold() in self._names
            if (is_known or is_followed) and content_words([first.lower()]):
                names.insert(0, first)
        numbers = (word for word in words_of(sentence) if is_number(word) and word != "one")
        return [*names, *numbers]

    def wrong(self, sentence: str) -> tuple[str, ...]:
        """Those of a sentence that were not said."""
        return tuple(word for word in self.of(sentence) if not self._holds(word))

    def _holds(self, word: str) -> bool:
        if word in self._numbers:
            return True
        is_name = any(letter.isalpha() for letter in word)
        return is_name and all(map(self._was_written, _parts(word)))

    def _was_written(self, part: str) -> bool:
        if _bare(part) in self._written:
            return True
        return self._inflects and any(same_word(part, word) for word in self._written)


def _written(text: str) -> list[str]:
    return [_bare(word) for word in _WORD.findall(text)]


def _parts(word: str) -> list[str]:
    """What hyphens join."""
    return [part for part in re.split(r"[-–]", word.casefold()) if part]


def _bare(word: str) -> str:
    """Without a possessive's ending and what ends a sentence."""
    word = word.strip(".'’-")
    return re.sub(r"['’]s?$", "", word) or word
