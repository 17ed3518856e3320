"""The contract of a large speech-language model: what the extractor asks of any of them.

Plain tensors in, plain tensors out. What a model needs to get there (feature extraction, padding,
quantised weights, a device) stays behind this line.

Letters: B windows, D encoder width, H width of the language model, T frames in, L frames out; n
positions that come, N positions with those before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fls_models.lslm.kv_cache import KVCache
from fls_models.lslm.prompts import Prompt


@dataclass(frozen=True)
class Draw:
    """A reply to be written: to which request, greedily at temperature 0."""

    request: str
    temperature: float = 0.0
    seed: int = 0


class Context(Protocol):
    """What a language model has made of a prompt and its recording; any number of requests use it.

    Reading is the expensive part. Nothing that follows changes a context.
    """

    @property
    def tokens(self) -> int:
        """Positions it takes in the model's window."""

    @property
    def bytes(self) -> int:
        """Memory it takes."""


class LanguageModel(Protocol):
    """Reads embeddings of a recording and answers in text."""

    @property
    def width(self) -> int:
        """H."""

    @property
    def rows_at_once(self) -> int:
        """How many replies are written together in little more time than one."""

    @property
    def context_form(self) -> str:
        """Changes when `pack` writes or `read` computes something else."""

    def tokenize(self, text: str) -> list[int]:
        """Token ids of plain text; markup of the model's own in it is text, too."""

    def embed(self, tokens: Sequence[int]) -> Tensor:
        """Input embeddings: n ids -> (n, H)."""

    def read(
        self, prompt: Prompt, recording: Tensor, *, rope_scale: float = 1.0, text: str = ""
    ) -> Any:
        """Reads the prompt and a recording's embeddings (L, H) into a Context.

        With `rope_scale` above 1 the rotary positions' window is that much longer (NTK-RoPE).
        `text` is what they stand for, where that is known: replies that repeat it may come sooner.
        """

    def pack(self, context: Any) -> bytes:
        """A context as bytes, to be kept for another process."""

    def unpack(self, packed: bytes, prompt: Prompt, text: str = "") -> Any:
        """The context that was packed, exactly; the others are those that it was read with."""

    def generate(
        self,
        context: Any,
        request: str,
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        exchanges: Sequence[tuple[str, str]] = (),
    ) -> Iterator[str]:
        """Streams the reply to a request; greedy at temperature 0. Pieces join to the reply.

        `exchanges` are requests about the same recording and the replies to them, oldest first.
        """

    def generate_all(
        self,
        context: Any,
        draws: Sequence[Draw],
        *,
        max_tokens: int,
        is_whole: Callable[[str], bool],
    ) -> Iterator[str]:
        """Replies in order, each the one that `generate` writes, up to `rows_at_once` of them.

        They are written side by side. One ends, too, as soon as `is_whole` says so of its text.
        """

    def scores(self, context: Any, request: str, replies: Sequence[str]) -> list[Tensor]:
        """Log-likelihood of each token of replies to a request, (n,) float32 each.

        The request is read once for all of them.
        """

    def attention(
        self, context: Any, request: str, reply: str, exchanges: Sequence[tuple[str, str]] = ()
    ) -> Tensor:
        """Where in the recording a reply's tokens look as they are written, on average.

        Returns:
            (layers, heads, L) float32 on the CPU: the part of each head's attention that goes to
            each of the recording's embeddings; the rest goes to the words around it.
        """

    def choose(self, context: Any, request: str, options: Sequence[str]) -> str:
        """The option whose first token is the likeliest beginning of a reply to a request."""

    def surprisal(self, context: Any, text: str, lead: str = "") -> Tensor:
        """-log p of each token of a question: (n,) float32. It follows the recording and `lead`."""


class Body(Protocol):
    """The layers of a decoder, between embeddings and logits, on one device."""

    @property
    def module(self) -> nn.Module:
        """What holds their weights, and what adapters are put on."""

    @property
    def config(self) -> Any:
        """Their sizes, by the names of transformers' `Qwen2Config`."""

    @property
    def device(self) -> torch.device:
        """Where they are."""

    def read(self, embeddings: Tensor, cache: KVCache, rope_scale: float) -> Tensor:
        """(n, H) behind what the cache holds -> hidden states (n, H); the cache holds them, too.

        With `rope_scale` above 1 the rotary positions' window is that much longer.
        """

    def read_each(self, embeddings: Tensor, caches: Sequence[KVCache], rope_scale: float) -> Tensor:
        """As `read` of one position behind each of n caches: (n, H) -> (n, H)."""

    def attention(self, embeddings: Tensor, cache: KVCache, rope_scale: float) -> list[Tensor]:
        """As `read`, but for each layer where its heads look, on average over the n positions.

        Returns:
            (heads, N) float32 on the CPU for each layer.
        """

    def through(self, embeddings: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """What the layers make of a batch, with gradients where they are wanted.

        Args:
            embeddings: (B, n, H).
            positions: (B, n) int64.
            mask: (B, n) bool, False for padding.

        Returns:
            (B, n, H).
        """


def scaled_frequencies(frequencies: Tensor, factor: float) -> Tensor:
    """Rotary frequencies, (d / 2,), of a window `factor` times as long: NTK-aware scaling.

    base' = base x factor ^ (d / (d - 2)): the slowest frequency is divided by the factor, the
    fastest stays (bloc97, "NTK-aware scaled RoPE", 2023).
    """
    if factor == 1.0:
        return frequencies
    slower = torch.linspace(0.0, 1.0, len(frequencies), device=frequencies.device)
    return frequencies * factor**-slower
