"""The passes of one recording, read by a language model once for all that is asked about them."""

from collections.abc import Callable, Sequence

from torch import Tensor

from fls_models.lslm.base import Context, LanguageModel
from fls_models.lslm.prompts import Prompt

# Small beside what a small language model itself takes; of a large one, not one pass.
_HELD = 200 * 10**6


class ReadPasses:
    """What the language model keeps of each pass.

    As many contexts are held as `_HELD` bytes have room for, one of any size; others are read
    again. The seconds told are those of a pass's first reading.

    Args:
        prompt: what goes before each pass.
        passes: of each, what `project` makes embeddings (L, H) of when it is read.
        seconds: a clock that waits for the device.
        rope_scale: by how much the language model's window is stretched.

    Attributes:
        spent: seconds of all reading so far.
    """

    def __init__(
        self,
        llm: LanguageModel,
        prompt: Prompt,
        passes: Sequence[Tensor],
        seconds: Callable[[], float],
        project: Callable[[Tensor], Tensor] = lambda embeddings: embeddings,
        rope_scale: float = 1.0,
    ) -> None:
        self._llm, self._prompt, self._passes = llm, prompt, passes
        self._project, self._rope_scale = project, rope_scale
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
            sum(context.bytes for context in self._held.values())
            + max(context.bytes for context in self._held.values())
            > _HELD
        ):
            del self._held[next(iter(self._held))]
        begun = self._clock()
        embeddings = self._project(self._passes[index])
        context: Context = self._llm.read(self._prompt, embeddings, rope_scale=self._rope_scale)
        took = self._clock() - begun
        self.spent += took
        self._took.setdefault(index, took)
        self._held[index] = context
        return context
