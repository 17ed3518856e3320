"""A model by name: its card, and its two halves loaded when they are first needed.

Transcribing needs no language model and therefore not the seconds it takes to import one.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from fls_models.transcription import Transcriber
from fls_models.weights import Installed

if TYPE_CHECKING:
    from fls_models.answerable import Answerability
    from fls_models.lslm.mini import MiniLanguageModel


class Model:
    """`mini` or `small`: listens with Whisper, reads and answers with Qwen2.5."""

    def __init__(self, installed: Installed) -> None:
        self.card = installed.card
        self._installed = installed

    @cached_property
    def transcriber(self) -> Transcriber:
        return Transcriber(self._installed.speech)

    @cached_property
    def language_model(self) -> MiniLanguageModel:
        from fls_models.lslm.mini import MiniLanguageModel

        return MiniLanguageModel(self._installed.llm)

    @cached_property
    def answerability(self) -> Answerability:
        from fls_models.answerable import Answerability

        return Answerability(self.language_model)
