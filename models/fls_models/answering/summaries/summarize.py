"""A recording in short: its topics, each read and written about on its own, then put together.

A small model that reads twenty minutes at once forgets half of the topics. So the recording is
first divided (`Reader.segments`); times come from that, never from the model.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from fls_models.answering.generation import GenerationConfig, TokenUsage
from fls_models.answering.model import EncodedRecording, Model, usage_of
from fls_models.answering.question_language import spoken_language
from fls_models.answering.readers.text import ModelInput, Reader, Segment
from fls_models.answering.summaries.actions import Actions, TaskFinder
from fls_models.answering.summaries.quotes import Quotes
from fls_models.answering.summaries.support import Support
from fls_models.answering.summaries.writing import Writer
from fls_models.core.budget import Budget
from fls_models.core.progress import Progress, ignore
from fls_models.core.results import (
    NO_SPEECH,
    NO_TASKS,
    NOTHING_TO_TELL,
    WORDED,
    Chapter,
    Statement,
    Summary,
    Transcript,
)
from fls_models.core.stopwatch import Stopwatch
from fls_models.core.text.exact import ExactWords
from fls_models.errors import UsageError

_MIN_TOPIC = 40.0
_MAX_TOPICS = 24
# Up to here (seconds) a summary without chapters reads the recording as one.
_ONE_PIECE = 90.0
# Statements of a topic, of a recording that is one, and of all topics together.
_OF_A_TOPIC, _OF_ONE, _MOST = 2, 4, 48
# Samples of a sentence that is not borne out, by the budget's name.
_SAMPLES = {"fast": 0, "balanced": 6, "accurate": 6}
# Tasks of a topic at most.
_ALL = 50


class Teller(Protocol):
    """Tells of one topic after the other."""

    def topic(
        self, reader: Reader, readings: Sequence[ModelInput], count: int
    ) -> tuple[str, list[Statement]]:
        """A title, or an empty one, and at most so many statements for each reading of a topic."""


def summarise(
    model: Model,
    source: str,
    recording: EncodedRecording,
    *,
    heard_in: Mapping[str, float],
    style: str,
    budget: Budget,
    generation: GenerationConfig,
    length: int | None = None,
    wish: str = "",
    progress: Progress = ignore,
) -> Summary:
    """Chapters with their statements; titles only for the style `chapters` (they cost extra).

    `length` is how many statements there are at most; None for what suits the recording. `wish` is
    what the user asks of each topic instead. Raises UsageError for quotes and actions where no
    words are known.
    """
    clock = Stopwatch(heard_in)
    chapters: list[Chapter] = []
    usage = TokenUsage()
    segments: Sequence[Segment] = ()
    if style in WORDED and model.reads_by == "frames":
        raise UsageError(
            f"--style {style}: {model.card.name} reads frames, which have no words to quote; take "
            "--read text, or a model that reads transcripts (`fls models list`)."
        )
    if recording.speaks:
        with clock.stage("load"):
            _ = model.language_model
            reader = model.reader(recording)
            samples = _SAMPLES[budget.name]
            teller = _teller(model, recording, style, generation, wish, clock, usage, samples)
        with clock.stage("divide"):
            is_short = recording.duration <= _ONE_PIECE and style != "chapters"
            # Frames are not divided by what is said, so only where parts are shown.
            is_one = style == "brief" if model.reads_by == "frames" else is_short
            segments = reader.segments(
                shortest=_MIN_TOPIC,
                max_segments=min(_MAX_TOPICS, length or _MAX_TOPICS),
                whole=is_one,
            )
        progress("summarize", 0, len(segments))
        if style == "actions":
            length = length or _ALL * len(segments)
        counts = _counts(segments, length)
        for done, (segment, count) in enumerate(zip(segments, counts, strict=True), 1):
            readings = segment.reader.readings(budget, None)
            title, statements = teller.topic(segment.reader, readings, count)
            if statements or title:
                span = segment.span
                chapters.append(Chapter(span.start, span.end, title, tuple(statements)))
            progress("summarize", done, len(segments))
    return Summary(
        source,
        tuple(chapters),
        usage_of(model, recording, budget, usage, sections=len(segments), seconds=clock.seconds),
        (NO_TASKS if style == "actions" else NOTHING_TO_TELL) if recording.speaks else NO_SPEECH,
    )


def _teller(
    model: Model,
    recording: EncodedRecording,
    style: str,
    generation: GenerationConfig,
    wish: str,
    clock: Stopwatch,
    usage: TokenUsage,
    samples: int,
) -> Teller:
    exact = _exact(recording)
    if style == "quotes" and exact is not None:
        return Quotes(exact)
    language = _language(model, recording)
    support = Support(model.reads, exact, language)
    writer = Writer(
        model.language_model,
        support,
        generation,
        language,
        clock,
        usage,
        samples,
        style == "chapters",
        wish,
    )
    if style == "actions" and exact is not None:
        return Actions(TaskFinder(model.reads, exact, language), writer)
    return writer


def _counts(segments: Sequence[Segment], length: int | None) -> list[int]:
    """Statements of each segment: at most `length` together, most for the longest."""
    if not segments:
        return []
    if length is None:
        each = _OF_ONE if len(segments) == 1 else _OF_A_TOPIC
        length = min(_MOST, each * len(segments))
    counts = [1] * len(segments)
    seconds = [segment.span.end - segment.span.start for segment in segments]
    for _ in range(length - len(segments)):
        place = max(range(len(segments)), key=lambda i: seconds[i] / counts[i])
        counts[place] += 1
    return counts


def _exact(recording: EncodedRecording) -> ExactWords | None:
    """Names and numbers of what was heard, if words are known."""
    if not isinstance(recording, Transcript):
        return None
    said = recording.sentences
    speakers = {sentence.speaker for sentence in said if sentence.speaker}
    return ExactWords([sentence.text for sentence in said], speakers, recording.language)


def _language(model: Model, recording: EncodedRecording) -> str:
    """The English name of the language that is written; a large model tells by itself."""
    if not isinstance(recording, Transcript):
        return "English"
    said = [sentence.text for sentence in recording.sentences]
    return spoken_language(said, model.language_model, model.answerability.nothing)
