"""What was heard of the voices of a stream, from which its turns follow for any number of
speakers."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fls_models.core.constants import SAMPLE_RATE
from fls_models.speakers.decoding import VoiceTrack, speaker_turns, voices_of
from fls_models.speakers.identification import Voice
from fls_models.speakers.segmentation import Activity
from fls_models.speakers.turn import SpeakerTurn


@dataclass(frozen=True)
class Diarization:
    """`spans` (n, 3) int64: of each embedding, the number of its region, and its first sample and
    that after its last; `embeddings` (n, D) float16 of length 1. 7 MB an hour."""

    activity: Activity
    spans: NDArray[np.int64]
    embeddings: NDArray[np.float16]

    def turns(self, fewest: int = 1, most: int | None = None) -> list[SpeakerTurn]:
        """In order, by S1, S2 ... in the order in which they begin to speak.

        There are `fewest` to `most` speakers, where so many voices are told apart.
        """
        return speaker_turns(self._track, self.activity, fewest, most)

    def voices(self, turns: Sequence[SpeakerTurn]) -> dict[str, Voice]:
        """How those sound who speak in these turns, as far as they are heard alone."""
        return voices_of(self._track, turns)

    def to_bytes(self) -> bytes:
        """For `from_bytes`, of this version."""
        content = io.BytesIO()
        arrays = {"spans": self.spans, "embeddings": self.embeddings, **self.activity.arrays()}
        np.savez(content, **arrays)  # type: ignore[arg-type]
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Diarization":
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            activity = Activity.of(arrays["shares"], arrays["firsts"], arrays["classes"])
            return cls(activity, arrays["spans"], arrays["embeddings"])

    @property
    def _track(self) -> VoiceTrack:
        numbers, starts, ends = self.spans.T
        return VoiceTrack(
            numbers,
            starts / SAMPLE_RATE,
            ends / SAMPLE_RATE,
            self.embeddings.astype(np.float32),
        )
