"""Models that hear with Whisper and read the transcript."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fls_models.core.cache import NULL_CACHE, Cache
from fls_models.core.results import Transcript
from fls_models.pipelines.base import Pipeline
from fls_models.weights.store import fingerprint

if TYPE_CHECKING:
    from fls_models.answering.answerability import Answerability
    from fls_models.answering.model import EncodedRecording
    from fls_models.answering.readers.text import Reader
    from fls_models.core.budget import Budget
    from fls_models.lslm.base import LanguageModel
    from fls_models.lslm.context_cache import ContextCache
    from fls_models.pipelines.connector_extractor import ConnectorExtractor
    from fls_models.transcription.whisper import Transcriber
    from fls_models.weights.store import Installed


class CascadeModel(Pipeline):
    """Listens with Whisper, reads and answers with a language model."""

    reads_by = "text"

    def __init__(self, installed: Installed, memory: Cache = NULL_CACHE) -> None:
        super().__init__(installed.card, memory)
        self._installed = installed

    def _heard(
        self, blocks: Iterable[NDArray[np.float32]], language: str | None, budget: Budget
    ) -> EncodedRecording:
        listener = self.transcriber
        sentences = tuple(listener.sentences(blocks, budget.name, language=language))
        spoken_language = listener.language if sentences else None
        return Transcript(spoken_language, sentences, listener.until)

    @cached_property
    def extractor(self) -> ConnectorExtractor | None:
        from fls_models.pipelines.connector_extractor import connector_extractor

        return connector_extractor(self._installed)

    @cached_property
    def encoder_fingerprint(self) -> str:
        from fls_models.transcription.whisper import FORM

        return f"{FORM} {fingerprint(self._installed.speech)}"

    def effort(self, budget: str) -> Any:
        from fls_models.audio.whisper.effort import EFFORTS

        return EFFORTS[budget].key()

    @cached_property
    def transcriber(self) -> Transcriber:
        from fls_models.transcription.whisper import Transcriber

        identity = self.encoder_fingerprint
        return Transcriber(self._installed.speech, memory=self._memory, identity=identity)

    def rest_ears(self) -> None:
        # Loaded again in a third of a second.
        vars(self).pop("transcriber", None)

    @cached_property
    def language_model(self) -> LanguageModel:
        from fls_models.lslm.mini.any_language_model import language_model

        return language_model(self._installed.llm)

    def reader(self, recording: Transcript) -> Reader:
        from fls_models.answering.readers.text import TextReader

        return TextReader(self.language_model, recording, self.card.max_frames)

    @cached_property
    def answerability(self) -> Answerability:
        from fls_models.answering.answerability import Answerability

        return Answerability(self.reads)

    @cached_property
    def reads(self) -> ContextCache:
        from fls_models.lslm.context_cache import ContextCache

        return ContextCache(self.language_model, fingerprint(self._installed.llm), self._memory)
