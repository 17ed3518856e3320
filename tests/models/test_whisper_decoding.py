"""When a text goes on that Whisper would end: speech is left, and what follows is not doubted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from fls_models.audio.whisper.decoding import Decoded, SpecialTokens, decode_windows

PROMPT, FIRST, SECOND, *OTHERS, END, SILENT, ZERO = range(26)
SPECIAL = SpecialTokens(END, SILENT, ZERO)
VOCABULARY = ZERO + 1501


def at(seconds: float) -> int:
    return ZERO + round(50 * seconds)


class Tokens(list[list[int]]):
    """A state: what was given to the decoder, by window."""

    def select(self, rows: Sequence[int]) -> None:
        self[:] = [self[row] for row in rows]


class Scripted:
    """A decoder that says "first" until 2 s, would end there, and says "second" if it may not.

    Unless it `is_sure`, many other words are nearly as likely as "second".
    """

    def __init__(self, *, is_sure: bool) -> None:
        self._others = -30.0 if is_sure else -0.1

    def begin(self, encoded: Sequence[Tensor], length: int, texts: int) -> Any:
        return Tokens([] for _ in range(texts * len(encoded)))

    def decode(self, tokens: Tensor, state: Tokens) -> Tensor:
        for written, new in zip(state, tokens.tolist(), strict=True):
            written += new
        return torch.stack([self._next(written[1:]) for written in state])[:, None]

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden.clone()

    def _next(self, written: Sequence[int]) -> Tensor:
        logits = torch.full((VOCABULARY,), -30.0)
        logits[[at(0), FIRST, at(2), at(2), END, at(4), END][len(written)]] = 9.0
        if len(written) == len(SHORT):
            logits[SECOND], logits[OTHERS] = 0.0, self._others
        return logits


def decode(*ends: float, is_sure: bool = True) -> list[Decoded]:
    """Of windows in which someone speaks until `ends`, seconds."""
    return decode_windows(
        cast(Any, Scripted(is_sure=is_sure)),
        [torch.zeros(1, 1)] * len(ends),
        [(PROMPT,)] * len(ends),
        SPECIAL,
        suppressed=[PROMPT],
        max_tokens=20,
        max_initial_timestamp=50,
        speech_ends=[round(50 * end) for end in ends],
    )


SHORT = [at(0), FIRST, at(2), at(2)]
LONG = [*SHORT, SECOND, at(4)]


def test_a_text_goes_on_while_speech_is_left() -> None:
    unknown, little, much = decode(0, 2.9, 4)
    assert (unknown.tokens, little.tokens, much.tokens) == (SHORT, SHORT, LONG)
    assert unknown.log_probability == little.log_probability
    # It is what was written that counts, not the end that was left out.
    assert much.log_probability == pytest.approx(0, abs=0.01)


def test_what_is_doubted_is_not_written() -> None:
    [ended] = decode(0, is_sure=False)
    [doubted] = decode(4, is_sure=False)
    assert doubted.tokens == ended.tokens == SHORT
    assert doubted.log_probability == pytest.approx(ended.log_probability, abs=1e-5)
