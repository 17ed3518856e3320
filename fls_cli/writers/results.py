"""Results as text, one pure function a format. What comes from a model is made harmless here."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from html import escape
from typing import Any, TypeAlias

from fls_cli.console.text import clean
from fls_cli.media.flaws import Flaw
from fls_cli.writers.subtitles import cues, line_text
from fls_cli.writers.timed_words import TimedWord, one_line, timed_words
from fls_models.core.results import Answer, Chapter, Sentence, Span, Summary, Transcript, Word
from fls_models.core.timestamps import clock_time, whole_seconds
from fls_models.errors import UsageError
from fls_models.speakers.turn import SpeakerTurn

TRANSCRIPT_SCHEMA = "fls.transcript/1"
SUMMARY_SCHEMA = "fls.summary/1"
# Silence in seconds after which a text begins a new paragraph.
_PARAGRAPH = 2.0
# Milliseconds.
_NOTE_SHOWN = 4000
_NOTE_EARLY = 1000
# Escaping ">" leaves no "-->" in a text, which would end the cue's text.
_escaped = partial(escape, quote=False)
# When a text shows, in milliseconds, and what it says.
TimedText: TypeAlias = tuple[int, int, str]


def txt(transcript: Transcript, *, words: bool = False, flaws: Sequence[Flaw] = ()) -> str:
    """One sentence a line, so that grep finds sentences; a blank line at pauses over 2 s.

    With words: one a line, as start, end (seconds) and text, separated by tabs. Before the text
    stands who said it, if that is known.
    """
    if words:
        return "".join(
            "\t".join([f"{word.start:.3f}", f"{word.end:.3f}", *_speaker(word).values(), text])
            + "\n"
            for word in transcript.words
            if (text := one_line(word.text))
        )
    sentences = _spoken(transcript)
    return "".join(
        sentence_line(sentence, before)
        for before, sentence in zip([None, *sentences], sentences, strict=False)
    )


def sentence_line(sentence: Sentence, before: Sentence | None) -> str:
    """A sentence as `txt` writes it, for those who cannot wait for the rest."""
    gap = before is not None and sentence.start - before.end > _PARAGRAPH
    name = "" if sentence.speaker is None else f"{sentence.speaker}: "
    return ("\n" if gap else "") + name + one_line(sentence.text) + "\n"


def srt(transcript: Transcript, *, words: bool = False, flaws: Sequence[Flaw] = ()) -> str:
    """SubRip: numbered cues of at most two lines; with words, one cue a word.

    Where sound is missing, a cue in brackets says so.
    """
    if words:
        texts = [(word.start, word.end, word.text) for word in timed_words(transcript, named=True)]
    else:
        texts = [(cue.start, cue.end, cue.text) for cue in cues(transcript, named=True)]
    texts_and_notes = _with_notes(texts, flaws)
    return "\n".join(
        f"{number}\n{_stamp(start, ',')} --> {_stamp(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(texts_and_notes, 1)
    )


def vtt(transcript: Transcript, *, words: bool = False, flaws: Sequence[Flaw] = ()) -> str:
    """WebVTT; with words, each word after a cue's first is preceded by its time.

    What is wrong with the recording stands in notes, which players do not show.
    """
    blocks = ["WEBVTT\n", *(f"NOTE {_escaped(one_line(flaw.text))}\n" for flaw in flaws)]
    for cue in cues(transcript):
        first = cue.lines[0][0]
        text = "\n".join(
            "".join(_timed(line, first)) if words else _escaped(line_text(line))
            for line in cue.lines
        )
        voice = "" if cue.speaker is None else f"<v {_escaped(cue.speaker)}>"
        blocks.append(f"{_stamp(cue.start, '.')} --> {_stamp(cue.end, '.')}\n{voice}{text}\n")
    return "\n".join(blocks)


def transcript_json(
    transcript: Transcript,
    source: str,
    *,
    words: bool = False,
    flaws: Sequence[Flaw] = (),
    turns: Sequence[SpeakerTurn] = (),
) -> dict[str, Any]:
    """The public form of a transcript, schema `fls.transcript/1`, with times as measured.

    A sentence has a language where that is not the transcript's, and a speaker, as its words have,
    where that is known; `turns` are who speaks when, overlaps included.
    """
    return {
        "schema": TRANSCRIPT_SCHEMA,
        "source": clean(source),
        "language": transcript.language,
        "duration": round(transcript.duration, 3),
        "warnings": warnings(flaws),
        **({"turns": [_turn(turn) for turn in turns]} if turns else {}),
        "sentences": [
            {
                "start": round(sentence.start, 3),
                "end": round(sentence.end, 3),
                "text": one_line(sentence.text),
                **_language(sentence, transcript),
                **_speaker(sentence),
                **({"words": [_word(word) for word in sentence.words]} if words else {}),
            }
            for sentence in _spoken(transcript)
        ],
    }


def _language(sentence: Sentence, transcript: Transcript) -> dict[str, str]:
    code = sentence.language
    return {} if code is None or code == transcript.language else {"language": code}


def _speaker(said: Sentence | Word) -> dict[str, str]:
    return {} if said.speaker is None else {"speaker": said.speaker}


def _turn(turn: SpeakerTurn) -> dict[str, Any]:
    return {"start": round(turn.start, 3), "end": round(turn.end, 3), "speaker": turn.speaker}


_TEXTS: dict[str, Callable[..., str]] = {"txt": txt, "srt": srt, "vtt": vtt}
FORMATS = (*_TEXTS, "json")


def warnings(flaws: Iterable[Flaw]) -> list[dict[str, Any]]:
    """What is wrong with a recording, an object each: kind, text, start and seconds."""
    return [{**flaw.as_json(), "text": one_line(flaw.text)} for flaw in flaws]


def render(
    transcript: Transcript,
    source: str,
    form: str,
    *,
    words: bool = False,
    flaws: Sequence[Flaw] = (),
) -> str:
    """A transcript in one of FORMATS, ending with a newline unless there is nothing to say.

    Raises UsageError when there is no such format.
    """
    if form == "json":
        payload = transcript_json(transcript, source, words=words, flaws=flaws)
        return json.dumps(payload, ensure_ascii=False, indent=2) + "\n"
    if form not in _TEXTS:
        raise UsageError(f"There is no format {form!r}; there are: {', '.join(FORMATS)}.")
    return _TEXTS[form](transcript, words=words, flaws=flaws)


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


def chapters(items: Iterable[Chapter]) -> str:
    """`[h:mm:ss] Title` and the summary below it, a blank line between chapters."""
    return "\n".join(
        f"[{clock(chapter.start)}] {one_line(chapter.title)}\n{one_line(chapter.summary)}\n"
        for chapter in items
    )


def summary_text(summary: Summary, style: str) -> str:
    """A summary in one of `fls_models.core.results.STYLES`."""
    if not summary.chapters or style == "brief":
        return one_line(summary.brief) + "\n"
    if style == "bullets":
        return "".join(f"- {one_line(chapter.summary)}\n" for chapter in summary.chapters)
    return chapters(summary.chapters)


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
            }
            for chapter in summary.chapters
        ],
        "warnings": warnings(flaws),
        "usage": summary.usage.as_json(),
    }


def clock(seconds: float) -> str:
    """`h:mm:ss`, cut off to whole seconds so that nobody is sent past what they look for."""
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}"


def between(span: Span) -> str:
    """`12:31-12:58` or `1:02:31-1:02:58`: whole seconds that hold all of it."""
    return "-".join(map(clock_time, whole_seconds(span)))


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


def _spoken(transcript: Transcript) -> list[Sentence]:
    return [s for s in transcript.sentences if s.words and one_line(s.text)]


def _word(word: Word) -> dict[str, Any]:
    return {
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "text": clean(word.text),
        "probability": round(word.probability, 4),
        **_speaker(word),
    }


def _timed(line: tuple[TimedWord, ...], first: TimedWord) -> Iterator[str]:
    for i, word in enumerate(line):
        space = " " if i and word.spaced else ""
        stamp = "" if word is first else f"<{_stamp(word.start, '.')}>"
        yield space + stamp + _escaped(word.text)


def _stamp(milliseconds: int, point: str) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{point}{thousandths:03}"
