"""A recording as a method shortens it, held for all that is asked about it.

The recording that was encoded last is held, so that all methods and lengths have the same hidden
states; and what was made of it last, so that its questions share one reading.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from fls_models.answering.model import Model
from fls_models.answering.readers.frames import MAX_ROPE_SCALE
from fls_models.bench.caches.transcripts import Decode
from fls_models.bench.longspeech.encoded_recording import (
    WindowFrames,
    encode_recording,
    passes_to_ask,
    passes_to_write,
)
from fls_models.bench.longspeech.methods import Length, Method
from fls_models.bench.longspeech.passes import ReadPasses
from fls_models.bench.longspeech.peak_memory import PeakMemory
from fls_models.extractor.density import density_from
from fls_models.lslm.prompts import Prompt

# Positions for the prompt, the request and the reply beside the frames.
_WORDS = 700


@dataclass(eq=False)
class CompressedRecording:
    """What all questions about a recording share under one method and length.

    Attributes:
        recording: as it was encoded.
        passes: None where the language model's window is too short for them.
        lengths: of each pass, T and L.
        fuse: seconds.
        peak: bytes of memory at most, for whoever reads and asks to raise.
    """

    recording: WindowFrames
    passes: ReadPasses | None
    lengths: list[tuple[int, int]]
    fuse: float
    peak: int


class Shortening:
    """Encodes and shortens recordings for one model.

    Args:
        seconds: a clock that waits for the device.
    """

    def __init__(
        self, model: Model, decode: Decode, memory: PeakMemory, seconds: Callable[[], float]
    ) -> None:
        self._model = model
        self._decode = decode
        self._memory = memory
        self._seconds = seconds
        # One at a time: hidden states are what a long recording takes memory for.
        self._encoded: tuple[Path, WindowFrames] | None = None
        self._shortened: tuple[object, CompressedRecording] | None = None

    def shortened(
        self, audio: Path, method: Method, length: Length, prompt: Prompt, *, written: bool
    ) -> CompressedRecording:
        """The recording under a method, to be asked about or `written` down.

        Memory is counted from here on.
        """
        recording = self._recording(audio)
        key = (audio, method, length, prompt, written)
        if self._shortened is not None and self._shortened[0] != key:
            # The one before goes first.
            self.forget()
        self._memory.begin()
        if self._shortened is None:
            self._shortened = (key, self._shorten(recording, method, length, prompt, written))
        return self._shortened[1]

    def forget(self) -> None:
        """Gives back what was read last."""
        self._shortened = None

    def _recording(self, audio: Path) -> WindowFrames:
        if self._encoded is None or self._encoded[0] != audio:
            # The one before goes first.
            self._encoded = self._shortened = None
            self._memory.begin()
            recording = encode_recording(
                self._llm, self._decode(audio), self._seconds, self._memory.bytes
            )
            self._encoded = (audio, recording)
        return self._encoded[1]

    def _shorten(
        self, recording: WindowFrames, method: Method, length: Length, prompt: Prompt, written: bool
    ) -> CompressedRecording:
        begun = self._seconds()
        density = density_from(self._llm.blank_probability)
        if written:
            fused = passes_to_write(recording, method, length, density)
        else:
            max_frames = self._model.card.max_frames
            fused = passes_to_ask(recording, method, length, density, max_frames)
        fuse = self._seconds() - begun
        lengths = [(part.before, len(part.hidden)) for part in fused]
        rope_scale = (max(count for _, count in lengths) + _WORDS) / self._window
        read = ReadPasses(
            self._llm,
            prompt,
            [part.hidden for part in fused],
            self._seconds,
            self._projected,
            max(1.0, rope_scale) if method.stretches else 1.0,
        )
        fits = rope_scale <= (MAX_ROPE_SCALE if method.stretches else 1.0)
        whole = method.compress is None
        return CompressedRecording(
            recording, None if whole and not fits else read, lengths, fuse, recording.peak
        )

    @torch.inference_mode()
    def _projected(self, hidden: torch.Tensor) -> torch.Tensor:
        projected: torch.Tensor = self._llm.project(hidden)
        return projected

    @cached_property
    def _window(self) -> int:
        """Positions that the language model was made for."""
        for source in (self._model, self._model.card, self._llm):
            if window := getattr(source, "window", None):
                return int(window)
        return int(self._llm.body.config.max_position_embeddings)

    @property
    def _llm(self) -> Any:
        return self._model.language_model
