"""A reply as it is written, token by token."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

# A reply whose last 3 x n tokens are one n-gram three times over says nothing new.
_LOOP_LENGTHS = range(4, 33)


class Reply:
    """Tokens of a reply and their text, until it ends.

    `ends` are the tokens that end it; it also ends where it repeats itself, or is `max_tokens`
    long. `temperature` and `seed` say how its tokens are chosen.
    """

    def __init__(
        self,
        tokenizer: Any,
        ends: Collection[int],
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._tokenizer = tokenizer
        self._ends = ends
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._generator = torch.Generator().manual_seed(seed)
        self._tokens: list[int] = []
        self.text = ""
        self.is_over = max_tokens < 1

    def pick(self, logits: Tensor) -> int:
        """The next token by its logits, (V,)."""
        if self._temperature <= 0:
            return int(logits.argmax())
        # What is below a token, of all; `torch.multinomial` takes 18 times as long.
        below = torch.softmax(logits / self._temperature, dim=-1).cumsum(0)
        place = torch.rand(1, generator=self._generator) * below[-1]
        return min(int(torch.searchsorted(below, place, right=True)), len(below) - 1)

    def append(self, token: int) -> str:
        """What a token adds to the text, which may be nothing yet."""
        if token in self._ends:
            self.is_over = True
            return ""
        self._tokens.append(token)
        if _loops(self._tokens):
            self.is_over = True
            return ""
        self.is_over = len(self._tokens) >= self._max_tokens
        text = str(self._tokenizer.decode(self._tokens, skip_special_tokens=True))
        # An unfinished character decodes to U+FFFD: wait for the token that completes it.
        if text.endswith("\ufffd"):
            return ""
        piece = text[len(self.text) :]
        self.text += piece
        return piece


def _loops(tokens: list[int]) -> bool:
    return any(
        tokens[-n:] == tokens[-2 * n : -n] == tokens[-3 * n : -2 * n]
        for n in _LOOP_LENGTHS
        if len(tokens) >= 3 * n
    )
