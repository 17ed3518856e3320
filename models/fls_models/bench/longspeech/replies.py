"""A language model reads the passes of one recording and replies, with the seconds of each stage.

Every pass is read and asked, as `fls ask` does where nothing is refused. What is compared are ways
to shorten recordings, so nothing here judges whether a pass speaks of the question.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from fls_models.answering.generation import GenerationConfig
from fls_models.answering.map_reduce import merged
from fls_models.bench.longspeech.passes import ReadPasses
from fls_models.core.progress import ignore
from fls_models.lslm import prompts
from fls_models.lslm.base import Context, LanguageModel
from fls_models.planning.flops import DecoderDims, decode_flops, prefill_flops
from fls_models.transcription.speech_lm import unwrapped


@dataclass
class ReplyCost:
    """What replying took.

    Attributes:
        first: seconds from the first request to the first words of the reply; None without a reply.
        reply: seconds of replying, notes of several passes included.
        read_tokens, written_tokens: of all passes and notes.
        flops: of the language model, None where its dimensions are not known.
    """

    first: float | None = None
    reply: float = 0.0
    read_tokens: int = 0
    written_tokens: int = 0
    flops: int | None = None


class PassReading:
    """One request about a recording, whose passes one method gave.

    Args:
        max_notes: tokens of notes that are read together.
        dims: of the language model, to count operations.
        seconds: a clock that waits for the device.
    """

    def __init__(
        self,
        llm: LanguageModel,
        passes: ReadPasses,
        max_notes: int,
        dims: DecoderDims | None,
        seconds: Callable[[], float],
    ) -> None:
        self._llm = llm
        self._passes = passes
        self._max_notes = max_notes
        self._dims = dims
        self._seconds = seconds
        self.spent = ReplyCost(flops=None if dims is None else 0)

    def likelihoods(
        self, request: str, choices: Sequence[str], *, counted: bool = False
    ) -> list[float]:
        """Mean log-likelihood a token of each choice as a reply; of several passes, the best.

        `counted`: as `read` does.
        """
        best = [float("-inf")] * len(choices)
        for index in range(len(self._passes)):
            context = self._passes.context(index)
            if counted:
                self._count(context.tokens, request, "")
            for number, score in enumerate(self._llm.scores(context, request, choices)):
                best[number] = max(best[number], float(score.mean()))
        return best

    def read(self, request: str) -> None:
        """Reads all passes and counts what the first words of a reply would have taken."""
        for index in range(len(self._passes)):
            self._count(self._passes.context(index).tokens, request, "")

    def answer(self, request: str, max_tokens: int) -> str:
        """The reply to a request, merged from notes where there are several passes."""
        begun, reading = self._seconds(), self._passes.spent

        def show(text: str) -> None:
            if self.spent.first is None:
                self.spent.first = self._seconds() - begun - (self._passes.spent - reading)

        def decode(context: Context, show: Callable[[str], None]) -> str:
            return self._reply(context, request, max_tokens, show)

        def reply(index: int, show: Callable[[str], None]) -> str:
            return decode(self._passes.context(index), show)

        text = merged(
            self._llm,
            [partial(reply, index) for index in range(len(self._passes))],
            decode,
            max_tokens=self._max_notes,
            show=show,
            progress=ignore,
        )
        self.spent.reply += self._seconds() - begun - (self._passes.spent - reading)
        return text

    def transcript(self, request: str, max_tokens: int) -> str:
        """What is said in the passes, one after the other, each at most so many tokens."""
        texts = []
        for index in range(len(self._passes)):
            context = self._passes.context(index)
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
        text = GenerationConfig(max_tokens).decode(self._llm, context, request, show)
        self._count(context.tokens, request, text)
        return text

    def _count(self, context: int, request: str, reply: str) -> None:
        # The markup around a request, a handful of tokens, is left out.
        read_tokens = context + len(self._llm.tokenize(request))
        written_tokens = len(self._llm.tokenize(reply))
        self.spent.read_tokens += read_tokens
        self.spent.written_tokens += written_tokens
        if self._dims is not None and self.spent.flops is not None:
            self.spent.flops += prefill_flops(self._dims, read_tokens)
            self.spent.flops += decode_flops(self._dims, read_tokens, max(written_tokens - 1, 0))


def request_for(task: str, question: str) -> str:
    """What is asked of a model that has read the recording."""
    if task == "asr":
        return prompts.transcription(None)
    if task == "summary":
        return f"\n\n{question}"
    return prompts.question(question)
