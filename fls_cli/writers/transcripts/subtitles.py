"""Transcripts as players show them: SubRip, WebVTT, LRC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from html import escape
from typing import TypeAlias

from fls_cli.media.flaws import Flaw
from fls_cli.writers.transcripts.cues import cues, line_text
from fls_cli.writers.transcripts.timed_words import TimedWord, one_line, timed_words
from fls_cli.writers.transcripts.writing import Writing

# Milliseconds.
_NOTE_SHOWN = 4000
_NOTE_EARLY = 1000
# Escaping ">" leaves no "-->" in a text, which would end the cue's text.
_escaped = partial(escape, quote=False)
# When a text shows, in milliseconds, and what it says.
TimedText: TypeAlias = tuple[int, int, str]


def srt(writing: Writing) -> str:
    """SubRip: numbered cues; with words, one cue a word.

    Where sound is missing, a cue in brackets says so.
    """
    transcript = writing.transcript
    if writing.words:
        texts = [(word.start, word.end, word.text) for word in timed_words(transcript, named=True)]
    else:
        found = cues(transcript, writing.screen, named=True)
        texts = [(cue.start, cue.end, cue.text) for cue in found]
    texts_and_notes = _with_notes(texts, writing.flaws)
    # An arrow in a text would be a time to some readers.
    return "\n".join(
        f"{number}\n{_stamp(start, ',')} --> {_stamp(end, ',')}\n{text.replace('-->', '→')}\n"
        for number, (start, end, text) in enumerate(texts_and_notes, 1)
    )


def vtt(writing: Writing) -> str:
    """WebVTT; with words, each word after a cue's first is preceded by its time.

    What is wrong with the recording stands in notes, which players do not show.
    """
    notes = (f"NOTE {_escaped(one_line(flaw.text))}\n" for flaw in writing.flaws)
    blocks = ["WEBVTT\n", *notes]
    for cue in cues(writing.transcript, writing.screen):
        first = cue.lines[0][0]
        text = "\n".join(
            "".join(_timed(line, first)) if writing.words else _escaped(line_text(line))
            for line in cue.lines
        )
        voice = "" if cue.speaker is None else f"<v {_escaped(cue.speaker)}>"
        blocks.append(f"{_stamp(cue.start, '.')} --> {_stamp(cue.end, '.')}\n{voice}{text}\n")
    return "\n".join(blocks)


def lrc(writing: Writing) -> str:
    """LRC, as players of music show words: a line a cue; with words, the time of each before it.

    A line without words ends one that nothing follows at once.
    """
    lines = [f"[length:{_lrc_time(round(writing.transcript.duration * 1000))}]"]
    found = cues(writing.transcript, writing.screen, named=not writing.words)
    for place, cue in enumerate(found):
        words = [word for line in cue.lines for word in line]
        text = line_text(tuple(words))
        if writing.words:
            text = " ".join(f"<{_lrc_time(word.start)}> {word.text}" for word in words)
        lines.append(f"[{_lrc_time(cue.start)}]{text}")
        if place + 1 == len(found) or found[place + 1].start - cue.end > _NOTE_EARLY:
            lines.append(f"[{_lrc_time(cue.end)}]")
    return "".join(f"{line}\n" for line in lines)


def _with_notes(texts: Sequence[TimedText], flaws: Iterable[Flaw]) -> list[TimedText]:
    """Cues, and where sound is missing others that say so; what was spoken before makes room."""
    notes = [_note(flaw.start, flaw, texts) for flaw in flaws if flaw.start is not None]
    merged = [note for note in notes if note is not None]
    for start, end, text in texts:
        begins = [begin for begin, _, _ in merged if start < begin < end]
        merged.append((start, min([end, *begins]), text))
    return sorted(merged)


def _note(at: float, flaw: Flaw, texts: Sequence[TimedText]) -> TimedText | None:
    """For as long as there is silence, or from a second before sound breaks off."""
    if flaw.note is None:
        return None
    start = round(at * 1000)
    end = start + _NOTE_SHOWN
    if flaw.is_silence and flaw.seconds is not None:
        end = start + round(flaw.seconds * 1000)
    else:
        before = max((begin for begin, _, _ in texts if begin < start), default=0)
        start = max(start - _NOTE_EARLY, min(before + _NOTE_EARLY, start))
    return start, min([end, *(begin for begin, _, _ in texts if begin > start)]), flaw.note


def _timed(line: tuple[TimedWord, ...], first: TimedWord) -> Iterator[str]:
    for i, word in enumerate(line):
        space = " " if i and word.spaced else ""
        stamp = "" if word is first else f"<{_stamp(word.start, '.')}>"
        yield space + stamp + _escaped(word.text)


def _stamp(milliseconds: int, point: str) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{point}{thousandths:03}"


def _lrc_time(milliseconds: int) -> str:
    """Minutes, seconds and hundredths, cut off."""
    seconds, thousandths = divmod(milliseconds, 1000)
    return f"{seconds // 60:02}:{seconds % 60:02}.{thousandths // 10:02}"
