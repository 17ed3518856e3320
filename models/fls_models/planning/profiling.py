"""How fast a model is here: some speech is heard, read and asked about, on a clock.

Speech is the caller's, and should be of the kind that is to be planned for: how long a transcript
takes depends on how much is said. What was measured before is the caller's affair, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fls_models.answering.answerer import Answerer
from fls_models.audio.vad import Piece, cut_at_pauses
from fls_models.core.budget import NAMES, Budget
from fls_models.core.results import Sentence, Transcript
from fls_models.errors import InputError
from fls_models.planning.plan import ENOUGH_SECONDS, Pace

if TYPE_CHECKING:
    from fls_models.answering.model import EncodedRecording, Listener, Model
    from fls_models.pipelines.frames import FrameModel

SAMPLE_SECONDS = 90.0
"""How much is best measured on; more is as good, and takes longer."""

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
    chunks = list(cut_at_pauses(blocks))
    # The last piece ends anywhere, and costs as much as a whole one.
    if len(chunks) > 1 and chunks[-2].until >= ENOUGH_SECONDS:
        chunks.pop()
    pieces = [chunk.piece for chunk in chunks if chunk.piece is not None]
    if not pieces:
        raise NothingSaid(_NOTHING)
    until = chunks[-1].until
    fast = NAMES[0]
    start_time = perf_counter()
    _sentences(transcriber, pieces[0], fast, None)
    begin = perf_counter() - start_time
    spoken_language = transcriber.language
    seconds_by_budget = dict.fromkeys(NAMES, 0.0)
    sentences = []
    for place, piece in enumerate(pieces):
        # All efforts in turn: whatever else the machine does meanwhile, it does to all.
        for name in NAMES:
            start_time = perf_counter()
            piece_sentences = _sentences(transcriber, piece, name, spoken_language)
            seconds_by_budget[name] += perf_counter() - start_time
            if place == 0 and name == fast:
                begin -= seconds_by_budget[name]
        sentences += piece_sentences
    if not sentences:
        raise NothingSaid(_NOTHING)
    transcript = Transcript(transcriber.language, tuple(sentences), until)
    hear = {name: seconds / until for name, seconds in seconds_by_budget.items()}
    return transcript, max(0.0, begin), hear


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


def _sentences(
    transcriber: Listener, piece: Piece, budget: str, language: str | None
) -> list[Sentence]:
    return list(
        transcriber.sentences([piece.samples], budget, language=language, start=piece.start)
    )
