"""A language model reads the passes of one recording and replies, with the seconds of each stage.

Every pass is read and asked, as `fls ask` does where nothing is refused. What is compared are ways
to shorten recordings, so nothing here judges whether a pass speaks of the question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from fls_models import prompts
from fls_models.asking import Manner
from fls_models.bench.cost import DecoderDims, decode_flops, prefill_flops
from fls_models.lslm.base import Context, LanguageModel
from fls_models.merging import merged
from fls_models.progress import silent
from fls_models.prompts import Prompt
from fls_models.speech_transcription import unwrapped


@dataclass(frozen=True, eq=False)
class Pass:
    """Embeddings (L, H), made by `embeddings` when they are read; the prompt that goes before."""

    embeddings: Callable[[], Tensor]
    prompt: Prompt
    stretch: float = 1.0


@dataclass
class Spent:
    """What replying took.

    Attributes:
        read: seconds of reading each pass once.
        first: seconds from the first request to the first words of the reply; None without a reply.
        reply: seconds of replying, notes of several passes included.
        read_tokens, written_tokens: of all passes and notes.
        flops: of the language model, None where its dimensions are not known.
    """

    read: float = 0.0
    first: float | None = None
    reply: float = 0.0
    read_tokens: int = 0
    written_tokens: int = 0
    flops: int | None = None


class PassReading:
    """One recording's passes, as one method gives them. A single pass is read once for everything.

    Args:
        most: tokens of notes that are read together.
        dims: of the language model, to count operations.
        seconds: a clock that waits for the device.
    """

    def __init__(
        self,
        llm: LanguageModel,
        passes: Sequence[Pass],
        most: int,
        dims: DecoderDims | None,
        seconds: Callable[[], float],
    ) -> None:
        self._llm = llm
        self._passes = passes
        self._most = most
        self._dims = dims
        self._seconds = seconds
        self._kept: Context | None = None
        self._timed: set[int] = set()
        self._reading = 0.0
        self.spent = Spent(flops=None if dims is None else 0)

    def likelihoods(self, request: str, choices: Sequence[str]) -> list[float]:
        """Mean log-likelihood a token of each choice as a reply; of several passes, the best."""
        best = [float("-inf")] * len(choices)
        for index in range(len(self._passes)):
            context = self._read(index)
            for number, score in enumerate(self._llm.scores(context, request, choices)):
                best[number] = max(best[number], float(score.mean()))
        return best

    def read(self, request: str) -> None:
        """Reads all passes and counts what the first words of a reply would have taken."""
        for index in range(len(self._passes)):
            self._count(self._read(index).tokens, request, "")

    def answer(self, request: str, max_tokens: int) -> str:
        """The reply to a request, merged from notes where there are several passes."""
        begun, reading = self._seconds(), self._reading

        def show(text: str) -> None:
            if self.spent.first is None:
                self.spent.first = self._seconds() - begun - (self._reading - reading)

        def decode(context: Context, show: Callable[[str], None]) -> str:
            return self._reply(context, request, max_tokens, show)

        text = merged(
            self._llm,
            [partial(self._read, index) for index in range(len(self._passes))],
            decode,
            most=self._most,
            show=show,
            progress=silent,
        )
        self.spent.reply += self._seconds() - begun - (self._reading - reading)
        return text

    def transcript(self, request: str, max_tokens: int) -> str:
        """What is said in the passes, one after the other, each at most so many tokens."""
        texts = []
        for index in range(len(self._passes)):
            context = self._read(index)
            begun = self._seconds()
            before = self.spent.reply

            def show(text: str, begun: float = begun) -> None:
                if self.spent.first is None:
                    self.spent.first = self._seconds() - begun

            texts.append(unwrapped(self._reply(context, request, max_tokens, show)))
            self.spent.reply = before + self._seconds() - begun
        return " ".join(text for text in texts if text)

    def _reply(
        self, context: Context, request: str, max_tokens: int, show: Callable[[str], None]
    ) -> str:
        text = Manner(max_tokens).decode(self._llm, context, request, show)
        self._count(context.tokens, request, text)
        return text

    def _count(self, context: int, request: str, reply: str) -> None:
        # The markup around a request, a handful of tokens, is left out.
        read = context + len(self._llm.tokenize(request))
        written = len(self._llm.tokenize(reply))
        self.spent.read_tokens += read
        self.spent.written_tokens += written
        if self._dims is not None and self.spent.flops is not None:
            self.spent.flops += prefill_flops(self._dims, read)
            self.spent.flops += decode_flops(self._dims, read, max(written - 1, 0))

    def _read(self, index: int) -> Context:
        """Reads a pass; only the first time counts as reading, and one context is held at most."""
        if self._kept is not None and len(self._passes) == 1:
            return self._kept
        self._kept = None
        begun = self._seconds()
        one = self._passes[index]
        context: Context = self._llm.read(one.prompt, one.embeddings(), stretch=one.stretch)
        took = self._seconds() - begun
        self._reading += took
        if index not in self._timed:
            self._timed.add(index)
            self.spent.read += took
        if len(self._passes) == 1:
            self._kept = context
        return context


def request_for(task: str, question: str) -> str:
    """What is asked of a model that has read the recording."""
    if task == "asr":
        return prompts.transcription(None)
    if task == "summary":
        return f"\n\n{question}"
    return prompts.question(question)
