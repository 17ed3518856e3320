"""A recording in short: its topics, each read and summarised on its own, then put together.

A small model that reads twenty minutes at once forgets half of the topics. So the recording is
first divided (`Reader.segments`); times come from that, never from the model.
"""

from collections.abc import Mapping, Sequence

from fls_models.answering.generation import GenerationConfig
from fls_models.answering.model import EncodedRecording, Model
from fls_models.answering.readers.text import Segment
from fls_models.core.budget import Budget
from fls_models.core.constants import FRAME_RATE
from fls_models.core.progress import Progress, ignore
from fls_models.core.results import Chapter, Summary, Usage
from fls_models.core.stopwatch import Stopwatch
from fls_models.lslm import prompts

_MIN_TOPIC = 40.0
_MAX_TOPICS = 24
# Up to here (seconds) a brief summary reads the recording as one.
_ONE_PIECE = 90.0


def summarise(
    model: Model,
    source: str,
    recording: EncodedRecording,
    *,
    heard_in: Mapping[str, float],
    style: str,
    budget: Budget,
    generation: GenerationConfig,
    progress: Progress = ignore,
) -> Summary:
    """Chapters with their summaries; titles only for the style `chapters` (they cost extra)."""
    clock = Stopwatch(heard_in)
    chapters: list[Chapter] = []
    frames_read = prompt_tokens = answer_tokens = 0
    segments: Sequence[Segment] = ()
    if recording.speaks:
        with clock.stage("load"):
            llm = model.language_model
            reader = model.reader(recording)
        with clock.stage("divide"):
            short = model.reads_by == "frames" or recording.duration <= _ONE_PIECE
            whole = style == "brief" and short
            segments = reader.segments(shortest=_MIN_TOPIC, max_segments=_MAX_TOPICS, whole=whole)
    progress("summarize", 0, len(segments))
    for segment in segments:
        request, limit = prompts.IN_A_SENTENCE, 2
        if len(segments) == 1:
            request, limit = prompts.IN_A_FEW, 3
        summaries: list[str] = []
        title = ""
        prompt = segment.reader.prompt(prompts.SUMMARISE)
        for reading in segment.reader.readings(budget, None):
            with clock.stage("read"):
                context = llm.read(
                    prompt, reading.embeddings, rope_scale=reading.rope_scale, text=reading.text
                )
            with clock.stage("answer"):
                summaries.append(generation.decode(llm, context, request, sentences=limit))
                if style == "chapters" and not title:
                    title = _titled(generation.decode(llm, context, prompts.TITLE, sentences=1))
            frames_read += len(reading)
            prompt_tokens += context.tokens
        answer_tokens += len(llm.tokenize(" ".join([title, *summaries])))
        chapters.append(Chapter(segment.span.start, segment.span.end, title, " ".join(summaries)))
        progress("summarize", len(chapters), len(segments))
    usage = Usage(
        audio_seconds=recording.duration,
        frames_before=round(recording.duration * FRAME_RATE),
        frames_after=frames_read,
        sections=len(segments),
        seconds=clock.seconds,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
        model=model.card.name,
        budget=budget.label,
        reader=model.reads_by,
    )
    return Summary(source, tuple(chapters), usage)


def _titled(text: str) -> str:
    """A title as titles stand: one line, without quotes or a full stop."""
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first.strip(" \"'“”*#.").removeprefix("Title:").strip()
