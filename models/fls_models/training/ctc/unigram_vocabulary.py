"""The CTC vocabulary of a connector: tokens of a language model, chosen from texts.

What the head reads is what the language model reads, so that its embeddings serve as they are.
Texts are `spoken` first: small letters, with full stops, commas and question marks. A word that is
no token is spelled by others, the cheapest sequence of them (a unigram model's: Kudo 2018, arXiv
1804.10959), down to single letters.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fls_models.errors import UsageError
from fls_models.training.ctc.vocabulary import Vocabulary

_FORM = "spelling-1"
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ`´", "'"))
# Marks that a pause or a voice tells, by the three that are kept.
_MARKS = str.maketrans({"!": ".", "…": ".", ";": ",", ":": ","})
_LETTERS = "abcdefghijklmnopqrstuvwxyz'0123456789.,?"
_WHOLE = re.compile(r" ?(?:[^\W\d_]|')+")
# Tokens that were chosen and are not used any more keep a cost.
_UNUSED = 0.3
_ROUNDS = 2


class Tokenizer(Protocol):
    """A tokenizer of transformers."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...

    def decode(self, token_ids: list[int]) -> str: ...


@dataclass(frozen=True)
class Token:
    """A token of the language model.

    Attributes:
        text: most begin with a space: they begin a word.
        id: the language model's.
        cost: -log of how often it is used, nats.
    """

    text: str
    id: int
    cost: float


def spoken(text: str) -> str:
    """NFKC, small letters, digits, apostrophes within words, and `.,?` behind them; single spaces.

    >>> spoken("Well, it’s late – isn't it?!")
    "well, it's late isn't it."
    """
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES).translate(_MARKS)).lower()
    kept = (
        one if one in "'.,?" or unicodedata.category(one)[0] in "LMN" else " "
        # Again: some letters become marks only now.
        for one in text.translate(_MARKS)
    )
    text = re.sub(r"\s+([.,?])", r"\1", "".join(kept))
    text = re.sub(r"([.,?])(?=[^\s.,?])", r"\1 ", text)
    text = re.sub(r"[.,?]+(?=[.,?])", "", text)
    text = re.sub(r"(?<!\w)'|'(?!\w)", "", text)
    return " ".join(text.split()).lstrip(".,? ")


class Spelling(Vocabulary):
    """Tokens in the order of the head's classes: ids of the vocabulary are places among them."""

    file_name = "spelling.json"

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tuple(tokens)
        self._places = {one.text: place for place, one in enumerate(self.tokens)}
        if len(self._places) != len(self.tokens):
            raise ValueError("a token is there twice")
        self._longest = max(len(one.text) for one in self.tokens)
        self._spelled: dict[str, tuple[int, ...]] = {}

    @classmethod
    def of(cls, texts: Iterable[str], size: int, tokenizer: Tokenizer) -> Spelling:
        """At most so many tokens: single letters, then whole words and parts that texts need most.

        The same for the same texts. Raises UsageError when single letters are more than that.
        """
        words = _words(texts)
        counts: Counter[str] = Counter()
        for word, count in words.items():
            for token in tokenizer.encode(word, add_special_tokens=False):
                counts[tokenizer.decode([token])] += count
        letters = sorted({one for word in words for one in word} - {*_LETTERS, " "})
        singles = [*_LETTERS, *letters, " ", *(f" {one}" for one in (*_LETTERS[:-3], *letters))]
        ids = {one: _only(tokenizer, one) for one in dict.fromkeys(singles)}
        chosen = {text: token for text, token in ids.items() if token is not None}
        if len(chosen) > size:
            raise UsageError(f"Single letters alone are {len(chosen)} tokens; --vocab takes more.")
        # Ties are broken by the text, not by the order of a dictionary.
        for text, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
            if len(chosen) == size:
                break
            if text in chosen or not _WHOLE.fullmatch(text):
                continue
            if (found := _only(tokenizer, text)) is not None:
                chosen[text] = found
        return cls(
            _costed([Token(text, token, 0.0) for text, token in chosen.items()], counts)
        )._fitted(words)

    @classmethod
    def again(cls, ids: Sequence[int], texts: Iterable[str], tokenizer: Tokenizer) -> Spelling:
        """The one whose tokens have these ids in this order, with costs from other texts.

        Raises UsageError when they are no tokens of this tokenizer, each of another text.
        """
        words = _words(texts)
        try:
            tokens = [Token(tokenizer.decode([one]), one, 0.0) for one in ids]
            # Whatever they were: with equal costs the fewest tokens spell a word.
            return cls(_costed(tokens, {}))._fitted(words)
        except (ValueError, IndexError, OverflowError) as error:
            raise UsageError(
                f"The connector reads tokens that the language model has not ({error})."
            ) from error

    @classmethod
    def read(cls, file: Path) -> Spelling:
        """Raises UsageError when it is no file that `save` wrote."""
        try:
            raw: Any = json.loads(file.read_text("utf-8"))
            if raw["form"] != _FORM:
                raise ValueError(f"form {raw['form']}")
            return cls(
                [Token(str(text), int(one), float(cost)) for text, one, cost in raw["tokens"]]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{file} is no vocabulary of a connector ({error}).") from error

    @property
    def size(self) -> int:
        return len(self.tokens)

    @property
    def ids(self) -> tuple[int, ...]:
        """The language model's tokens, in the order of the head's classes."""
        return tuple(one.id for one in self.tokens)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, made `spoken` first; signs that no token spells are left out."""
        return [place for unit in _units(spoken(text)) for place in self._cheapest(unit)]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join("".join(self.tokens[one].text for one in ids).split())

    def as_bytes(self) -> bytes:
        told = {"form": _FORM, "tokens": [[one.text, one.id, one.cost] for one in self.tokens]}
        return json.dumps(told, ensure_ascii=False, indent=0).encode()

    def _cheapest(self, unit: str) -> tuple[int, ...]:
        """Viterbi over the costs; of equals, the one with the longest first token."""
        if (known := self._spelled.get(unit)) is not None:
            return known
        text = "".join(one for one in unit if one in self._places)
        if text.isspace():
            # Nothing is left of the word but the space before it.
            text = ""
        best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        for end in range(1, len(text) + 1):
            found: tuple[float, tuple[int, ...]] = (math.inf, ())
            for begin in range(max(0, end - self._longest), end):
                place = self._places.get(text[begin:end])
                if place is None:
                    continue
                cost = best[begin][0] + self.tokens[place].cost
                if cost < found[0]:
                    found = (cost, (*best[begin][1], place))
            best.append(found)
        self._spelled[unit] = best[-1][1]
        return best[-1][1]

    def _fitted(self, words: Mapping[str, int]) -> Spelling:
        """Costs by how often this spelling uses its tokens, again and again."""
        one = self
        for _ in range(_ROUNDS):
            counts: Counter[str] = Counter()
            for word, count in words.items():
                for place in one._cheapest(word):
                    counts[one.tokens[place].text] += count
            one = Spelling(_costed(one.tokens, counts))
        return one


def _costed(tokens: Sequence[Token], counts: Mapping[str, int]) -> list[Token]:
    total = max(1, sum(counts.values()))
    # Rounded: a file holds them to the last digit.
    costs = [-math.log((counts.get(one.text, 0) + _UNUSED) / total) for one in tokens]
    return [
        Token(one.text, one.id, round(cost, 4)) for one, cost in zip(tokens, costs, strict=True)
    ]


def _words(texts: Iterable[str]) -> Counter[str]:
    return Counter(unit for text in texts for unit in _units(spoken(text)))


def _units(text: str) -> list[str]:
    """Words with the space before them, and the mark behind them by itself."""
    found = []
    for word in text.split():
        bare = word.rstrip(".,?")
        found += [f" {bare}"] * bool(bare) + [*word[len(bare) :]]
    return found


def _only(tokenizer: Tokenizer, text: str) -> int | None:
    """The one token that is the text."""
    found = tokenizer.encode(text, add_special_tokens=False)
    return found[0] if len(found) == 1 else None
