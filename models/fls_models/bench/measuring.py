"""One item under one method and length: heard, shortened, read and replied to, with what it took.

The recording that was encoded last is held, so that all methods and lengths have the same hidden
states. What was measured before, and in which order, is `longspeech_eval`'s affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from fls_models import prompts
from fls_models.bench.encoded_recording import (
    EncodedRecording,
    FusedPass,
    encode_recording,
    passes_to_ask,
    passes_to_write,
)
from fls_models.bench.heard import Decode, Hearing
from fls_models.bench.longspeech_cost import decoder_dims_of, hearing_dims_of, hearing_flops
from fls_models.bench.longspeech_items import SpokenItem
from fls_models.bench.measured import Measured
from fls_models.bench.methods import Length, Method
from fls_models.bench.pass_reading import Pass, PassReading, request_for
from fls_models.bench.peak_memory import PeakMemory
from fls_models.budget import Budget
from fls_models.density import density_from
from fls_models.frame_reader import MOST_STRETCHED
from fls_models.models import Model
from fls_models.prompts import Prompt
from fls_models.readers import TextReader
from fls_models.sampling import SAMPLE_RATE

# Positions for the prompt, the request and the reply beside the frames.
_WORDS = 700
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
        hearing: Hearing | None,
        effort: str,
        max_tokens: int,
        replies: bool,
    ) -> None:
        self._model = model
        self._decode = decode
        self._hearing = hearing
        self._effort = effort
        self._max_tokens = max_tokens
        self._replies = replies
        # One at a time: hidden states are what a long recording takes memory for.
        self._encoded: tuple[Path, EncodedRecording] | None = None
        # Whether for text and for frames.
        self._warm: set[bool] = set()

    @cached_property
    def device(self) -> torch.device:
        """Where the model runs."""
        return torch.device(getattr(self._llm, "device", "cpu"))

    def measure(self, item: SpokenItem, method: Method, length: Length | None) -> Measured:
        """Everything about one item."""
        text = method.reads == "text"
        if text not in self._warm:
            self._warm_up(text=text)
            self._warm.add(text)
        if text:
            return self._cascade(item, method)
        recording = self._recording(item.audio)
        self._memory.begin()
        found = self._heard(item, method, length or Length("all", 1, 1), recording)
        return replace(found, peak=max(recording.peak, self._memory.bytes()))

    def _warm_up(self, *, text: bool) -> None:
        """Hears and says next to nothing: what is done but once must not be the first item's."""
        said = self._llm.embed(self._llm.tokenize(_NOTHING))
        if not text:
            hush = [np.zeros(SAMPLE_RATE, np.float32)]
            heard = encode_recording(self._llm, hush, self._seconds, self._memory.bytes)
            with torch.inference_mode():
                said = self._llm.project(heard.frames.hidden)
        context = self._llm.read(prompts.ASK if text else prompts.ASK.heard(), said)
        request = prompts.question("What is said?")
        list(self._llm.generate(context, request, max_tokens=2, temperature=0.0, seed=0))

    def _recording(self, audio: Path) -> EncodedRecording:
        if self._encoded is None or self._encoded[0] != audio:
            # The one before goes first.
            self._encoded = None
            self._memory.begin()
            made = encode_recording(
                self._llm, self._decode(audio), self._seconds, self._memory.bytes
            )
            self._encoded = (audio, made)
        return self._encoded[1]

    def _heard(
        self, item: SpokenItem, method: Method, length: Length, recording: EncodedRecording
    ) -> Measured:
        begun = self._seconds()
        density = density_from(self._llm.blank_probability)
        if item.task == "asr":
            fused = passes_to_write(recording, method, length, density)
        else:
            most = self._model.card.max_frames
            fused = passes_to_ask(recording, method, length, density, most)
        fuse = self._seconds() - begun
        stretch = (max(len(one.hidden) for one in fused) + _WORDS) / self._window
        short = Measured(True, recording.duration, len(recording.frames))
        if method.compress is None and stretch > (MOST_STRETCHED if method.stretches else 1.0):
            return replace(short, fits=False)
        prompt = prompt_for(item, method)
        passes = [
            Pass(
                partial(self._projected, one),
                prompt,
                max(1.0, stretch) if method.stretches else 1.0,
            )
            for one in fused
        ]
        dims = hearing_dims_of(self._llm)
        reading = self._reading(passes)
        found = replace(
            self._replied(item, reading, short),
            frames=sum(len(one.hidden) for one in fused),
            passes=len(fused),
            hear=recording.seconds,
            fuse=fuse,
        )
        if dims is None or found.flops is None:
            return replace(found, flops=None)
        each = [(one.before, len(one.hidden)) for one in fused]
        return replace(
            found, flops=found.flops + hearing_flops(dims, method, recording.windows, each)
        )

    def _cascade(self, item: SpokenItem, method: Method) -> Measured:
        assert self._hearing is not None
        self._memory.begin()
        heard = self._hearing.hear(item.audio, self._effort)
        transcript = heard.transcript
        short = Measured(True, transcript.duration, 0, hear=heard.seconds)
        if item.task == "asr":
            return replace(short, text=transcript.text, peak=self._memory.bytes())
        reader = TextReader(self._llm, transcript, self._model.card.max_frames)
        read = [one.embeddings for one in reader.readings(Budget("accurate"), item.question)]
        texts = read or [self._llm.embed(self._llm.tokenize(_NOTHING))]
        prompt = prompt_for(item, method)
        reading = self._reading([Pass(partial(_same, one), prompt) for one in texts])
        return replace(
            self._replied(item, reading, short),
            frames=sum(map(len, texts)),
            passes=len(texts),
            # What Whisper computes is not counted, and half a sum is none.
            flops=None,
            peak=self._memory.bytes(),
        )

    def _reading(self, passes: Sequence[Pass]) -> PassReading:
        return PassReading(
            self._llm,
            passes,
            self._model.card.max_frames,
            decoder_dims_of(self._llm),
            self._seconds,
        )

    def _replied(self, item: SpokenItem, reading: PassReading, short: Measured) -> Measured:
        request = request_for(item.task, item.question)
        text: str | None = None
        if not self._replies:
            reading.read(request)
        elif item.task == "asr":
            text = reading.transcript(request, _WRITTEN)
        else:
            text = reading.answer(request, self._max_tokens)
        choices = reading.likelihoods(request, item.choices) if item.choices else None
        spent = reading.spent
        return replace(
            short,
            read=spent.read,
            first=spent.first,
            reply=spent.reply,
            text=text,
            likelihoods=choices,
            read_tokens=spent.read_tokens,
            written_tokens=spent.written_tokens,
            flops=spent.flops,
        )

    @torch.inference_mode()
    def _projected(self, one: FusedPass) -> torch.Tensor:
        projected: torch.Tensor = self._llm.project(one.hidden)
        return projected

    @cached_property
    def _window(self) -> int:
        """Positions that the language model was made for."""
        for told in (self._model, self._model.card, self._llm):
            if window := getattr(told, "window", None):
                return int(window)
        return int(self._llm.body.config.max_position_embeddings)

    @cached_property
    def _llm(self) -> Any:
        return self._model.language_model

    @cached_property
    def _memory(self) -> PeakMemory:
        return PeakMemory(self.device)

    def _seconds(self) -> float:
        """A clock that waits for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return perf_counter()


def _same(embeddings: torch.Tensor) -> torch.Tensor:
    return embeddings
