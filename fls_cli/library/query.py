"""What somebody looks for: words, "phrases", pref*, NEAR(words close, 10), OR, NOT.

Made into an expression of SQLite's FTS5, in which everything that was typed is quoted: there is no
way to a syntax error of its.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fls_models.core.text.unspaced import UNSPACED
from fls_models.errors import UsageError

_PARTS = re.compile(
    r"""NEAR\((?P<near>[^()]*)\) | "(?P<phrase>[^"]*)" | (?P<mark>OR|NOT|AND)(?!\S)
    | (?P<prefix>\w[\w'’.-]*)\* | (?P<word>[^\s"()]+)""",
    re.VERBOSE,
)
_DISTANCE = re.compile(r"^(.*?)(?:,\s*(\d+)\s*)?$", re.DOTALL)
# Scripts without blanks between words: each character is one for the index.
_UNSPACED = re.compile(f"[{UNSPACED}]")

Spellings = Callable[[str], Sequence[str]]
"""Other spellings of a word, each in FTS5's quotes."""


@dataclass(frozen=True)
class Term:
    """One thing that is looked for, as FTS5 has it; `word` where it may be spelt otherwise."""

    expression: str
    word: str | None = None

    def spelt(self, spellings: Spellings) -> str:
        """The term or any spelling of its word."""
        others = spellings(self.word) if self.word else ()
        return f"({' OR '.join([self.expression, *others])})" if others else self.expression


@dataclass(frozen=True)
class Query:
    """All groups are to be found, of each any term, and none of what is excluded.

    `words` are those that are looked for, as they were typed, without what joins them.
    """

    groups: tuple[tuple[Term, ...], ...]
    excluded: tuple[Term, ...] = ()
    words: str = ""

    @classmethod
    def parse(cls, text: str) -> Query:
        """What was typed; raises UsageError where nothing is looked for."""
        groups: list[tuple[Term, ...]] = []
        excluded: list[Term] = []
        mark, words = "", []
        for match in _PARTS.finditer(text):
            if match["mark"]:
                mark = match["mark"]
                continue
            term = _term(match)
            if term is None:
                continue
            if mark != "NOT":
                words.append(match["near"] or match["phrase"] or match["prefix"] or match["word"])
            if mark == "NOT":
                excluded.append(term)
            elif mark == "OR" and groups:
                groups[-1] = (*groups[-1], term)
            else:
                groups.append((term,))
            mark = ""
        if not groups:
            raise UsageError(
                "Nothing is looked for; name words that are said, such as fls search talks/ "
                '"honey price".'
            )
        return cls(tuple(groups), tuple(excluded), " ".join(words))

    def all_of(self, spellings: Spellings | None = None) -> str:
        """The expression for passages that have everything."""
        return self._without(" AND ".join(_any(group, spellings) for group in self.groups))

    def any_of(self, spellings: Spellings | None = None) -> str:
        """The expression for passages that have something."""
        return self._without(" OR ".join(_any(group, spellings) for group in self.groups))

    def none_of(self) -> str:
        """The expression for passages that have something of what is excluded; empty for none."""
        return " OR ".join(term.expression for term in self.excluded)

    def _without(self, wanted: str) -> str:
        return f"({wanted}) NOT ({self.none_of()})" if self.excluded else wanted


def _any(group: Sequence[Term], spellings: Spellings | None) -> str:
    terms = [term.spelt(spellings) if spellings else term.expression for term in group]
    return f"({' OR '.join(terms)})"


def _term(match: re.Match[str]) -> Term | None:
    if match["near"] is not None:
        return _near(match["near"])
    if match["prefix"]:
        return Term(f"{quoted(match['prefix'])}*")
    text = match["phrase"] if match["phrase"] is not None else match["word"]
    words = re.findall(r"\w+", text)
    if not words:
        return None
    is_word = match["phrase"] is None and len(words) == 1 and not _UNSPACED.search(text)
    return Term(quoted(text), words[0] if is_word else None)


def _near(inside: str) -> Term | None:
    match = _DISTANCE.match(inside)
    assert match is not None, "it matches anything"
    words = re.findall(r"\w+", match[1])
    if not words:
        return None
    return Term(f"NEAR({' '.join(map(quoted, words))}, {int(match[2] or 10)})")


def quoted(text: str) -> str:
    """A string of FTS5: a phrase, where it has several words."""
    words = re.findall(r"\w+", spaced(text))
    return f'"{" ".join(words)}"'


def spaced(text: str) -> str:
    """Text as it is indexed: each character is a word where words have no blanks between them."""
    return _UNSPACED.sub(lambda match: f" {match[0]} ", text)
