"""What Whisper wrote, with words of a vocabulary where those are what it heard.

A decoder that never saw a name writes what it knows instead. Where that is spelt much like an entry
of the vocabulary, the decoder itself is asked how likely each of the two is in this sound. So
nothing is written that was not nearly written anyway, however many entries there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fls_models.audio.together import Ask
from fls_models.audio.whisper.vocabulary import Candidate, Vocabulary, edges

# Tokens behind a change that are looked at, too: they have to fit.
_BEHIND = 8
# Changes of a text that are looked at, the most alike first.
_LIMIT = 24
# Positions of the decoder.
_POSITIONS = 448
# An entry is looked at for so many places of a text that are no better than others.
_PLACES = 3
_BLANK = "Ġ"


@dataclass(frozen=True, eq=False)
class ScoreRequest:
    """How likely the tokens `first` to `end` are after those before them and (T, D) of a window."""

    encoded: Tensor
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    first: int
    end: int


@dataclass(frozen=True)
class _Word:
    """Tokens `first` to `end` of a text, and what they say."""

    first: int
    end: int
    text: str


@dataclass(frozen=True)
class _Change:
    word: _Word
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Respelling:
    """Writes words of `vocabulary`; `tokenizer` is Whisper's, of which `special` is the first
    token that is no text."""

    vocabulary: Vocabulary
    tokenizer: Any
    special: int

    def respell(
        self, encoded: Tensor, prompt: Sequence[int], tokens: Sequence[int], ask: Ask
    ) -> list[int]:
        """The tokens of a window's text, timestamps included, with those of entries in place."""
        text = tuple(tokens)
        chosen: list[tuple[float, _Change]] = []
        for change in self._changes(text):
            behind = min(_BEHIND, len(text) - change.word.end)
            parts = (
                text,
                (*text[: change.word.first], *change.tokens, *text[change.word.end :]),
            )
            if len(prompt) + max(map(len, parts)) > _POSITIONS:
                continue
            lengths = change.word.end - change.word.first, len(change.tokens)
            before, after = (
                float(
                    ask(
                        "score",
                        ScoreRequest(
                            encoded,
                            tuple(prompt),
                            part,
                            change.word.first,
                            change.word.first + length + behind,
                        ),
                    )
                )
                for part, length in zip(parts, lengths, strict=True)
            )
            if after - before >= -self.vocabulary.margin:
                chosen.append((after - before, change))
        return _written(text, chosen)

    def _changes(self, tokens: Sequence[int]) -> Iterator[_Change]:
        found = [
            (candidate, sentence)
            for sentence in self._sentences(tokens)
            for candidate in _best(self.vocabulary.candidates([word.text for word in sentence]))
        ]
        found.sort(key=lambda pair: -pair[0].likeness)
        for candidate, words in found[:_LIMIT]:
            first, last = words[candidate.first], words[candidate.end - 1]
            text = edges(first.text)[0] + candidate.entry + edges(last.text)[2]
            new = tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)
            word = _Word(first.first, last.end, text)
            if new != tuple(tokens[word.first : word.end]):
                yield _Change(word, new)

    def _sentences(self, tokens: Sequence[int]) -> list[list[_Word]]:
        """Words between timestamps, as blanks part them."""
        sentences: list[list[_Word]] = [[]]
        for place, token in enumerate(tokens):
            if token >= self.special:
                sentences.append([])
                continue
            words = sentences[-1]
            begins = self.tokenizer.id_to_token(token).startswith(_BLANK)
            first = place if begins or not words else words.pop().first
            text = self.tokenizer.decode(list(tokens[first : place + 1]))
            words.append(_Word(first, place + 1, text))
        return [words for words in sentences if words]


def _best(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """Of each entry the places that are most like it."""
    places: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        own = places.setdefault(candidate.entry, [])
        if sum(map(candidate.touches, own)) < _PLACES:
            own.append(candidate)
            yield candidate


def _written(tokens: Sequence[int], chosen: Sequence[tuple[float, _Change]]) -> list[int]:
    """The tokens with changes that do not overlap, the likeliest first."""
    done: list[_Change] = []
    for _, change in sorted(chosen, key=lambda pair: -pair[0]):
        word = change.word
        if all(word.end <= other.word.first or other.word.end <= word.first for other in done):
            done.append(change)
    text = list(tokens)
    for change in sorted(done, key=lambda each: -each.word.first):
        text[change.word.first : change.word.end] = change.tokens
    return text
