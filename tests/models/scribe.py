"""A language model that replies as it is bid, and finds likely what it has read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

Reply = Callable[[str, str], str]


class Scribe:
    """`reply` gets what was read, and the request."""

    width = 1
    context_form = "words"

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._words: list[str] = []

    def tokenize(self, text: str) -> list[int]:
        self._words += [word for word in dict.fromkeys(text.split()) if word not in self._words]
        return [self._words.index(word) for word in text.split()]

    def embed(self, tokens: Sequence[int]) -> Tensor:
        return torch.tensor(list(tokens), dtype=torch.float32).reshape(-1, 1)

    def read(
        self, prompt: Any, recording: Tensor, *, rope_scale: float = 1.0, text: str = ""
    ) -> Any:
        words = [self._words[int(token)] for token in recording.flatten()]
        return SimpleNamespace(said=" ".join(words), tokens=len(words), bytes=0)

    def scores(self, context: Any, request: str, replies: Sequence[str]) -> list[Tensor]:
        known = {word.strip(".,?").lower() for word in context.said.split()}
        return [
            torch.tensor(
                [-0.5 if word.strip(".,?").lower() in known else -3.0 for word in text.split()]
            )
            for text in replies
        ]

    def attention(self, context: Any, request: str, reply: str, exchanges: Any = ()) -> Tensor:
        words = _plain(reply)
        looked = [float(word in words) for word in _plain(context.said)]
        return torch.tensor(looked).reshape(1, 1, -1)

    def choose(self, context: Any, request: str, options: Sequence[str]) -> str:
        return options[0]

    rows_at_once = 1

    def generate(self, context: Any, request: str, **_: Any) -> Iterator[str]:
        yield self._reply(context.said, request)


def _plain(text: str) -> list[str]:
    return [word.strip(".,?").lower() for word in text.split()]
