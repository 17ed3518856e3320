"""How fast a model is here: some speech is heard, read and asked about, on a clock.

Speech is the caller's, and should be of the kind that is to be planned for: how long a transcript
takes depends on how much is said. What was measured before is the caller's affair, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fls_models.answering.answerer import Answerer
from fls_models.audio.vad import cut_at_pauses
from fls_models.core.budget import NAMES, Budget
from fls_models.core.constants import SAMPLE_RATE, WINDOW_SECONDS
from fls_models.core.results import Sentence, Transcript
from fls_models.errors import InputError
from fls_models.planning.plan import ENOUGH_SECONDS, Pace

if TYPE_CHECKING:
    from fls_models.answering.model import EncodedRecording, Listener, Model
    from fls_models.pipelines.frames import FrameModel

SAMPLE_SECONDS = 90.0
"""How much is best measured on; more is as good, and takes longer."""

# Heard of a sample, again and again: of more than the first piece several are heard side by side.
_HEARD_SECONDS = 240.0
# What is shorter would be said several times within a window, which Whisper takes for a loop and
# decodes anew again and again.
_REPEATABLE_SECONDS = WINDOW_SECONDS / 3
# It suits any recording, so that every model answers it.
_QUESTION = "What is the main point?"
_NOTHING = "nobody is understood in the middle of this recording; plan one with speech, once"
# Likelihoods of a question that a judgement takes; one of them is that after the recording.
_LIKELIHOODS = 4


class NothingSaid(InputError):
    """What was to be measured on holds no speech, or nothing that can be asked about."""


def measure(model: Model, blocks: Iterable[NDArray[np.float32]], *, start: float) -> Pace:
    """Measures a model that has loaded and remembers nothing yet.

    Args:
        blocks: 16 kHz mono float32, `SAMPLE_SECONDS` of them or so.
        start: seconds that a process takes besides, as `Pace` has them.

    Raises:
        NothingSaid: there is nothing to measure on.
        Exception: whatever `blocks` raise.
    """
    # Decoding is another process's work, and done while the model hears.
    blocks = list(blocks)
    start_time = perf_counter()
    if model.reads_by == "text":
        _ = model.transcriber
    _ = model.language_model
    load = perf_counter() - start_time
    recording, begin, hear = _hear(model, blocks)
    answerer = Answerer(model, "", recording, heard_in={}, budget=Budget())
    first_answer, second_answer = answerer.answer(_QUESTION), answerer.answer(_QUESTION)
    if not first_answer.answered:
        raise NothingSaid(_NOTHING)
    # For the second answer nothing is read and nothing prepared.
    seconds, second_seconds = first_answer.usage.seconds, second_answer.usage.seconds
    read = seconds.get("read", 0.0)
    return Pace(
        start=start,
        load=load,
        begin=begin,
        hear=hear,
        speakers=_diarized(blocks) if model.reads_by == "text" else 0.0,
        read=read / max(first_answer.usage.frames_after, first_answer.usage.prompt_tokens),
        first=sum(seconds.values()) - read,
        following=sum(second_seconds.values()) - second_seconds.get("read", 0.0),
        check=second_seconds.get("check", 0.0) / _LIKELIHOODS,
        answer=second_seconds.get("answer", 0.0),
        note=max(1, second_answer.usage.answer_tokens),
        audio_seconds=recording.duration,
    )


def _hear(
    model: Model, blocks: list[NDArray[np.float32]]
) -> tuple[EncodedRecording, float, dict[str, float]]:
    """What was heard, what that took once, and for each second of audio by budget."""
    if model.reads_by == "text":
        return _transcribed(model.transcriber, blocks)
    from fls_models.pipelines.frames import FrameModel

    assert isinstance(model, FrameModel), "there are two kinds of models"
    return _fused(model, blocks)


def _transcribed(
    transcriber: Listener, blocks: list[NDArray[np.float32]]
) -> tuple[Transcript, float, dict[str, float]]:
    """Seconds are `begin` and so many for each second of audio: the first piece is heard alone."""
    chunks = list(cut_at_pauses(blocks))
    # The last piece ends anywhere, and costs as much as a whole one.
    if len(chunks) > 1 and chunks[-2].until >= ENOUGH_SECONDS:
        chunks.pop()
    first = next((chunk.piece for chunk in chunks if chunk.piece is not None), None)
    if first is None:
        raise NothingSaid(_NOTHING)
    until = chunks[-1].until
    sound = np.concatenate(blocks)[: round(until * SAMPLE_RATE)]
    fast = NAMES[0]
    # Each time as loud as no other, so that nothing of it is at hand from the time before.
    gains = (np.float32(1 - step / 100) for step in count())
    cold, alone = (
        _timed(transcriber, [first.samples * next(gains)], fast, None)[0] for _ in range(2)
    )
    spoken_language = transcriber.language
    times = round(_HEARD_SECONDS / until) if _REPEATABLE_SECONDS <= until < _HEARD_SECONDS else 1
    seconds, piece_seconds = times * until, len(first.samples) / SAMPLE_RATE
    measured = {
        name: _timed(
            transcriber, [sound * next(gains) for _ in range(times)], name, spoken_language
        )
        for name in NAMES
    }
    sentences = [one for one in measured[fast][1] if one.end <= until]
    if not sentences:
        raise NothingSaid(_NOTHING)
    transcript = Transcript(transcriber.language, tuple(sentences), until)
    rate = max(0.0, measured[fast][0] - alone) / max(piece_seconds, seconds - piece_seconds)
    lone = max(0.0, alone - rate * piece_seconds)
    hear = {name: max(rate, (taken - lone) / seconds) for name, (taken, _) in measured.items()}
    return transcript, max(0.0, cold - alone) + lone, hear


def _fused(
    model: FrameModel, blocks: list[NDArray[np.float32]]
) -> tuple[EncodedRecording, float, dict[str, float]]:
    """Encoding is nearly all of it, and the same for every budget."""
    from fls_models.answering.readers.frames import FusedFrames

    start_time = perf_counter()
    recording = FusedFrames(model.hear(blocks, Budget()))
    seconds = perf_counter() - start_time
    if not recording.speaks:
        raise NothingSaid(_NOTHING)
    return recording, 0.0, dict.fromkeys(NAMES, seconds / recording.duration)


def _diarized(blocks: list[NDArray[np.float32]]) -> float:
    """Seconds for each second of audio."""
    from fls_models.speakers.diarizer import diarize

    diarize(blocks[:1])
    start_time = perf_counter()
    diarize(blocks)
    return (perf_counter() - start_time) * SAMPLE_RATE / sum(map(len, blocks))


def _timed(
    transcriber: Listener, blocks: list[NDArray[np.float32]], budget: str, language: str | None
) -> tuple[float, list[Sentence]]:
    start_time = perf_counter()
    sentences = list(transcriber.sentences(blocks, budget, language=language))
    return perf_counter() - start_time, sentences
