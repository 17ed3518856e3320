"""The contract of a model: what questions, summaries and conversations need of any.

Nothing here loads or builds one; `fls_models.pipelines` does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fls_models.core.budget import PAPER
from fls_models.core.cache import Cache
from fls_models.core.constants import FRAME_RATE
from fls_models.core.results import Usage

if TYPE_CHECKING:
    from fls_models.answering.answerability import Answerability
    from fls_models.answering.generation import TokenUsage
    from fls_models.answering.readers.text import Reader
    from fls_models.audio.whisper.wording import Wording
    from fls_models.core.budget import Budget, FrameRates
    from fls_models.core.progress import Progress
    from fls_models.core.results import Sentence
    from fls_models.extractor.fused_recording import FusedRecording
    from fls_models.lslm.base import LanguageModel
    from fls_models.lslm.context_cache import ContextCache
    from fls_models.weights.card import Card


class EncodedRecording(Protocol):
    """A recording as a model heard it: a `Transcript`, or `frames.FusedFrames`."""

    @property
    def duration(self) -> float:
        """Seconds that were heard."""

    @property
    def speaks(self) -> bool:
        """Whether anything was said."""

    @property
    def heard_for(self) -> Budget:
        """The budget that it is read at unless another is asked for."""


class Listener(Protocol):
    """Turns speech into sentences with times. Of the last stream, it knows the language (ISO 639-1
    or None) and how many seconds were heard.
    """

    language: str | None
    until: float

    def sentences(
        self,
        blocks: Iterable[NDArray[np.float32]],
        budget: str,
        *,
        language: str | None = None,
        start: float = 0.0,
        total: float | None = None,
        progress: Progress = ...,
        wording: Wording = ...,
    ) -> Iterator[Sentence]:
        """Sentences as they are understood, from blocks of 16 kHz mono float32."""


class FrameExtractor(Protocol):
    """What hears frames and fuses them, and may be looked at as it does."""

    card: Card

    @property
    def language_model(self) -> Any:
        """Hears: a `SpeechEncoder` with `ctc_tokens`."""

    @property
    def ctc_text(self) -> Callable[[Sequence[int]], str] | None:
        """What writes tokens of the CTC head as text."""

    def hear(
        self, blocks: Iterable[NDArray[np.float32]], budget: Budget, **options: Any
    ) -> FusedRecording:
        """Blocks of 16 kHz mono float32 to fused frames; `options` are `listen_to_frames`'."""


class Model(ABC):
    """What commands and questions need of any model.

    What it has heard and read goes to `memory`, for the next process.
    """

    reads_by: str
    """What usage reports: `text` or `frames`."""

    def __init__(self, card: Card, memory: Cache) -> None:
        self.card = card
        self._memory = memory

    @property
    def rates(self) -> FrameRates:
        """Frames that budgets pay for, where it reads frames; those of its card then."""
        return PAPER

    @property
    @abstractmethod
    def encoder_fingerprint(self) -> str:
        """What tells what this model hears from what others hear."""

    @abstractmethod
    def effort(self, budget: str) -> Any:
        """What a transcript depends on besides the ear, as JSON."""

    @property
    @abstractmethod
    def transcriber(self) -> Listener:
        """Writes down what is said."""

    def rest_ears(self) -> None:  # noqa: B027 - most have nothing that only hears
        """Lets go of what only hears until it is needed again: all is heard, and read next."""

    @property
    @abstractmethod
    def language_model(self) -> LanguageModel:
        """Reads and answers."""

    @abstractmethod
    def reader(self, recording: Any) -> Reader:
        """What gives a recording that this model heard to its language model."""

    @property
    def extractor(self) -> FrameExtractor | None:
        """What can show how a recording's frames are fused; none where frames are no matter."""
        return None

    @property
    @abstractmethod
    def reads(self) -> ContextCache:
        """What the language model has read."""

    @property
    @abstractmethod
    def answerability(self) -> Answerability:
        """Judges whether a recording speaks of a question."""


def usage_of(
    model: Model,
    recording: EncodedRecording,
    budget: Budget,
    tokens: TokenUsage,
    *,
    sections: int,
    seconds: dict[str, float],
) -> Usage:
    """What it took to answer from a recording; `seconds` by stage."""
    return Usage(
        audio_seconds=recording.duration,
        frames_before=round(recording.duration * FRAME_RATE),
        frames_after=tokens.frames,
        sections=sections,
        seconds=seconds,
        prompt_tokens=tokens.read,
        answer_tokens=tokens.written,
        model=model.card.name,
        budget=budget.label,
        reader=model.reads_by,
    )
