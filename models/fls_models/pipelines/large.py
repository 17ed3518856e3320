"""A model by its card: what hears, what reads and answers, each loaded when it is first needed.

Two ways: a text model hears with Whisper and reads the transcript; models that read frames
(FastLongSpeech) encode, fuse and read what they hear. Of those the large ones are here, `mini` is
in `mini_frames`. All that follows a reader is the same program.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fls_models.core.budget import PAPER
from fls_models.core.cache import FORGETFUL, Memory
from fls_models.core.results import Sentence, Transcript
from fls_models.errors import UsageError
from fls_models.pipelines.recording import Recording
from fls_models.weights.store import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fls_models.answering.answerability import Answerability
    from fls_models.answering.readers.frames import FramesHeard
    from fls_models.answering.readers.text import Reader
    from fls_models.core.budget import Budget, FrameRates
    from fls_models.core.progress import Progress
    from fls_models.extractor.fused_recording import FusedRecording
    from fls_models.lslm.base import LanguageModel
    from fls_models.lslm.context_cache import Reads
    from fls_models.lslm.large import HearingModel
    from fls_models.lslm.mini.speech_model import MiniHearing
    from fls_models.transcription.ctc_alignment import SentencePieces
    from fls_models.transcription.whisper import Transcriber
    from fls_models.weights.card import Card, FrameCard
    from fls_models.weights.store import Installed, InstalledFrames


class Heard(Protocol):
    """A recording as a model heard it: a `Transcript`, or `frame_reader.FramesHeard`."""

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
    ) -> Iterator[Sentence]:
        """Sentences as they are understood, from blocks of 16 kHz mono float32."""


class Model(ABC):
    """What commands and questions need of any model.

    What it has heard and read goes to `memory`, for the next process.
    """

    reads_by: str
    """What usage reports: `text` or `frames`."""

    def __init__(self, card: Card, memory: Memory) -> None:
        self.card = card
        self._memory = memory

    @property
    def rates(self) -> FrameRates:
        """Frames that budgets pay for, where it reads frames; those of its card then."""
        return PAPER

    @property
    @abstractmethod
    def ear(self) -> str:
        """What tells what this model hears from what others hear."""

    @abstractmethod
    def effort(self, budget: str) -> Any:
        """What a transcript depends on besides the ear, as JSON."""

    @property
    @abstractmethod
    def transcriber(self) -> Listener:
        """Writes down what is said."""

    @property
    @abstractmethod
    def language_model(self) -> LanguageModel:
        """Reads and answers."""

    @abstractmethod
    def reader(self, heard: Any) -> Reader:
        """What gives a recording that this model heard to its language model."""

    @property
    def extractor(self) -> FrameReadingModel | None:
        """What can show how a recording's frames are fused; none where frames are no matter."""
        return None

    @property
    @abstractmethod
    def reads(self) -> Reads:
        """What the language model has read."""

    @property
    @abstractmethod
    def answerability(self) -> Answerability:
        """Judges whether a recording speaks of a question."""

    def listen(
        self,
        blocks: Iterable[NDArray[np.float32]],
        *,
        name: str = "",
        language: str | None = None,
        budget: str = "balanced",
    ) -> Recording:
        """Listens to blocks of 16 kHz mono float32, of any size, to their end, to ask about them.

        `budget` is the effort of listening; `name` becomes the `source` of answers. Raises
        UsageError for a budget or a language that there is none of.
        """
        from fls_models.core.budget import Budget

        return Recording(self, name, self._heard(blocks, language, Budget(budget)))

    @abstractmethod
    def _heard(
        self, blocks: Iterable[NDArray[np.float32]], language: str | None, budget: Budget
    ) -> Heard:
        """The recording as this model hears it."""


class TextModel(Model):
    """`mini` or `small`: listens with Whisper, reads and answers with Qwen2.5."""

    reads_by = "text"

    def __init__(self, installed: Installed, memory: Memory = FORGETFUL) -> None:
        super().__init__(installed.card, memory)
        self._installed = installed

    def _heard(
        self, blocks: Iterable[NDArray[np.float32]], language: str | None, budget: Budget
    ) -> Heard:
        listener = self.transcriber
        sentences = tuple(listener.sentences(blocks, budget.name, language=language))
        known = listener.language if sentences else None
        return Transcript(known, sentences, listener.until)

    @cached_property
    def extractor(self) -> FrameReadingModel | None:
        """With the model's connector, if there is one."""
        from fls_models.pipelines.mini import MiniFrameModel

        if self._installed.connector is None or self._installed.card.frames is None:
            return None
        return MiniFrameModel(self._installed, self._memory)

    @cached_property
    def ear(self) -> str:
        from fls_models.transcription.whisper import FORM

        return f"{FORM} {fingerprint(self._installed.speech)}"

    def effort(self, budget: str) -> Any:
        from fls_models.transcription.whisper import EFFORTS

        return asdict(EFFORTS[budget])

    @cached_property
    def transcriber(self) -> Transcriber:
        from fls_models.transcription.whisper import Transcriber

        return Transcriber(self._installed.speech, memory=self._memory, identity=self.ear)

    @cached_property
    def language_model(self) -> LanguageModel:
        from fls_models.lslm.mini.language_model import MiniLanguageModel

        return MiniLanguageModel(self._installed.llm)

    def reader(self, heard: Transcript) -> Reader:
        from fls_models.answering.readers.text import TextReader

        return TextReader(self.language_model, heard, self.card.max_frames)

    @cached_property
    def answerability(self) -> Answerability:
        from fls_models.answering.answerability import Answerability

        return Answerability(self.reads)

    @cached_property
    def reads(self) -> Reads:
        from fls_models.lslm.context_cache import Reads

        return Reads(self.language_model, fingerprint(self._installed.llm), self._memory)


@dataclass(frozen=True)
class Running:
    """How a frame model is run.

    Attributes:
        device: `cpu`, `cuda` or `cuda:N`.
        low_memory: the embedding table stays on the host, and the audio tower leaves the device
            before the language model reads.
        head: a CTC head for a model that comes without one (safetensors).
        vocabulary: the SentencePiece model that goes with the head; times words exactly.
        compress: False reads all frames, without fusion (the NTK-RoPE baseline).
    """

    device: str = "cpu"
    low_memory: bool = False
    head: Path | None = None
    vocabulary: Path | None = None
    compress: bool = True


class FrameReadingModel(Model):
    """A model that hears by itself, and reads fused frames of what it hears.

    What it hears with and where that runs is the affair of its kind.
    """

    reads_by = "frames"

    @property
    def extractor(self) -> FrameReadingModel:
        return self

    @property
    @abstractmethod
    def compress(self) -> bool:
        """False reads all frames, without fusion."""

    @property
    @abstractmethod
    def language_model(self) -> HearingModel | MiniHearing:
        """Hears, reads and answers."""

    @property
    @abstractmethod
    def window(self) -> int:
        """Positions that the language model was made for."""

    @property
    @abstractmethod
    def rates(self) -> FrameRates:
        """Frames that its budgets pay for, as its card has them."""

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
    ) -> Heard:
        from fls_models.answering.readers.frames import FramesHeard

        return FramesHeard(self.hear(blocks, budget))

    def hear(
        self, blocks: Iterable[NDArray[np.float32]], budget: Budget, **how: Any
    ) -> FusedRecording:
        """`frame_listening.listen_to_frames` with this model's encoder, rates and limits."""
        from fls_models.extractor.extract import listen_to_frames

        return listen_to_frames(
            self.language_model,
            blocks,
            budget.by(self.rates),
            most=self.card.max_frames,
            compress=self.compress,
            **how,
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
            identity=f"{self.ear} {self._vocabulary_identity}",
        )

    def reader(self, heard: FramesHeard) -> Reader:
        from fls_models.answering.readers.frames import FrameReader

        return FrameReader(self.language_model, heard, self.window)

    @cached_property
    def answerability(self) -> Answerability:
        from fls_models.answering.answerability import Answerability
        from fls_models.lslm.prompts import ASK

        return Answerability(self.reads, ASK.heard())

    @cached_property
    def reads(self) -> Reads:
        from fls_models.lslm.context_cache import Reads

        # Not kept between processes: gigabytes, and read anew in less time than from a disk.
        return Reads(self.language_model)


class FrameModel(FrameReadingModel):
    """A large speech-language model."""

    def __init__(
        self,
        installed: InstalledFrames,
        memory: Memory = FORGETFUL,
        running: Running | None = None,
    ) -> None:
        super().__init__(installed.card, memory)
        self.card: FrameCard = installed.card
        self.running = running or Running()
        self._installed = installed

    @property
    def compress(self) -> bool:
        return self.running.compress

    @cached_property
    def ear(self) -> str:
        head = self.running.head
        stat = head.stat() if head is not None else None
        told = "" if stat is None else f" {head} {stat.st_size} {stat.st_mtime_ns}"
        told += "" if self.compress else " unfused"
        return f"frames-1 {fingerprint(self._installed.folder)}{told}"

    @property
    def window(self) -> int:
        return self.card.window

    @property
    def rates(self) -> FrameRates:
        return self.card.budgets

    @cached_property
    def _vocabulary_identity(self) -> str | None:
        file = self.running.vocabulary
        return None if file is None else hashlib.sha256(file.read_bytes()).hexdigest()

    @cached_property
    def _vocabulary(self) -> SentencePieces | None:
        from fls_models.transcription.ctc_alignment import SentencePieces

        if self.running.vocabulary is None:
            return None
        tokens = self.language_model.ctc_tokens
        if tokens is None:
            raise UsageError(f"{self.card.name} has no CTC head; --ctc-vocab goes with --head.")
        return SentencePieces(self.running.vocabulary, tokens)

    @cached_property
    def language_model(self) -> HearingModel:
        from fls_models.lslm.large import load

        running = self.running
        return load(
            self._installed.folder,
            device=running.device,
            low_memory=running.low_memory,
            head=running.head,
        )
