"""A model by name: its card, and its two halves loaded when they are first needed.

Transcribing needs no language model and therefore not the seconds it takes to import one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fls_models.memory import FORGETFUL, Memory
from fls_models.recording import Recording
from fls_models.transcription import FORM, Transcriber
from fls_models.weights import Installed, fingerprint

if TYPE_CHECKING:
    from fls_models.answerable import Answerability
    from fls_models.lslm.mini import MiniLanguageModel
    from fls_models.reads import Reads


class Model:
    """`mini` or `small`: listens with Whisper, reads and answers with Qwen2.5.

    What it has heard and read goes to `memory`, for the next process.
    """

    def __init__(self, installed: Installed, memory: Memory = FORGETFUL) -> None:
        self.card = installed.card
        self._installed = installed
        self._memory = memory

    def listen(
        self,
        blocks: Iterable[NDArray[np.float32]],
        *,
        name: str = "",
        language: str | None = None,
        budget: str = "balanced",
    ) -> Recording:
        """Listens to a recording (`Recording.listen`), to ask about it."""
        return Recording.listen(self, blocks, name=name, language=language, budget=budget)

    @cached_property
    def ear(self) -> str:
        """What tells transcripts of this model's speech recogniser from others'."""
        return f"{FORM} {fingerprint(self._installed.speech)}"

    @cached_property
    def transcriber(self) -> Transcriber:
        return Transcriber(self._installed.speech, memory=self._memory, identity=self.ear)

    @cached_property
    def language_model(self) -> MiniLanguageModel:
        from fls_models.lslm.mini import MiniLanguageModel

        return MiniLanguageModel(self._installed.llm)

    @cached_property
    def answerability(self) -> Answerability:
        from fls_models.answerable import Answerability

        return Answerability(self.reads)

    @cached_property
    def reads(self) -> Reads:
        from fls_models.reads import Reads

        return Reads(self.language_model, fingerprint(self._installed.llm), self._memory)
