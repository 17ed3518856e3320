"""Models that hear by themselves, fuse what they hear and read the frames that are left."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fls_models.pipelines.base import Pipeline
from fls_models.weights.card import frames_of

if TYPE_CHECKING:
    from fls_models.answering.answerability import Answerability
    from fls_models.answering.model import EncodedRecording, Listener
    from fls_models.answering.readers.frames import FusedFrames
    from fls_models.answering.readers.text import Reader
    from fls_models.core.budget import Budget, FrameRates
    from fls_models.extractor.fused_recording import FusedRecording
    from fls_models.lslm.context_cache import ContextCache
    from fls_models.lslm.large import LargeSpeechLM
    from fls_models.lslm.mini.speech_model import MiniSpeechLM
    from fls_models.transcription.ctc_alignment import SentencePieces


class FrameModel(Pipeline):
    """A model that hears by itself, and reads fused frames of what it hears.

    What it hears with and where that runs is the affair of its kind.
    """

    reads_by = "frames"
    # False reads all frames, without fusion.
    compress: bool

    @property
    def extractor(self) -> FrameModel:
        return self

    @property
    @abstractmethod
    def language_model(self) -> LargeSpeechLM | MiniSpeechLM:
        """Hears, reads and answers."""

    @property
    def window(self) -> int:
        """Positions that the language model was made for."""
        return frames_of(self.card).window

    @property
    def rates(self) -> FrameRates:
        return frames_of(self.card).budgets

    @cached_property
    def _vocabulary(self) -> SentencePieces | None:
        """What times words by the CTC head."""
        return None

    @property
    def ctc_text(self) -> Callable[[Sequence[int]], str] | None:
        """What writes the tokens of the CTC head that follow one another as text; None where
        nobody knows what they are called.

        Raises UsageError or EnvironmentLacks for a vocabulary that cannot be read.
        """
        if self._vocabulary is None:
            return None
        self._vocabulary.load()
        return self._vocabulary.text

    def _heard(
        self, blocks: Iterable[NDArray[np.float32]], language: str | None, budget: Budget
    ) -> EncodedRecording:
        from fls_models.answering.readers.frames import FusedFrames

        return FusedFrames(self.hear(blocks, budget))

    def hear(
        self, blocks: Iterable[NDArray[np.float32]], budget: Budget, **options: Any
    ) -> FusedRecording:
        """`extract.listen_to_frames` with this model's encoder, rates and limits."""
        from fls_models.extractor.extract import listen_to_frames

        return listen_to_frames(
            self.language_model,
            blocks,
            budget.by(self.rates),
            max_frames=self.card.max_frames,
            compress=self.compress,
            **options,
        )

    def effort(self, budget: str) -> Any:
        from fls_models.core.budget import Budget

        paid = Budget(budget).by(self.rates).key("transcribe")
        return {"budget": paid, "vocabulary": self._vocabulary_identity}

    @cached_property
    def _vocabulary_identity(self) -> str | None:
        return None

    @cached_property
    def transcriber(self) -> Listener:
        from fls_models.transcription.speech_lm import SpeechTranscriber

        model = self.language_model
        return SpeechTranscriber(
            model,
            model,
            vocabulary=self._vocabulary,
            rates=self.rates,
            memory=self._memory,
            identity=f"{self.encoder_fingerprint} {self._vocabulary_identity}",
        )

    def reader(self, recording: FusedFrames) -> Reader:
        from fls_models.answering.readers.frames import FrameReader

        return FrameReader(self.language_model, recording, self.window)

    @cached_property
    def answerability(self) -> Answerability:
        from fls_models.answering.answerability import Answerability
        from fls_models.lslm.prompts import ASK

        return Answerability(self.reads, ASK.heard())

    @cached_property
    def reads(self) -> ContextCache:
        from fls_models.lslm.context_cache import ContextCache

        # Not kept between processes: gigabytes, and read anew in less time than from a disk.
        return ContextCache(self.language_model)
