"""A recording that was listened to, for those who use the models from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fls_models.core.budget import Budget
from fls_models.core.results import Answer, Summary, Transcript

if TYPE_CHECKING:
    from fls_models.answering.model import EncodedRecording, Model


class Recording:
    """What was heard, and what may be asked about it."""

    def __init__(self, model: Model, name: str, heard: EncodedRecording) -> None:
        self.heard = heard
        self._model = model
        self._name = name

    @property
    def transcript(self) -> Transcript:
        """The words with their times. A model that reads frames has none: AttributeError."""
        if not isinstance(self.heard, Transcript):
            raise AttributeError(
                f"{self._model.card.name} heard frames and made no transcript; "
                "`model.transcriber.sentences(blocks, budget)` does."
            )
        return self.heard

    def ask(
        self,
        question: str,
        *,
        budget: str | None = None,
        max_tokens: int = 256,
        evidence: int = 0,
    ) -> Answer:
        """Answers a question, or says that the recording does not (`answered` is False).

        `budget` is balanced for a transcript; frames are read as they were heard, and no other way.
        `evidence` is how many passages at most the answer shows for itself.
        """
        from fls_models.answering.answerer import Answerer
        from fls_models.answering.generation import GenerationConfig

        asking = Answerer(
            self._model,
            self._name,
            self.heard,
            heard_in={},
            budget=self._budget(budget),
            generation=GenerationConfig(max_tokens),
            evidence=evidence,
        )
        return asking.answer(question)

    def summarize(
        self, *, style: str = "brief", length: int | None = None, budget: str | None = None
    ) -> Summary:
        """A summary in one of `fls_models.core.results.STYLES`, of `length` statements at most;
        `budget` as for `ask`."""
        from fls_models.answering.generation import GenerationConfig
        from fls_models.answering.summaries.summarize import summarise

        return summarise(
            self._model,
            self._name,
            self.heard,
            heard_in={},
            style=style,
            budget=self._budget(budget),
            generation=GenerationConfig(max_tokens=160),
            length=length,
        )

    def _budget(self, name: str | None) -> Budget:
        return self.heard.heard_for if name is None else Budget(name)
