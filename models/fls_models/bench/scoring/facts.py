"""Does an answer in words hold the right fact? A rule on strings, so that anybody gets the same.

Of a choice counts what it adds: its numbers, and its content words that the question does not hold
already (all of them, if it adds none). Everything is normalised first, so that `fifteen` is 15.
An answer holds the right fact when

* it names every number of the correct choice,
* it covers at least 60 % of what the correct choice adds, and
* it covers less of what every other choice adds.

Two words are the same when they are equal or begin with the same five letters or more that make up
60 % of the longer one (holographic, holograms); two words of an answer may be one of the choice
(angel list, AngelList). An answer that says the fact in other words counts as wrong, one that
negates it as right: the report lists every answer. Of SPIRAL's training part, 772 questions, the
rule accepts 759 correct choices as their own answer, 702 sentences that the answer lies in, and
no wrong choice.
"""

from collections.abc import Sequence
from itertools import pairwise

from fls_models.transcription.normalizer import normalise

_COVERED = 0.6
_SAME_LETTERS = 5
_SAME_PART = 0.6
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
# A number and its unit are two words, so that "20%" covers most of "improved by 20%".
_UNITS = str.maketrans(
    {"%": " percent ", "$": " dollars ", "£": " pounds ", "€": " euros ", "¢": " cents "}
)


def holds_fact(answer: str, question: str, choices: Sequence[str], correct: int) -> bool:
    """Whether an answer names the correct choice, and none of the others as well."""
    reply = words_of(answer)
    reply += [left + right for left, right in pairwise(reply) if not is_number(left + right)]
    terms = words_of(question)
    shares = [covered(_added(choice, terms), reply) for choice in choices]
    numbers = [word for word in _added(choices[correct], terms) if is_number(word)]
    right = shares.pop(correct)
    return (
        right >= _COVERED
        and all(number in reply for number in numbers)
        and all(right > wrong for wrong in shares)
    )


def words_of(text: str) -> list[str]:
    """Words as they are compared, normalised."""
    return normalise(text).translate(_UNITS).split()


def _added(choice: str, terms: Sequence[str]) -> list[str]:
    """What a choice says beyond the question."""
    words = list(dict.fromkeys(words_of(choice)))
    content = content_words(words) or words
    return [word for word in content if not any(same_word(word, term) for term in terms)] or content


def content_words(words: Sequence[str]) -> list[str]:
    """Those that say something by themselves."""
    return [word for word in words if word not in _EMPTY]


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
