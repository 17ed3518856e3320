"""How the language model's replies are decoded, and where they end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fls_models.core.progress import ignore
from fls_models.core.results import Turn
from fls_models.core.text.sentence_ends import sentence_ends
from fls_models.lslm import prompts
from fls_models.lslm.base import Context, LanguageModel


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
            ends = list(sentence_ends("".join(pieces))) if sentences else []
            if sentences and len(ends) >= sentences:
                return "".join(pieces)[: ends[sentences - 1]].strip()
        return "".join(pieces).strip()
