"""The contract of a large speech-language model: what the extractor asks of any of them.

Plain tensors in, plain tensors out. What a model needs to get there (feature extraction, padding,
quantised weights, a device) stays behind this line.

Letters: B windows, D encoder width, H width of the language model, T frames in, L frames out.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from torch import Tensor

from fls_models.lslm.prompts import Prompt


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
    def context_form(self) -> str:
        """Changes when `pack` writes or `read` computes something else."""

    def tokenize(self, text: str) -> list[int]:
        """Token ids of plain text; markup of the model's own in it is text, too."""

    def embed(self, tokens: Sequence[int]) -> Tensor:
        """Input embeddings: n ids -> (n, H)."""

    def read(self, prompt: Prompt, recording: Tensor, *, rope_scale: float = 1.0) -> Any:
        """Reads the prompt and a recording's embeddings (L, H) into a Context.

        With `rope_scale` above 1 the rotary positions' window is that much longer (NTK-RoPE).
        """

    def pack(self, context: Any) -> bytes:
        """A context as bytes, to be kept for another process."""

    def unpack(self, packed: bytes, prompt: Prompt) -> Any:
        """The context that was packed, exactly; `prompt` is the one it was read with."""

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
