"""Answers to questions about one recording, with the evidence for each to be heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fls_cli.writers.pages.markup import counted
from fls_cli.writers.pages.page import page
from fls_cli.writers.pages.timeline import Row, timeline
from fls_models.core.results import Answer, Passage, Span, Usage
from fls_models.core.timestamps import clock_time
from fls_models.speakers.turn import SpeakerTurn

if TYPE_CHECKING:
    from fls_models.extractor.inspection.inspection import Inspection

_READERS = {"text": "the text of a transcript", "frames": "fused frames of the sound"}
_UNHEARD = (
    "There is no waveform, no content density and no fusion to show: they come from an extractor, "
    "and what answered here read a transcript without one."
)
_BESIDE = (
    "The answers were read from a transcript. Content density and fusion are what the model's "
    "extractor makes of the same recording."
)


def answer_page(
    answers: Sequence[Answer],
    *,
    name: str,
    audio: bytes,
    inspection: Inspection | None,
    offset: float = 0.0,
    flaws: Sequence[str] = (),
    turns: Sequence[SpeakerTurn] = (),
) -> str:
    """A page that needs nothing but itself.

    Args:
        answers: about one recording, one at least.
        name: the recording's.
        audio: what was heard of it, as MP3 (see `page_audio`).
        heard: what the extractor made of it; None for a model without one.
        offset: the second of the recording at which `audio` begins.
        flaws: what of the recording is missing or in doubt, a sentence each.
        turns: who speaks when, if that was asked for.
    """
    evidence = [_found(answer) for answer in answers]
    rows = [
        Row("Evidence" if len(answers) == 1 else f"Evidence for question {number}", passages)
        for number, passages in enumerate(evidence, 1)
    ]
    first = answers[0]
    title = f"{first.question} - {name}"
    return page(
        "answers.html",
        title=title if len(answers) == 1 else f"{name}: {len(answers)} questions",
        name=name,
        about=f"{counted(len(answers), 'question')} asked of this recording with fls.",
        answers=answers,
        evidence=evidence,
        flaws=flaws,
        timeline=timeline(
            _span(answers, inspection, offset),
            inspection=inspection,
            rows=rows,
            turns=turns,
            offset=offset,
        ),
        beside=_UNHEARD if inspection is None else _BESIDE if first.usage.reader == "text" else "",
        facts=[
            ("Model", first.usage.model),
            ("Budget", first.usage.budget),
            ("Reads", _READERS.get(first.usage.reader, first.usage.reader)),
            ("Heard", clock_time(first.usage.audio_seconds)),
        ],
        costs=[_cost(answer.usage) for answer in answers],
        audio=audio,
        offset=offset,
    )


def _found(answer: Answer) -> tuple[Passage, ...]:
    return answer.evidence if answer.answered else ()


def _span(answers: Sequence[Answer], inspection: Inspection | None, offset: float) -> Span:
    if inspection:
        return Span(inspection.start, inspection.end)
    ends = [offset + answer.usage.audio_seconds for answer in answers]
    ends += [passage.span.end for answer in answers for passage in _found(answer)]
    return Span(offset, max(ends))


def _cost(usage: Usage) -> str:
    read = f"{usage.frames_after:,} tokens" if usage.reader == "text" else f"{usage.frames_after:,}"
    ratio = f" ({usage.ratio:.1f} to 1)" if usage.ratio else ""
    # What was found in the cache took no time worth telling.
    stages = [f"{stage} {spent:.1f}" for stage, spent in usage.seconds.items() if spent >= 0.05]
    seconds = ", ".join(stages) or "0.0"
    return (
        f"Of {counted(usage.frames_before, 'frame')}, {read} were read{ratio}, in "
        f"{counted(usage.sections, 'pass')}; {counted(usage.prompt_tokens, 'token')} of prompts, "
        f"{counted(usage.answer_tokens, 'token')} of answers. Seconds: {seconds}."
    )
