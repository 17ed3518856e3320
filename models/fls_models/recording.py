"""A recording that was listened to, for those who use the models from Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fls_models.budget import Budget
from fls_models.results import Answer, Summary, Transcript
from fls_models.transcription import EFFORTS

if TYPE_CHECKING:
    from fls_models.models import Model


class Recording:
    """What was said, and what may be asked about it."""

    def __init__(self, model: Model, name: str, transcript: Transcript) -> None:
        self.transcript = transcript
        self._model = model
        self._name = name

    @classmethod
    def listen(
        cls,
        model: Model,
        blocks: Iterable[NDArray[np.float32]],
        *,
        name: str = "",
        language: str | None = None,
        budget: str = "balanced",
    ) -> Recording:
        """Listens to blocks of 16 kHz mono float32, of any size, to their end.

        `budget` is the effort of listening; `name` becomes the `source` of answers. Raises
        UsageError for a budget or a language that there is none of.
        """
        effort = EFFORTS[Budget(budget).name]
        transcriber = model.transcriber
        sentences = tuple(transcriber.sentences(blocks, effort, language=language))
        known = transcriber.language if sentences else None
        return cls(model, name, Transcript(known, sentences, transcriber.until))

    def ask(self, question: str, *, budget: str = "balanced", max_tokens: int = 256) -> Answer:
        """Answers a question, or says that the recording does not (`answered` is False)."""
        from fls_models.asking import Asking, Manner

        asking = Asking(
            self._model,
            self._name,
            self.transcript,
            heard_in={},
            budget=Budget(budget),
            manner=Manner(max_tokens),
        )
        return asking.answer(question)

    def summarize(self, *, style: str = "brief", budget: str = "balanced") -> Summary:
        """A summary in one of `fls_models.results.STYLES`."""
        from fls_models.asking import Manner
        from fls_models.summarising import summarise

        return summarise(
            self._model,
            self._name,
            self.transcript,
            heard_in={},
            style=style,
            budget=Budget(budget),
            manner=Manner(max_tokens=160),
        )
