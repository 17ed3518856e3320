"""Results as text, one pure function a format. What comes from a model is made harmless here."""

import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from fls_cli.console.text import clean
from fls_cli.media.flaws import Flaw
from fls_cli.writers.transcripts.timed_words import one_line
from fls_models.core.results import WORDED, Answer, Chapter, Span, Statement, Summary
from fls_models.core.timestamps import clock_time, whole_seconds

# What ends a value there, or stands for something.
_UNSAFE = re.compile(r"([=;#\\\n])")
SUMMARY_SCHEMA = "fls.summary/1"


def warnings(flaws: Iterable[Flaw]) -> list[dict[str, Any]]:
    """What is wrong with a recording, an object each: kind, text, start and seconds."""
    return [{**flaw.as_json(), "text": one_line(flaw.text)} for flaw in flaws]


def answer_text(answer: Answer) -> str:
    """The answer and nothing else, as one or more lines."""
    return clean(answer.answer).strip() + "\n"


def evidence_text(answer: Answer) -> str:
    """`[12:31-12:58] what is said there`, a line for each passage, the strongest first."""
    return "".join(
        f"[{between(passage.span)}] {one_line(passage.text)}".rstrip() + "\n"
        for passage in answer.evidence
    )


def answer_json(answer: Answer, flaws: Sequence[Flaw] = ()) -> dict[str, Any]:
    """The public form of an answer, schema `fls.answer/1`, with harmless text."""
    payload = answer.as_json()
    evidence = [{**passage, "text": one_line(passage["text"])} for passage in payload["evidence"]]
    return {
        **payload,
        "answer": answer_text(answer).strip(),
        "evidence": evidence,
        "warnings": warnings(flaws),
    }


def ffmetadata(items: Iterable[Chapter]) -> str:
    """Chapters in ffmpeg's format for metadata; `ffmpeg -i talk.mp4 -i FILE -map_chapters 1 -c copy
    out.mp4` puts them into a file. Each lasts until the next one: players show it in pauses, too.
    """
    blocks = [";FFMETADATA1\n"]
    found = list(items)
    for chapter, after in zip_longest(found, found[1:]):
        until = chapter.end if after is None else after.start
        start, end = (round(time * 1000) for time in (chapter.start, until))
        title = _UNSAFE.sub(r"\\\1", one_line(chapter.title))
        blocks.append(f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n")
    return "".join(blocks)


def summary_text(summary: Summary, style: str, evidence: int = 0) -> str:
    """A summary in one of `fls_models.core.results.STYLES`; with `evidence`, at most so many
    passages below each statement."""
    if not summary.chapters:
        return one_line(summary.brief) + "\n"
    if style == "chapters":
        return "\n".join(
            f"[{clock(chapter.start)}] {one_line(chapter.title)}\n"
            + _statements(chapter.statements, evidence)
            for chapter in summary.chapters
        )
    statements = summary.statements
    if style in WORDED:
        # When it is said belongs to what is said.
        return "".join(
            f"[{clock_time(each.evidence[0].span.start)}] {one_line(each.text)}\n"
            + _places(each, evidence)
            for each in statements
        )
    if style in ("bullets", "lines"):
        mark = "- " if style == "bullets" else ""
        return "".join(
            f"{mark}{one_line(each.text)}\n{_places(each, evidence)}" for each in statements
        )
    return _statements(statements, evidence)


def _statements(statements: Sequence[Statement], evidence: int) -> str:
    if not evidence:
        return " ".join(one_line(each.text) for each in statements) + "\n"
    return "".join(f"{one_line(each.text)}\n{_places(each, evidence)}" for each in statements)


def _places(statement: Statement, evidence: int) -> str:
    return "".join(
        f"  [{between(passage.span)}] {one_line(passage.text)}".rstrip() + "\n"
        for passage in statement.evidence[:evidence]
    )


def summary_json(summary: Summary, style: str, flaws: Sequence[Flaw] = ()) -> dict[str, Any]:
    """The public form of a summary, schema `fls.summary/1`; titles only for chapters."""
    return {
        "schema": SUMMARY_SCHEMA,
        "source": clean(summary.source),
        "style": style,
        "answered": summary.answered,
        "summary": one_line(summary.brief),
        "chapters": [
            {
                "start": round(chapter.start, 2),
                "end": round(chapter.end, 2),
                **({"title": one_line(chapter.title)} if style == "chapters" else {}),
                "summary": one_line(chapter.summary),
                "statements": [_statement(each) for each in chapter.statements],
            }
            for chapter in summary.chapters
        ],
        "warnings": warnings(flaws),
        "usage": summary.usage.as_json(),
    }


def _statement(statement: Statement) -> dict[str, Any]:
    payload = statement.as_json()
    evidence = [{**passage, "text": one_line(passage["text"])} for passage in payload["evidence"]]
    return {**payload, "text": one_line(statement.text), "evidence": evidence}


def clock(seconds: float) -> str:
    """`h:mm:ss`, cut off to whole seconds so that nobody is sent past what they look for."""
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}"


def between(span: Span) -> str:
    """`12:31-12:58` or `1:02:31-1:02:58`: whole seconds that hold all of it."""
    return "-".join(map(clock_time, whole_seconds(span)))
