"""Fused frames for benches: each recording is heard once a budget, and kept in a folder.

As `transcripts` does with words. Frames of many recordings are more than memory holds, so that they
are always kept, and the one that was heard last is at hand.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter

from fls_models.bench.caches.transcripts import Decode
from fls_models.core.budget import Budget
from fls_models.core.files import digest, write_whole
from fls_models.extractor.fused_recording import FusedRecording
from fls_models.pipelines.frames import FrameModel


@dataclass(frozen=True, eq=False)
class TimedFrames:
    """A recording as it was fused, and the seconds of work that took when it was done."""

    fused: FusedRecording
    seconds: float


class FrameCache:
    """Hears recordings with a model that reads frames; `work` is the folder for what comes of it.

    Cached frames belong to the bytes of the recording, the budget as the model's card has it,
    and the weights that heard it.
    """

    def __init__(self, model: FrameModel, decode: Decode, work: Path) -> None:
        self._model = model
        self._decode = decode
        self._work = work
        self.content = cache(digest)
        """What tells a recording from others, whatever it is called."""
        self._last: tuple[tuple[Path, str], TimedFrames] | None = None

    def hear(self, audio: Path, budget: str) -> TimedFrames:
        """The frames of a recording: kept from before, or made now."""
        if self._last is None or self._last[0] != (audio, budget):
            # The one before goes first.
            self._last = None
            self._last = ((audio, budget), self._hear(audio, budget))
        return self._last[1]

    def _hear(self, audio: Path, budget: str) -> TimedFrames:
        place = self._place(audio, budget)
        if place.is_file():
            header, packed = place.read_bytes().split(b"\n", 1)
            return TimedFrames(FusedRecording.unpack(packed), json.loads(header)["seconds"])
        # Loading it is not hearing.
        _ = self._model.language_model
        begun = perf_counter()
        fused = self._model.hear(self._decode(audio), Budget(budget))
        seconds = perf_counter() - begun
        write_whole(place, json.dumps({"seconds": seconds}).encode() + b"\n" + fused.pack())
        return TimedFrames(fused, seconds)

    def _place(self, audio: Path, budget: str) -> Path:
        card = self._model.card
        form = json.dumps([self._model.encoder_fingerprint, card.max_frames])
        form_hash = hashlib.sha256(form.encode()).hexdigest()[:12]
        budget_key = Budget(budget).by(self._model.rates).key()
        folder = self._work / "frames" / f"{card.name}-{budget_key}-{form_hash}"
        return folder / f"{self.content(audio)[:16]}.fls"
