"""What a model is given of an item under a condition: its words, frames of its sound, or nothing.

One class for models that read text, one for those that read frames. Both hear a recording at most
once for each budget. What is asked, and how replies are judged, is for others.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from fls_models.answering.model import Model
from fls_models.answering.readers.frames import FusedFrames
from fls_models.answering.readers.text import ModelInput
from fls_models.bench.caches.frames import FrameCache
from fls_models.bench.caches.transcripts import TimedTranscript, TranscriptCache
from fls_models.bench.qa.items import Item, true_transcript
from fls_models.core.budget import Budget
from fls_models.core.results import Transcript
from fls_models.lslm import prompts
from fls_models.lslm.prompts import Prompt
from fls_models.pipelines.frames import FrameModel

NO_AUDIO = "no-audio"
TRUE = "true-transcript"
NOTHING = "..."
"""What is read where nothing is given."""


class ConditionInputs(Protocol):
    """Recordings for one model."""

    @property
    def model(self) -> Model:
        """Who reads."""

    @property
    def prompt(self) -> Prompt:
        """What stands before what it reads."""

    def effort(self, condition: str) -> str:
        """The budget at whose effort recordings are heard under a condition."""

    def hearing_cost(self, item: Item, effort: str) -> tuple[float, float]:
        """Seconds of work that hearing a recording took, and seconds of audio."""

    def recording(self, item: Item, condition: str) -> Any:
        """The recording, as the model's reader takes it; not for `NO_AUDIO`."""

    def identity(self, item: Item, condition: str, question: str) -> Any:
        """All that a result depends on beside the model's name and what is asked, as JSON."""


class TextInputs:
    """Transcripts, and the true text.

    Args:
        hearing: None where only the true text is read.
        listen: the budget at whose effort everything is heard; without it, each at its own.
        marks: what tells the model from others of its name.
    """

    prompt = prompts.ASK

    def __init__(
        self,
        model: Model,
        hearing: TranscriptCache | None = None,
        *,
        listen: str | None = None,
        marks: Sequence[str] = (),
    ) -> None:
        self.model = model
        self._hearing = hearing
        self._listen = listen
        self._marks = marks

    def effort(self, condition: str) -> str:
        return self._listen or condition

    def hearing_cost(self, item: Item, effort: str) -> tuple[float, float]:
        timed = self._timed(item, effort)
        return timed.seconds, timed.transcript.duration

    def recording(self, item: Item, condition: str) -> Transcript:
        if condition == TRUE:
            return true_transcript(item)
        return self._timed(item, self.effort(condition)).transcript

    def _timed(self, item: Item, effort: str) -> TimedTranscript:
        assert self._hearing is not None
        assert item.audio is not None
        return self._hearing.hear(item.audio, effort)

    def identity(self, item: Item, condition: str, question: str) -> list[str]:
        """What is read, pass by pass: it may depend on the question."""
        if condition == NO_AUDIO:
            return [*self._marks, NOTHING]
        passes = readings(self, item, condition, question)
        return [*self._marks, *(reading.text for reading in passes)]


class FrameInputs:
    """Frames of recordings, fused for the budget that is the condition."""

    prompt = prompts.ASK.heard()

    def __init__(self, model: FrameModel, hearing: FrameCache) -> None:
        self.model = model
        self._hearing = hearing

    def effort(self, condition: str) -> str:
        return condition

    def hearing_cost(self, item: Item, effort: str) -> tuple[float, float]:
        assert item.audio is not None
        timed = self._hearing.hear(item.audio, effort)
        return timed.seconds, timed.fused.duration

    def recording(self, item: Item, condition: str) -> FusedFrames:
        assert item.audio is not None
        return FusedFrames(self._hearing.hear(item.audio, condition).fused)

    def identity(self, item: Item, condition: str, question: str) -> dict[str, Any]:
        """Frames do not depend on the question."""
        if condition == NO_AUDIO:
            return {"ear": self.model.encoder_fingerprint, "read": NOTHING}
        assert item.audio is not None
        return {
            "ear": self.model.encoder_fingerprint,
            "audio": self._hearing.content(item.audio),
            "budget": Budget(condition).by(self.model.rates).key(),
            "most": self.model.card.max_frames,
        }


def budget_of(condition: str) -> Budget:
    """What is read of a recording under a condition: all of the true text."""
    return Budget("accurate" if condition == TRUE else condition)


def readings(
    inputs: ConditionInputs, item: Item, condition: str, question: str
) -> Sequence[ModelInput]:
    """The passes that hold the recording under a condition, none for `NO_AUDIO`."""
    if condition == NO_AUDIO:
        return []
    reader = inputs.model.reader(inputs.recording(item, condition))
    return reader.readings(budget_of(condition), question)
