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
from dataclasses import dataclass, replace
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
    signs = (
        sign if sign in "'.,?" or unicodedata.category(sign)[0] in "LMN" else " "
        # Again: some letters become marks only now.
        for sign in text.translate(_MARKS)
    )
    text = re.sub(r"\s+([.,?])", r"\1", "".join(signs))
    text = re.sub(r"([.,?])(?=[^\s.,?])", r"\1 ", text)
    text = re.sub(r"[.,?]+(?=[.,?])", "", text)
    text = re.sub(r"(?<!\w)'|'(?!\w)", "", text)
    return " ".join(text.split()).lstrip(".,? ")


class Spelling(Vocabulary):
    """Tokens in the order of the head's classes: ids of the vocabulary are places among them."""

    file_name = "spelling.json"

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tuple(tokens)
        self._indices = {token.text: index for index, token in enumerate(self.tokens)}
        if len(self._indices) != len(self.tokens):
            raise ValueError("a token is there twice")
        self._max_length = max(len(token.text) for token in self.tokens)
        self._cache: dict[str, tuple[int, ...]] = {}

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
        letters = sorted({letter for word in words for letter in word} - {*_LETTERS, " "})
        beginnings = [f" {letter}" for letter in (*_LETTERS[:-3], *letters)]
        singles = [*_LETTERS, *letters, " ", *beginnings]
        single_ids = {text: _only(tokenizer, text) for text in singles}
        ids = {text: single for text, single in single_ids.items() if single is not None}
        if len(ids) > size:
            raise UsageError(f"Single letters alone are {len(ids)} tokens; --vocab takes more.")
        # Ties are broken by the text, not by the order of a dictionary.
        for text, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            if len(ids) == size:
                break
            if text in ids or not _WHOLE.fullmatch(text):
                continue
            if (single := _only(tokenizer, text)) is not None:
                ids[text] = single
        return cls(
            _costed([Token(text, single, 0.0) for text, single in ids.items()], counts)
        )._fitted(words)

    @classmethod
    def again(cls, ids: Sequence[int], texts: Iterable[str], tokenizer: Tokenizer) -> Spelling:
        """The one whose tokens have these ids in this order, with costs from other texts.

        Raises UsageError when they are no tokens of this tokenizer, each of another text.
        """
        words = _words(texts)
        try:
            tokens = [Token(tokenizer.decode([token_id]), token_id, 0.0) for token_id in ids]
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
                [Token(str(text), int(number), float(cost)) for text, number, cost in raw["tokens"]]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{file} is no vocabulary of a connector ({error}).") from error

    @property
    def size(self) -> int:
        return len(self.tokens)

    @property
    def ids(self) -> tuple[int, ...]:
        """The language model's tokens, in the order of the head's classes."""
        return tuple(token.id for token in self.tokens)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, made `spoken` first; signs that no token spells are left out."""
        return [index for unit in _units(spoken(text)) for index in self._cheapest(unit)]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join("".join(self.tokens[index].text for index in ids).split())

    def as_bytes(self) -> bytes:
        tokens = [[token.text, token.id, token.cost] for token in self.tokens]
        payload = {"form": _FORM, "tokens": tokens}
        return json.dumps(payload, ensure_ascii=False, indent=0).encode()

    def _cheapest(self, unit: str) -> tuple[int, ...]:
        """Viterbi over the costs; of equals, the one with the longest first token."""
        if (cached := self._cache.get(unit)) is not None:
            return cached
        text = "".join(letter for letter in unit if letter in self._indices)
        if text.isspace():
            # Nothing is left of the word but the space before it.
            text = ""
        best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        for end in range(1, len(text) + 1):
            candidate: tuple[float, tuple[int, ...]] = (math.inf, ())
            for begin in range(max(0, end - self._max_length), end):
                index = self._indices.get(text[begin:end])
                if index is None:
                    continue
                cost = best[begin][0] + self.tokens[index].cost
                if cost < candidate[0]:
                    candidate = (cost, (*best[begin][1], index))
            best.append(candidate)
        self._cache[unit] = best[-1][1]
        return best[-1][1]

    def _fitted(self, words: Mapping[str, int]) -> Spelling:
        """Costs by how often this spelling uses its tokens, again and again."""
        spelling = self
        for _ in range(_ROUNDS):
            counts: Counter[str] = Counter()
            for word, count in words.items():
                for index in spelling._cheapest(word):
                    counts[spelling.tokens[index].text] += count
            spelling = Spelling(_costed(spelling.tokens, counts))
        return spelling


def _costed(tokens: Sequence[Token], counts: Mapping[str, int]) -> list[Token]:
    total = max(1, sum(counts.values()))
    # Rounded: a file holds them to the last digit.
    costs = (-math.log((counts.get(token.text, 0) + _UNUSED) / total) for token in tokens)
    return [replace(token, cost=round(cost, 4)) for token, cost in zip(tokens, costs, strict=True)]


def _words(texts: Iterable[str]) -> Counter[str]:
    return Counter(unit for text in texts for unit in _units(spoken(text)))


def _units(text: str) -> list[str]:
    """Words with the space before them, and the mark behind them by itself."""
    units = []
    for word in text.split():
        bare = word.rstrip(".,?")
        units += [f" {bare}"] * bool(bare) + [*word[len(bare) :]]
    return units


def _only(tokenizer: Tokenizer, text: str) -> int | None:
    """The one token that is the text."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    return ids[0] if len(ids) == 1 else None
