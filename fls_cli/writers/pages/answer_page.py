"""What is told about one recording, with the evidence for each part to be heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NotRequired, TypedDict, Unpack

from fls_cli.writers.pages.markup import counted
from fls_cli.writers.pages.page import page
from fls_cli.writers.pages.timeline import Row, timeline
from fls_models.core.results import Answer, Passage, Span, Summary, Usage
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
    "What is told was read from a transcript. Content density and fusion are what the model's "
    "extractor makes of the same recording."
)


@dataclass(frozen=True)
class Section:
    """Something told about a recording: what was asked for, what came, and where it comes from."""

    heading: str
    text: str
    answered: bool
    evidence: tuple[Passage, ...]


def answer_page(answers: Sequence[Answer], *, name: str, **page_of: Unpack[PageOf]) -> str:
    """A page that needs nothing but itself, of one answer at least about one recording."""
    sections = [
        Section(each.question, each.answer, each.answered, each.evidence if each.answered else ())
        for each in answers
    ]
    title = f"{answers[0].question} - {name}"
    return _page(
        sections,
        [answer.usage for answer in answers],
        title=title if len(answers) == 1 else f"{name}: {len(answers)} questions",
        name=name,
        about=f"{counted(len(answers), 'question')} asked of this recording with fls.",
        label="Question",
        **page_of,
    )


def summary_page(summary: Summary, *, name: str, **page_of: Unpack[PageOf]) -> str:
    """A page that needs nothing but itself, of a summary of one recording."""
    sections = [
        Section(
            chapter.title or "-".join(map(clock_time, (chapter.start, chapter.end))),
            chapter.summary,
            True,
            tuple(passage for each in chapter.statements for passage in each.evidence),
        )
        for chapter in summary.chapters
    ]
    return _page(
        sections or [Section("Summary", summary.brief, False, ())],
        [summary.usage],
        title=f"Summary - {name}",
        name=name,
        about="This recording in short, made with fls.",
        label="Part",
        **page_of,
    )


class PageOf(TypedDict):
    """What a page needs besides what is told.

    `audio` is what was heard of the recording, as MP3 (see `page_audio`); `inspection` what the
    extractor made of it, None for a model without one; `offset` the second of the recording at
    which `audio` begins; `flaws` what of the recording is missing or in doubt, a sentence each;
    `turns` who speaks when, if that was asked for.
    """

    audio: bytes
    inspection: Inspection | None
    offset: NotRequired[float]
    flaws: NotRequired[Sequence[str]]
    turns: NotRequired[Sequence[SpeakerTurn]]


def _page(
    sections: Sequence[Section],
    usages: Sequence[Usage],
    *,
    title: str,
    name: str,
    about: str,
    label: str,
    **page_of: Unpack[PageOf],
) -> str:
    inspection, offset = page_of["inspection"], page_of.get("offset", 0.0)
    rows = [
        Row(
            "Evidence" if len(sections) == 1 else f"Evidence for {label.lower()} {number}",
            section.evidence,
        )
        for number, section in enumerate(sections, 1)
    ]
    usage = usages[0]
    return page(
        "answers.html",
        title=title,
        name=name,
        about=about,
        label=label,
        sections=sections,
        flaws=page_of.get("flaws", ()),
        timeline=timeline(
            _span(sections, usage, inspection, offset),
            inspection=inspection,
            rows=rows,
            turns=page_of.get("turns", ()),
            offset=offset,
        ),
        beside=_UNHEARD if inspection is None else _BESIDE if usage.reader == "text" else "",
        facts=[
            ("Model", usage.model),
            ("Budget", usage.budget),
            ("Reads", _READERS.get(usage.reader, usage.reader)),
            ("Heard", clock_time(usage.audio_seconds)),
        ],
        costs=[_cost(each) for each in usages],
        audio=page_of["audio"],
        offset=offset,
    )


def _span(
    sections: Sequence[Section], usage: Usage, inspection: Inspection | None, offset: float
) -> Span:
    if inspection:
        return Span(inspection.start, inspection.end)
    ends = [passage.span.end for section in sections for passage in section.evidence]
    return Span(offset, max([offset + usage.audio_seconds, *ends]))


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
