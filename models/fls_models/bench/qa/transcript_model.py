"""The language model of a model that hears, as a model that reads text.

It gets a transcript where a user's words go, as any chat model does; its weights are those that
read frames otherwise. So a bench can tell what is lost in hearing from what is lost in reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fls_models.answering.answerability import Answerability
from fls_models.answering.model import Listener, Model
from fls_models.answering.readers.text import Reader, TextReader
from fls_models.core.budget import Budget
from fls_models.core.cache import NULL_CACHE
from fls_models.core.results import Transcript
from fls_models.pipelines.frames import FrameModel

if TYPE_CHECKING:
    from fls_models.lslm.base import LanguageModel
    from fls_models.lslm.context_cache import ContextCache


class ReadingText(Model):
    """Reads text with the language model of another."""

    reads_by = "text"

    def __init__(self, model: FrameModel) -> None:
        super().__init__(model.card, NULL_CACHE)
        self._model = model

    @property
    def encoder_fingerprint(self) -> str:
        return self._model.encoder_fingerprint

    def effort(self, budget: str) -> Any:
        return self._model.effort(budget)

    @property
    def transcriber(self) -> Listener:
        return self._model.transcriber

    @property
    def language_model(self) -> LanguageModel:
        return self._model.language_model

    def reader(self, heard: Transcript) -> Reader:
        return TextReader(self.language_model, heard, self.card.max_frames)

    @property
    def reads(self) -> ContextCache:
        return self._model.reads

    @cached_property
    def answerability(self) -> Answerability:
        return Answerability(self.reads)

    def _heard(
        self, blocks: Iterable[NDArray[np.float32]], language: str | None, budget: Budget
    ) -> Transcript:
        listener = self.transcriber
        sentences = tuple(listener.sentences(blocks, budget.name, language=language))
        return Transcript(listener.language if sentences else None, sentences, listener.until)
