"""Guesses at how a reply goes on: as the same words went on before, in the recording or the reply.

A decoder reads several tokens at once in little more time than one, and tells of each which would
have come next: of a guess it keeps what it would have written itself, so that replies stay as they
are. Where they repeat what was said, several tokens come at the price of one (prompt lookup
decoding: Saxena, 2023; the check: Leviathan et al., "Fast inference from transformers via
speculative decoding", arXiv 2211.17192).
"""

from collections.abc import Sequence

# Of so many tokens that the reply ends with, the more the surer: 2 to 5 made replies about SPIRAL
# soonest.
_LONGEST = 5
_SHORTEST = 2


class Drafts:
    """Guesses for one reply, of at most `length` tokens each, from what `source` says."""

    def __init__(self, source: Sequence[int], length: int) -> None:
        self._length = length
        self._tokens: list[int] = []
        # Where each n-gram is first followed by something.
        self._after: dict[tuple[int, ...], int] = {}
        for token in source:
            self._append(token)
        self._source = len(self._tokens)

    def append(self, token: int) -> None:
        """A token of the reply."""
        self._append(token)

    def guess(self) -> list[int]:
        """What may come next; nothing where nothing is like it."""
        if not self._length:
            return []
        reply = len(self._tokens) - self._source
        for n in range(min(_LONGEST, reply), _SHORTEST - 1, -1):
            place = self._after.get(tuple(self._tokens[-n:]))
            if place is not None:
                return self._tokens[place : place + self._length]
        return []

    def _append(self, token: int) -> None:
        end = len(self._tokens)
        for n in range(_SHORTEST, min(_LONGEST, end) + 1):
            self._after.setdefault(tuple(self._tokens[end - n :]), end)
        self._tokens.append(token)
