"""Transcripts as text: for people and grep, as a table, as Markdown."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

from fls_cli.console.text import clean
from fls_cli.writers.results import clock
from fls_cli.writers.transcripts.timed_words import one_line
from fls_cli.writers.transcripts.writing import Writing, speaker_of
from fls_models.core.results import Sentence
from fls_models.core.timestamps import clock_time

# Silence in seconds after which a text begins a new paragraph.
_PARAGRAPH = 2.0
# Sentences of a paragraph of Markdown.
_LONGEST_PARAGRAPH = 6
# What Markdown would take for something else than text: anywhere, and at a line's beginning.
_MARKUP = re.compile(r"([\\`*_\[\]<>|~&])")
_BLOCK = re.compile(r"^(\s*)([#+\-=>]|\d+[.)])")


def txt(writing: Writing) -> str:
    """One sentence a line, so that grep finds sentences; a blank line at pauses over 2 s.

    With words: one a line, as start, end (seconds) and text, separated by tabs. Before the text
    stands who said it, if that is known.
    """
    if writing.words:
        return "".join(
            "\t".join([f"{word.start:.3f}", f"{word.end:.3f}", *speaker_of(word).values(), text])
            + "\n"
            for word in writing.transcript.words
            if (text := one_line(word.text))
        )
    sentences = writing.sentences
    return "".join(
        sentence_line(sentence, before)
        for before, sentence in zip([None, *sentences], sentences, strict=False)
    )


def sentence_line(sentence: Sentence, before: Sentence | None) -> str:
    """A sentence as `txt` writes it, for those who cannot wait for the rest."""
    name = "" if sentence.speaker is None else f"{sentence.speaker}: "
    return ("\n" if _is_apart(sentence, before) else "") + name + one_line(sentence.text) + "\n"


def tsv(writing: Writing) -> str:
    """Start and end in whole milliseconds and text, as openai/whisper has it, a line a sentence;
    with words, a line a word. A fourth column says who speaks, if that is known."""
    said = writing.transcript.words if writing.words else writing.sentences
    lines = ["start\tend\ttext" + ("\tspeaker" if writing.speakers else "")]
    for each in said:
        if text := one_line(each.text):
            times = (f"{round(time * 1000)}" for time in (each.start, max(each.start, each.end)))
            speaker = [each.speaker or ""] if writing.speakers else []
            lines.append("\t".join([*times, text, *speaker]))
    return "".join(f"{line}\n" for line in lines)


def markdown(writing: Writing) -> str:
    """YAML front matter and paragraphs, each under its time; speakers' names are bold."""
    transcript, name = writing.transcript, clean(writing.source)
    matter = {
        "title": os.path.splitext(os.path.basename(name))[0] or name,
        "source": name,
        "date": writing.date,
        "duration": clock(transcript.duration),
        "language": transcript.language or "",
        "speakers": writing.speakers,
        "warnings": [one_line(flaw.text) for flaw in writing.flaws],
    }
    # JSON's strings and lists are YAML's, too.
    front = "".join(
        f"{key}: {json.dumps(value, ensure_ascii=False)}\n"
        for key, value in matter.items()
        if value
    )
    return f"---\n{front}---\n" + "".join(_paragraphs(writing))


def _paragraphs(writing: Writing) -> Iterator[str]:
    paragraph: list[Sentence] = []
    for sentence in writing.sentences:
        before = paragraph[-1] if paragraph else None
        if before is not None and (
            _is_apart(sentence, before)
            or sentence.speaker != before.speaker
            or len(paragraph) == _LONGEST_PARAGRAPH
        ):
            yield _paragraph(paragraph)
            paragraph = []
        paragraph.append(sentence)
    if paragraph:
        yield _paragraph(paragraph)


def _paragraph(sentences: list[Sentence]) -> str:
    first = sentences[0]
    name = "" if first.speaker is None else f"**{_plain(first.speaker)}** "
    text = _plain(" ".join(one_line(sentence.text) for sentence in sentences))
    return f"\n{name}[{clock_time(first.start)}]\n{text}\n"


def _plain(text: str) -> str:
    """What Markdown shows as this text."""
    return _BLOCK.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", text))


def _is_apart(sentence: Sentence, before: Sentence | None) -> bool:
    return before is not None and sentence.start - before.end > _PARAGRAPH
