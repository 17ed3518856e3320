"""Transcripts for benches: each recording is heard once an effort, and kept where one says.

Hearing is most of a bench's time; with a folder to keep transcripts in, an interrupted bench goes
on where it stopped. A kept transcript belongs to the bytes of the recording, the model and the
effort, whatever the file is called.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from fls_models.answering.model import Listener
from fls_models.core.budget import PAPER, Budget, FrameRates
from fls_models.core.files import digest, write_whole
from fls_models.core.results import Transcript

Decode = Callable[[Path], Iterable[NDArray[np.float32]]]
"""Blocks of 16 kHz mono float32 of a media file."""


@dataclass(frozen=True)
class TimedTranscript:
    """A transcript and the seconds it took to make, when it was made."""

    transcript: Transcript
    seconds: float


class TranscriptCache:
    """Hears recordings for one model, at the effort that belongs to a budget.

    `rates` are those of a model that transcribes what it reads as frames.
    """

    def __init__(
        self,
        listener: Callable[[], Listener],
        decode: Decode,
        model: str,
        *,
        rates: FrameRates = PAPER,
        work: Path | None = None,
        language: str | None = None,
    ) -> None:
        self._listener = listener
        self._decode = decode
        self._model = model
        self._rates = rates
        self._work = work
        self._language = language
        self.hear = cache(self._hear)
        """(recording, budget) -> its transcript: kept from before, or made now."""

    def _hear(self, audio: Path, budget: str) -> TimedTranscript:
        place = self._place(audio, budget)
        if place is not None and place.is_file():
            raw = json.loads(place.read_text("utf-8"))
            return TimedTranscript(Transcript.from_json(raw), raw["seconds"])
        listener = self._listener()
        begun = perf_counter()
        sentences = tuple(listener.sentences(self._decode(audio), budget, language=self._language))
        seconds = perf_counter() - begun
        language = listener.language if sentences else None
        timed = TimedTranscript(Transcript(language, sentences, listener.until), seconds)
        if place is not None:
            payload = {"seconds": seconds, **timed.transcript.as_json()}
            write_whole(place, json.dumps(payload, ensure_ascii=False))
        return timed

    def _place(self, audio: Path, budget: str) -> Path | None:
        if self._work is None:
            return None
        budget_key = Budget(budget).by(self._rates).key("transcribe")
        effort = f"{self._model}-{budget_key}" + (f"-{self._language}" if self._language else "")
        return self._work / "transcripts" / effort / f"{digest(audio)[:16]}.json"
