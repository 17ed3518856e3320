"""Which recordings promise an answer: those whose passages have most of a question's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fls_cli.library.index import Index
from fls_cli.library.query import Spellings, quoted

# How much further passages of a recording count beside its best one.
_FURTHER = 0.3
# Words of questions about recordings that say nothing of what is asked.
_OF_ANY = frozenset(
    """
    speaker speakers mention mentioned mentions discuss discussed discussion conversation recording
    recordings episode episodes podcast talk lecture meeting guest host specific detail details
    thing things say says said tell tells told know happened who what when where why how
    """.split()  # noqa: SIM905
)


def rank(index: Index, questions: Sequence[str]) -> list[list[int]]:
    """For each question numbers of wanted recordings (`Index.want`), the most promising first; none
    where no word of it was said."""
    from fls_cli.library.spelling import Spellings

    spellings = Spellings(index.vocabulary())
    return [_ranked(index, question, spellings) for question in questions]


def _ranked(index: Index, question: str, spellings: Spellings) -> list[int]:
    words = question_words(question)
    terms = [term for word in words for term in (quoted(word), *spellings(word))]
    if not terms:
        return []
    scores = index.scores(" OR ".join(dict.fromkeys(terms)))
    return sorted(scores, key=lambda number: (-_score(scores, number), number))


def question_words(question: str) -> list[str]:
    """Words of a question that say what is asked, each once; all where that is nothing."""
    from fls_models.core.text.words import content_words, words_of

    words = list(dict.fromkeys(words_of(question)))
    telling = content_words(words)
    return [word for word in telling if word not in _OF_ANY] or telling or words


def _score(scores: Mapping[int, Iterable[float]], number: int) -> float:
    best, *others = sorted(scores[number], reverse=True)
    return best + _FURTHER * sum(others)
