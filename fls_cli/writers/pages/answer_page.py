"""Answers to questions about one recording, with the evidence for each to be heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fls_cli.writers.pages.markup import counted, definitions, escaped, play_button
from fls_cli.writers.pages.page import page
from fls_cli.writers.pages.timeline import Row, timeline
from fls_models.core.results import Answer, Passage, Span, Usage
from fls_models.core.timestamps import clock_time

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
_STRONGEST = (
    "Evidence is listed from the strongest on. A percentage says how much of its attention to the "
    "recording the model gave to that place while it wrote the answer."
)


def answer_page(
    answers: Sequence[Answer],
    *,
    name: str,
    audio: bytes,
    heard: Inspection | None,
    offset: float = 0.0,
    flaws: Sequence[str] = (),
) -> str:
    """A page that needs nothing but itself.

    Args:
        answers: about one recording, one at least.
        name: the recording's.
        audio: what was heard of it, as MP3 (see `page_audio`).
        heard: what the extractor made of it; None for a model without one.
        offset: the second of the recording at which `audio` begins.
        flaws: what of the recording is missing or in doubt, a sentence each.
    """
    rows = [
        Row("Evidence" if len(answers) == 1 else f"Evidence for question {number}", _found(answer))
        for number, answer in enumerate(answers, 1)
    ]
    articles = "\n".join(
        _article(answer, number, len(answers), offset) for number, answer in enumerate(answers, 1)
    )
    beside = _UNHEARD if heard is None else _BESIDE if answers[0].usage.reader == "text" else ""
    has_evidence = any(row.passages for row in rows)
    main = f"""{_missing(flaws)}{_hint(_STRONGEST) if has_evidence else ""}
{articles}
<section aria-labelledby="along">
<h2 id="along">Along the recording</h2>
{timeline(_span(answers, heard, offset), heard=heard, rows=rows, offset=offset)}
{_hint(beside) if beside else ""}
</section>
<section class="made" aria-labelledby="made">
<h2 id="made">How this was made</h2>
{_made(answers)}
</section>"""
    first = answers[0].question
    return page(
        title=f"{first} - {name}" if len(answers) == 1 else f"{name}: {len(answers)} questions",
        name=name,
        about=f"{counted(len(answers), 'question')} asked of this recording with fls.",
        main=main,
        audio=audio,
        offset=offset,
    )


def _missing(flaws: Sequence[str]) -> str:
    if not flaws:
        return ""
    items = "".join(f"<li>{escaped(flaw)}</li>" for flaw in flaws)
    return f"""<section aria-labelledby="missing">
<h2 id="missing">What is missing in this recording</h2>
<ul>{items}</ul>
</section>
"""


def _hint(text: str) -> str:
    return f'<p class="hint">{escaped(text)}</p>'


def _found(answer: Answer) -> tuple[Passage, ...]:
    return answer.evidence if answer.answered else ()


def _span(answers: Sequence[Answer], heard: Inspection | None, offset: float) -> Span:
    if heard:
        return Span(heard.start, heard.end)
    ends = [offset + answer.usage.audio_seconds for answer in answers]
    ends += [passage.span.end for answer in answers for passage in _found(answer)]
    return Span(offset, max(ends))


def _article(answer: Answer, number: int, count: int, offset: float) -> str:
    found = _found(answer)
    if found:
        items = "\n".join(_item(passage, offset) for passage in found)
        evidence = f"""<h3>Evidence</h3>
<ol class="evidence">
{items}
</ol>"""
    elif answer.answered:
        evidence = _hint("Where this answer comes from was not measured.")
    else:
        evidence = ""
    which = f'<span class="number">Question {number}</span> ' if count > 1 else ""
    said = "said" if answer.answered else "said unanswered"
    return f"""<article aria-labelledby="question-{number}">
<h2 id="question-{number}">{which}<span dir="auto">{escaped(answer.question)}</span></h2>
<p class="{said}" dir="auto">{escaped(answer.answer)}</p>
{evidence}
</article>"""


def _item(passage: Passage, offset: float) -> str:
    percent = max(1, round(100 * passage.share))
    quote = f'\n<blockquote dir="auto">{escaped(passage.text)}</blockquote>'
    return f"""<li>{play_button(passage.span, offset)}
<span class="share">{percent}%<svg width="64" height="6" viewBox="0 0 100 6" \
preserveAspectRatio="none" aria-hidden="true"><rect class="all" width="100" height="6"/>\
<rect width="{percent}" height="6"/></svg></span>{quote if passage.text.strip() else ""}</li>"""


def _made(answers: Sequence[Answer]) -> str:
    usage = answers[0].usage
    common = definitions(
        [
            ("Model", usage.model),
            ("Budget", usage.budget),
            ("Reads", _READERS.get(usage.reader, usage.reader)),
            ("Heard", clock_time(usage.audio_seconds)),
        ]
    )
    if len(answers) == 1:
        return f"{common}\n<p>{escaped(_cost(usage))}</p>"
    items = "\n".join(f"<li>{escaped(_cost(answer.usage))}</li>" for answer in answers)
    return f"{common}\n<ol>\n{items}\n</ol>"


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
