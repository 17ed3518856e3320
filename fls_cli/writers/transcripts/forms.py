"""The forms of a transcript by their names, and that of programs, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from fls_cli.console.text import clean
from fls_cli.writers.results import warnings
from fls_cli.writers.transcripts.subtitles import lrc, srt, vtt
from fls_cli.writers.transcripts.texts import markdown, tsv, txt
from fls_cli.writers.transcripts.timed_words import one_line
from fls_cli.writers.transcripts.writing import Writing, speaker_of
from fls_models.core.results import Sentence, Transcript, Word
from fls_models.errors import UsageError
from fls_models.speakers.turn import SpeakerTurn

TRANSCRIPT_SCHEMA = "fls.transcript/1"
_TEXTS: dict[str, Callable[[Writing], str]] = {
    "txt": txt,
    "srt": srt,
    "vtt": vtt,
    "tsv": tsv,
    "lrc": lrc,
    "md": markdown,
}
FORMATS = (*_TEXTS, "json")
# Of which a file holds one recording.
SINGLE = ("srt", "vtt", "tsv", "lrc", "md")


def parse_forms(text: str) -> tuple[str, ...]:
    """Names parted by commas, or all; raises UsageError."""
    names = [name.strip().lower() for name in text.split(",")]
    forms = tuple(dict.fromkeys(f for n in names for f in (FORMATS if n == "all" else (n,))))
    for form in forms:
        if form not in FORMATS:
            raise UsageError(
                f"There is no format {form!r}; there are: {', '.join(FORMATS)}, and all."
            )
    return forms


def render(writing: Writing, form: str) -> str:
    """A transcript in one of FORMATS, ending with a newline unless there is nothing to say."""
    if form == "json":
        return json.dumps(transcript_json(writing), ensure_ascii=False, indent=2) + "\n"
    return _TEXTS[form](writing)


def transcript_json(writing: Writing) -> dict[str, Any]:
    """The public form of a transcript, schema `fls.transcript/1`, with times as measured.

    A sentence has a language where that is not the transcript's, and a speaker, as its words have,
    where that is known; `turns` are who speaks when, overlaps included.
    """
    transcript = writing.transcript
    return {
        "schema": TRANSCRIPT_SCHEMA,
        "source": clean(writing.source),
        "language": transcript.language,
        "duration": round(transcript.duration, 3),
        "warnings": warnings(writing.flaws),
        **_turns(writing.turns),
        "sentences": [
            {
                "start": round(sentence.start, 3),
                "end": round(sentence.end, 3),
                "text": one_line(sentence.text),
                **_language(sentence, transcript),
                **speaker_of(sentence),
                **({"words": [_word(word) for word in sentence.words]} if writing.words else {}),
            }
            for sentence in writing.sentences
        ],
    }


def _turns(turns: Sequence[SpeakerTurn]) -> dict[str, Any]:
    items = [
        {"start": round(turn.start, 3), "end": round(turn.end, 3), "speaker": turn.speaker}
        for turn in turns
    ]
    return {"turns": items} if items else {}


def _language(sentence: Sentence, transcript: Transcript) -> dict[str, str]:
    code = sentence.language
    return {} if code is None or code == transcript.language else {"language": code}


def _word(word: Word) -> dict[str, Any]:
    return {
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "text": clean(word.text),
        "probability": round(word.probability, 4),
        **speaker_of(word),
    }
