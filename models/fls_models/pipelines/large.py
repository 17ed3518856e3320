"""Large speech-language models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fls_models.core.cache import NULL_CACHE, Cache
from fls_models.core.files import digest
from fls_models.errors import UsageError
from fls_models.pipelines.frames import FrameModel
from fls_models.weights.store import fingerprint

if TYPE_CHECKING:
    from fls_models.lslm.large import LargeSpeechLM
    from fls_models.transcription.ctc_alignment import SentencePieces
    from fls_models.weights.card import FrameCard
    from fls_models.weights.store import InstalledFrames


@dataclass(frozen=True)
class RuntimeConfig:
    """How a model is run; all but how it reads is for those that hear by themselves.

    Attributes:
        device: `cpu`, `cuda` or `cuda:N`; to `build`, also `auto`.
        low_memory: the embedding table stays on the host, and the audio tower leaves the device
            before the language model reads.
        head: a CTC head for a model that comes without one (safetensors).
        vocabulary: the SentencePiece model that goes with the head; times words exactly.
        compress: False reads all frames, without fusion (the NTK-RoPE baseline).
        read: `frames`, `text` or `auto`, for models that can read both. `auto` takes what was
            measured to be better at `budget`; text, where that is None: for words, or for an
            amount nobody measured.
    """

    device: str = "cpu"
    low_memory: bool = False
    head: Path | None = None
    vocabulary: Path | None = None
    compress: bool = True
    read: str = "auto"
    budget: str | None = None


class LargeFrameModel(FrameModel):
    """A large speech-language model."""

    def __init__(
        self,
        installed: InstalledFrames,
        memory: Cache = NULL_CACHE,
        running: RuntimeConfig | None = None,
    ) -> None:
        super().__init__(installed.card, memory)
        self.card: FrameCard = installed.card
        self.running = running or RuntimeConfig()
        self.compress = self.running.compress
        self._installed = installed

    @cached_property
    def encoder_fingerprint(self) -> str:
        head = self.running.head
        stat = head.stat() if head is not None else None
        suffix = "" if stat is None else f" {head} {stat.st_size} {stat.st_mtime_ns}"
        suffix += "" if self.compress else " unfused"
        return f"frames-1 {fingerprint(self._installed.folder)}{suffix}"

    @cached_property
    def _vocabulary_identity(self) -> str | None:
        file = self.running.vocabulary
        return None if file is None else digest(file)

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
    def language_model(self) -> LargeSpeechLM:
        from fls_models.lslm.registry import load

        running = self.running
        return load(
            self._installed.folder,
            device=running.device,
            low_memory=running.low_memory,
            head=running.head,
        )
