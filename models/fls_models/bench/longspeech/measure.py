"""One item under one method and length: heard, shortened, read and replied to, with what it took.

What of that its neighbours share is held by `passes`. What was measured before, and in which
order, is `evaluate`'s affair.
"""

from dataclasses import replace
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np
import torch

from fls_models.answering.model import Model
from fls_models.answering.readers.text import TextReader
from fls_models.bench.caches.transcripts import Decode, TranscriptCache
from fls_models.bench.longspeech.compress import Shortening
from fls_models.bench.longspeech.encoded_recording import encode_recording
from fls_models.bench.longspeech.items import SpokenItem
from fls_models.bench.longspeech.measurement import Measurement
from fls_models.bench.longspeech.methods import Length, Method
from fls_models.bench.longspeech.passes import ReadPasses
from fls_models.bench.longspeech.peak_memory import PeakMemory
from fls_models.bench.longspeech.replies import PassReading, request_for
from fls_models.core.budget import Budget
from fls_models.core.constants import SAMPLE_RATE
from fls_models.lslm import prompts
from fls_models.lslm.prompts import Prompt
from fls_models.planning.hearing_flops import decoder_dims_of, hearing_dims_of, hearing_flops

_WRITTEN = 400
_NOTHING = "..."


def prompt_for(item: SpokenItem, method: Method) -> Prompt:
    """What stands before the recording."""
    if method.reads == "text":
        return prompts.ASK
    return prompts.TRANSCRIBE if item.task == "asr" else prompts.ASK.heard()


class Measuring:
    """Measures with one model; see `LongSpeechEval` for the arguments."""

    def __init__(
        self,
        model: Model,
        decode: Decode,
        hearing: TranscriptCache | None,
        max_tokens: int,
        replies: bool,
    ) -> None:
        self._model = model
        self._decode = decode
        self._hearing = hearing
        self._max_tokens = max_tokens
        self._replies = replies
        # Whether for text and for frames.
        self._warm: set[bool] = set()

    @cached_property
    def device(self) -> torch.device:
        """Where the model runs."""
        return torch.device(getattr(self._llm, "device", "cpu"))

    def measure(self, item: SpokenItem, method: Method, length: Length | None) -> Measurement:
        """Everything about one item."""
        text = method.reads == "text"
        if text not in self._warm:
            self._warm_up(text=text)
            self._warm.add(text)
        if text:
            return self._cascade(item, method, length)
        return self._heard(item, method, length or Length("all", 1, 1))

    def _warm_up(self, *, text: bool) -> None:
        """Hears and says next to nothing: what is done but once must not be the first item's."""
        embeddings = self._llm.embed(self._llm.tokenize(_NOTHING))
        if not text:
            hush = [np.zeros(SAMPLE_RATE, np.float32)]
            recording = encode_recording(self._llm, hush, self._seconds, self._memory.bytes)
            with torch.inference_mode():
                embeddings = self._llm.project(recording.frames.hidden)
        context = self._llm.read(prompts.ASK if text else prompts.ASK.heard(), embeddings)
        request = prompts.question("What is said?")
        list(self._llm.generate(context, request, max_tokens=2, temperature=0.0, seed=0))

    def _heard(self, item: SpokenItem, method: Method, length: Length) -> Measurement:
        written = item.task == "asr"
        prompt = prompt_for(item, method)
        shortened = self._shortening.shortened(item.audio, method, length, prompt, written=written)
        recording = shortened.recording
        base = Measurement(True, recording.duration, len(recording.frames))
        if shortened.passes is None:
            return replace(base, fits=False)
        reading = self._reading(shortened.passes)
        measurement = replace(
            self._replied(item, reading, base),
            frames=sum(count for _, count in shortened.lengths),
            passes=len(shortened.lengths),
            hear=recording.seconds,
            fuse=shortened.fuse,
            read=shortened.passes.seconds,
        )
        shortened.peak = max(shortened.peak, self._memory.bytes())
        dims, flops = hearing_dims_of(self._llm), None
        if dims is not None and measurement.flops is not None:
            flops = measurement.flops + hearing_flops(
                dims, method.rounds, recording.windows, shortened.lengths, weighted=method.weighs
            )
        return replace(measurement, flops=flops, peak=shortened.peak)

    def _cascade(self, item: SpokenItem, method: Method, length: Length | None) -> Measurement:
        assert self._hearing is not None
        self._shortening.forget()
        self._memory.begin()
        paid = None if length is None else length.budget
        timed = self._hearing.hear(item.audio, paid or "balanced")
        transcript = timed.transcript
        base = Measurement(True, transcript.duration, 0, hear=timed.seconds)
        if item.task == "asr":
            return replace(base, text=transcript.text, peak=self._memory.bytes())
        reader = TextReader(self._llm, transcript, self._model.card.max_frames)
        readings = reader.readings(Budget(paid or "accurate"), item.question)
        texts = [reading.embeddings for reading in readings]
        texts = texts or [self._llm.embed(self._llm.tokenize(_NOTHING))]
        passes = ReadPasses(self._llm, prompt_for(item, method), texts, self._seconds)
        measurement = self._replied(item, self._reading(passes), base)
        return replace(
            measurement,
            frames=sum(map(len, texts)),
            passes=len(texts),
            read=passes.seconds,
            # What Whisper computes is not counted, and half a sum is none.
            flops=None,
            peak=self._memory.bytes(),
        )

    def _reading(self, passes: ReadPasses) -> PassReading:
        dims = decoder_dims_of(self._llm)
        return PassReading(self._llm, passes, self._model.card.max_frames, dims, self._seconds)

    def _replied(self, item: SpokenItem, reading: PassReading, base: Measurement) -> Measurement:
        request = request_for(item.task, item.question)
        text: str | None = None
        choices: list[float] | None = None
        if self._replies and item.task == "asr":
            text = reading.transcript(request, _WRITTEN)
        elif self._replies:
            text = reading.answer(request, self._max_tokens)
        elif not item.choices:
            reading.read(request)
        if item.choices:
            choices = reading.likelihoods(request, item.choices, counted=not self._replies)
        return replace(base, text=text, likelihoods=choices, **vars(reading.spent))

    @cached_property
    def _llm(self) -> Any:
        return self._model.language_model

    @cached_property
    def _shortening(self) -> Shortening:
        return Shortening(self._model, self._decode, self._memory, self._seconds)

    @cached_property
    def _memory(self) -> PeakMemory:
        return PeakMemory(self.device)

    def _seconds(self) -> float:
        """A clock that waits for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return perf_counter()
