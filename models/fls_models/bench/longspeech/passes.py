"""The passes of one recording, read by a language model once for all that is asked about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from fls_models.lslm.base import Context, LanguageModel
from fls_models.lslm.prompts import Prompt

# Small beside what a small language model itself takes; of a large one, not one pass.
_HELD = 200 * 10**6


@dataclass(frozen=True, eq=False)
class Pass:
    """Embeddings (L, H), made by `embeddings` when they are read; the prompt that goes before."""

    embeddings: Callable[[], Tensor]
    prompt: Prompt
    stretch: float = 1.0


class ReadPasses:
    """What the language model keeps of each pass.

    As many contexts are held as `_HELD` bytes have room for, one of any size; others are read
    again. The seconds told are those of a pass's first reading.

    Args:
        seconds: a clock that waits for the device.

    Attributes:
        spent: seconds of all reading so far.
    """

    def __init__(
        self, llm: LanguageModel, passes: Sequence[Pass], seconds: Callable[[], float]
    ) -> None:
        self._llm = llm
        self._passes = passes
        self._clock = seconds
        self._held: dict[int, Context] = {}
        self._took: dict[int, float] = {}
        self.spent = 0.0

    def __len__(self) -> int:
        return len(self._passes)

    @property
    def seconds(self) -> float:
        """Of reading each pass once, as far as they have been read."""
        return sum(self._took.values())

    def context(self, index: int) -> Context:
        """The pass, read."""
        if index in self._held:
            return self._held[index]
        # Passes are about equally long: the next takes what the largest takes. The oldest go first.
        while self._held and (
            sum(one.bytes for one in self._held.values())
            + max(one.bytes for one in self._held.values())
            > _HELD
        ):
            del self._held[next(iter(self._held))]
        begun = self._clock()
        one = self._passes[index]
        context: Context = self._llm.read(one.prompt, one.embeddings(), stretch=one.stretch)
        took = self._clock() - begun
        self.spent += took
        self._took.setdefault(index, took)
        self._held[index] = context
        return context
