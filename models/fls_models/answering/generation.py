"""How the language model's replies are decoded, and where they end."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from fls_models.core.progress import ignore
from fls_models.core.results import Turn
from fls_models.core.text.sentence_ends import sentence_ends
from fls_models.lslm import prompts
from fls_models.lslm.base import Context, Draw, LanguageModel

# Two rows take twice as long as one, eight not much longer; and alone, drafts help.
_TOGETHER = 3


@dataclass
class TokenUsage:
    """What answering or summarising took: frames of the recording, tokens read and written, notes
    included."""

    frames: int = 0
    read: int = 0
    written: int = 0


@dataclass(frozen=True)
class GenerationConfig:
    """How answers are decoded. Greedy unless a temperature is given."""

    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0

    def decode(
        self,
        llm: LanguageModel,
        context: Context,
        request: str,
        show: Callable[[str], None] = ignore,
        *,
        sentences: int | None = None,
        turns: Sequence[Turn] = (),
    ) -> str:
        """The reply to a request, at most so many sentences; `show` gets it piece by piece.

        `turns` are the turns of the conversation that the request is part of.

        A small model asked for one sentence goes on with the recording's own; hence the limit.
        """
        pieces: list[str] = []
        for piece in llm.generate(
            context,
            request,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            seed=self.seed,
            exchanges=prompts.exchanges(turns),
        ):
            pieces.append(piece)
            show(piece)
            if sentences and len(list(sentence_ends("".join(pieces)))) >= sentences:
                return _first("".join(pieces), sentences)
        return "".join(pieces).strip()

    def decode_all(
        self, llm: LanguageModel, context: Context, draws: Sequence[Draw], *, sentences: int
    ) -> Iterator[str]:
        """As `decode`, for each draw, in less time; what is not asked for is not finished."""

        def is_whole(text: str) -> bool:
            return len(list(sentence_ends(text))) >= sentences

        rows = llm.rows_at_once
        if min(rows, len(draws)) < _TOGETHER:
            for draw in draws:
                config = replace(self, temperature=draw.temperature, seed=draw.seed)
                yield config.decode(llm, context, draw.request, sentences=sentences)
            return
        for first in range(0, len(draws), rows):
            some, length = draws[first : first + rows], self.max_tokens
            for text in llm.generate_all(context, some, max_tokens=length, is_whole=is_whole):
                yield _first(text, sentences)


def _first(text: str, sentences: int) -> str:
    ends = list(sentence_ends(text))
    return (text[: ends[sentences - 1]] if len(ends) >= sentences else text).strip()
