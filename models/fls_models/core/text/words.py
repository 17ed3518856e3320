"""Words as they are compared: in one spelling, but for their endings.

Everything is normalised first, so that `fifteen` is 15. Two words are the same when they are equal
or begin with the same five letters or more that make up 60 % of the longer one (holographic,
holograms). The list of words that say nothing by themselves is English.
"""

from collections import Counter
from collections.abc import Container, Sequence

from fls_models.core.text.normalizer import normalise

_SAME_LETTERS = 5
_SAME_PART = 0.6
_GRAM, _COPIED = 4, 0.8
# No word for "one": it may be the number that is asked for.
_EMPTY_WORDS = """
    a about after again all also an and any are as at be because been before being both but by
    can could did do does doing done during each for from get had has have having he her his how
    i if in into is it its just may might more most much must my no not of on or other our
    out over own she should so some such than that the their them then there these they this
    those through to too under up use used uses using very was we were what when where which who
    whom whose why will with would you your
"""
_EMPTY = frozenset(_EMPTY_WORDS.split())
# A word that is nowhere said.
_BETWEEN = "qxzqxz"
# A number and its unit are two words, so that "20%" covers most of "improved by 20%".
_UNITS = str.maketrans(
    {"%": " percent ", "$": " dollars ", "£": " pounds ", "€": " euros ", "¢": " cents "}
)


def words_of(text: str) -> list[str]:
    """Words as they are compared, normalised."""
    return normalise(text).translate(_UNITS).split()


def words_of_each(texts: Sequence[str]) -> list[list[str]]:
    """The same of many texts, in a tenth of the time: what is normalised is one."""
    words: list[list[str]] = [[]]
    for word in words_of(f" {_BETWEEN} ".join(texts)):
        if word == _BETWEEN:
            words.append([])
        else:
            words[-1].append(word)
    return words if texts else []


def content_words(words: Sequence[str]) -> list[str]:
    """Those that say something by themselves."""
    return [word for word in words if word not in _EMPTY]


def grams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    """What stands in a row, word by word; of that, a copy shares nearly all with its origin."""
    return Counter(zip(*(words[start:] for start in range(_GRAM)), strict=False))


def is_copied(words: Sequence[str], said: Container[tuple[str, ...]]) -> bool:
    """Whether 80 % of its word 4-grams are among those that were said."""
    own = grams(words)
    return bool(own) and sum(gram in said for gram in own) >= _COPIED * len(own)


def covered(words: Sequence[str], reply: Sequence[str]) -> float:
    """The share of words that a reply has."""
    if not words:
        return 0.0
    return sum(any(same_word(word, candidate) for candidate in reply) for word in words) / len(
        words
    )


def same_word(word: str, candidate: str) -> bool:
    """Whether two words are one, but for their endings."""
    if word == candidate:
        return True
    if is_number(word) or is_number(candidate):
        return False
    same = 0
    for left, right in zip(word, candidate, strict=False):
        if left != right:
            break
        same += 1
    return same >= _SAME_LETTERS and same >= _SAME_PART * max(len(word), len(candidate))


def is_number(word: str) -> bool:
    """Whether a word is a number, as it is compared."""
    # Whisper's normaliser writes 1 as a word.
    return word == "one" or word[0].isdecimal()
