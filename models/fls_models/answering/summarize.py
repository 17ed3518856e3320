"""A recording in short: its topics, each read and summarised on its own, then put together.

A small model that reads twenty minutes at once forgets half of the topics. So the recording is
first divided (`Reader.stretches`); times come from that, never from the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fls_models.answering.answerer import GenerationConfig
from fls_models.answering.model import EncodedRecording, Model
from fls_models.answering.readers.text import Segment
from fls_models.core.budget import Budget
from fls_models.core.constants import FRAME_RATE
from fls_models.core.progress import Progress, ignore
from fls_models.core.results import Chapter, Summary, Usage
from fls_models.core.stopwatch import Stopwatch
from fls_models.lslm import prompts

_SHORTEST_TOPIC = 40.0
_MOST_TOPICS = 24
# Up to here (seconds) a brief summary reads the recording as one.
_ONE_PIECE = 90.0


def summarise(
    model: Model,
    source: str,
    heard: EncodedRecording,
    *,
    heard_in: Mapping[str, float],
    style: str,
    budget: Budget,
    manner: GenerationConfig,
    progress: Progress = ignore,
) -> Summary:
    """Chapters with their summaries; titles only for the style `chapters` (they cost extra)."""
    clock = Stopwatch(heard_in)
    chapters: list[Chapter] = []
    read = prompt_tokens = spent = 0
    stretches: Sequence[Segment] = ()
    if heard.speaks:
        with clock.stage("load"):
            llm = model.language_model
            reader = model.reader(heard)
        with clock.stage("divide"):
            short = model.reads_by == "frames" or heard.duration <= _ONE_PIECE
            whole = style == "brief" and short
            stretches = reader.stretches(
                shortest=_SHORTEST_TOPIC, max_stretches=_MOST_TOPICS, whole=whole
            )
    progress("summarize", 0, len(stretches))
    for stretch in stretches:
        alone = len(stretches) == 1
        request = prompts.IN_A_FEW if alone else prompts.IN_A_SENTENCE
        summaries: list[str] = []
        title = ""
        prompt = stretch.reader.prompt(prompts.SUMMARISE)
        for reading in stretch.reader.readings(budget, None):
            with clock.stage("read"):
                context = llm.read(prompt, reading.embeddings, stretch=reading.stretch)
            with clock.stage("answer"):
                summaries.append(manner.decode(llm, context, request, sentences=3 if alone else 2))
                if style == "chapters" and not title:
                    title = _titled(manner.decode(llm, context, prompts.TITLE, sentences=1))
            read += len(reading)
            prompt_tokens += context.tokens
        spent += len(llm.tokenize(" ".join([title, *summaries])))
        chapters.append(Chapter(stretch.span.start, stretch.span.end, title, " ".join(summaries)))
        progress("summarize", len(chapters), len(stretches))
    usage = Usage(
        audio_seconds=heard.duration,
        frames_before=round(heard.duration * FRAME_RATE),
        frames_after=read,
        sections=len(stretches),
        seconds=clock.seconds,
        prompt_tokens=prompt_tokens,
        answer_tokens=spent,
        model=model.card.name,
        budget=budget.label,
        reader=model.reads_by,
    )
    return Summary(source, tuple(chapters), usage)


def _titled(text: str) -> str:
    """A title as titles stand: one line, without quotes or a full stop."""
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first.strip(" \"'“”*#.").removeprefix("Title:").strip()
