"""Transcripts, answers and chapters as text."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from fls_cli.media.flaws import Flaw
from fls_cli.writers.results import answer_text, summary_text
from fls_cli.writers.transcripts.forms import FORMATS, parse_forms
from fls_cli.writers.transcripts.forms import render as written
from fls_cli.writers.transcripts.writing import Writing
from fls_models.core.results import (
    NO_SPEECH,
    Answer,
    Chapter,
    Passage,
    Sentence,
    Span,
    Statement,
    Summary,
    Transcript,
    Usage,
    Word,
)
from fls_models.errors import UsageError


def said(text: str, start: float, each: float = 0.3, language: str | None = None) -> Sentence:
    words = text.split()
    return Sentence(
        tuple(
            Word(start + i * each, start + (i + 1) * each, " " + word, 0.9, language)
            for i, word in enumerate(words)
        )
    )


TALK = Transcript(
    "en",
    (said("Good evening.", 0.5), said("We began with one drill.", 1.5), said("It was lent.", 6.0)),
    8.0,
)
NOTHING = Transcript(None, (), 30.0)


def render(talk: Transcript, source: str, form: str, **how: Any) -> str:
    return written(Writing(talk, source, **how), form)


def txt(talk: Transcript, **how: Any) -> str:
    return render(talk, "a.wav", "txt", **how)


def srt(talk: Transcript, **how: Any) -> str:
    return render(talk, "a.wav", "srt", **how)


def vtt(talk: Transcript, **how: Any) -> str:
    return render(talk, "a.wav", "vtt", **how)


def test_txt_is_one_sentence_a_line_and_a_blank_line_at_long_pauses() -> None:
    assert txt(TALK) == "Good evening.\nWe began with one drill.\n\nIt was lent.\n"


def test_txt_with_words_is_tab_separated() -> None:
    assert txt(TALK, words=True).splitlines()[:2] == [
        "0.500\t0.800\tGood",
        "0.800\t1.100\tevening.",
    ]


def test_srt_numbers_its_cues_and_extends_short_ones_into_the_pause() -> None:
    assert srt(TALK) == (
        "1\n00:00:00,500 --> 00:00:01,416\nGood evening.\n\n"
        "2\n00:00:01,500 --> 00:00:03,000\nWe began with one drill.\n\n"
        "3\n00:00:06,000 --> 00:00:07,000\nIt was lent.\n"
    )


def test_srt_with_words_is_one_cue_a_word() -> None:
    assert srt(TALK, words=True).startswith(
        "1\n00:00:00,500 --> 00:00:00,800\nGood\n\n2\n00:00:00,800 --> 00:00:01,100\nevening.\n"
    )
    assert srt(TALK, words=True).count("-->") == len(TALK.words)


def test_vtt_times_words_inside_their_cue() -> None:
    assert vtt(TALK).startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.416\nGood evening.\n\n")
    assert "\nGood <00:00:00.800>evening.\n" in vtt(TALK, words=True)


def test_vtt_escapes_what_would_be_markup() -> None:
    talk = Transcript("en", (said("a --> b & <i>c</i>", 0),), 2.0)
    for words in (False, True):
        body = vtt(talk, words=words).split("\n", 3)[3]
        assert "-->" not in body
        assert re.sub("<[0-9:.]+>", "", body) == "a --&gt; b &amp; &lt;i&gt;c&lt;/i&gt;\n"


def test_json_is_the_public_schema() -> None:
    found = json.loads(render(TALK, "talk.mp3", "json"))
    assert list(found) == ["schema", "source", "language", "duration", "warnings", "sentences"]
    assert found["schema"] == "fls.transcript/1"
    assert (found["source"], found["language"], found["duration"]) == ("talk.mp3", "en", 8.0)
    assert found["sentences"][0] == {"start": 0.5, "end": 1.1, "text": "Good evening."}
    with_words = json.loads(render(TALK, "talk.mp3", "json", words=True))
    assert with_words["sentences"][0]["words"] == [
        {"start": 0.5, "end": 0.8, "text": " Good", "probability": 0.9},
        {"start": 0.8, "end": 1.1, "text": " evening.", "probability": 0.9},
    ]


def test_json_names_the_language_of_a_sentence_where_it_is_another() -> None:
    spoken = (said("Good evening.", 0.5, language="en"), said("Hola.", 2.0, language="es"))
    found = json.loads(render(Transcript("en", spoken, 3.0), "talk.mp3", "json"))
    assert [sentence.get("language") for sentence in found["sentences"]] == [None, "es"]
    again = Transcript.from_json(Transcript("en", spoken, 3.0).as_json())
    assert again.sentences == spoken


def test_silence_is_valid_in_every_format() -> None:
    texts = {form: render(NOTHING, "a.wav", form) for form in FORMATS}
    assert (texts["txt"], texts["srt"], texts["vtt"]) == ("", "", "WEBVTT\n")
    assert json.loads(texts["json"])["sentences"] == []


def test_what_is_missing_stands_in_every_subtitle_and_in_json() -> None:
    flaws = [
        Flaw("clock", "its clock goes back at 0:01.", 1.0, -3.0),
        Flaw("damaged", "it is damaged --> at 0:03.", 3.25, 2.0),
        Flaw("cut off", "this recording is cut off.", 8.0, 30.0),
    ]
    cues = srt(TALK, flaws=flaws).split("\n\n")
    notes = [cue.strip() for cue in cues if "[" in cue]
    assert [note.split("\n", 1)[1] for note in notes] == [
        "00:00:03,250 --> 00:00:05,250\n[The recording is damaged for 2 s.]",
        "00:00:07,000 --> 00:00:12,000\n[The recording is cut off here.]",
    ]
    begins = [cue.strip().split("\n")[1] for cue in cues]
    assert begins == sorted(begins)
    assert [cue.strip().split("\n")[0] for cue in cues] == [str(n + 1) for n in range(len(cues))]
    head, _ = vtt(TALK, flaws=flaws).split("00:00:00.500")
    assert head == (
        "WEBVTT\n\nNOTE its clock goes back at 0:01.\n\nNOTE it is damaged --&gt; at 0:03.\n\n"
        "NOTE this recording is cut off.\n\n"
    )
    found = json.loads(render(TALK, "a", "json", flaws=flaws))
    assert found["warnings"][1:] == [
        {"kind": "damaged", "text": "it is damaged --> at 0:03.", "start": 3.25, "seconds": 2.0},
        {"kind": "cut off", "text": "this recording is cut off.", "start": 8.0, "seconds": 30.0},
    ]
    assert txt(TALK, flaws=flaws) == txt(TALK)


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no format 'ass'; there are: txt, srt, vtt, tsv, lrc, md"):
        parse_forms("txt,ass")
    assert parse_forms("SRT, vtt,srt") == ("srt", "vtt")
    assert parse_forms("all") == FORMATS
    assert set(parse_forms("json,all")) == set(FORMATS)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("words", [False, True])
def test_no_format_lets_control_characters_through(form: str, words: bool) -> None:
    talk = Transcript("en", (said("red\x1b[31m \x9bclear \u202ecod.exe \u2066x", 0),), 3.0)
    text = render(talk, "evil\x1b]0;name\x07.mp3", form, words=words)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "\\u001b" not in text


def test_newlines_inside_words_do_not_break_lines() -> None:
    talk = Transcript("en", (Sentence((Word(0, 1, " one\n\ntwo", 1),)),), 1.0)
    assert txt(talk) == "one two\n"
    assert srt(talk) == "1\n00:00:00,000 --> 00:00:01,000\none two\n"


def test_sentences_without_words_are_left_out() -> None:
    talk = Transcript("en", (Sentence(()), said("Here.", 1), Sentence((Word(3, 3, " ", 0),))), 4.0)
    assert txt(talk) == "Here.\n"
    assert srt(talk, words=True).count("-->") == srt(talk).count("-->") == 1
    assert len(json.loads(render(talk, "a", "json"))["sentences"]) == 1


def test_an_answer_is_its_text_alone() -> None:
    usage = Usage(9.0, 9, 9, 1, {}, 9, 9, "mini", "balanced", "text")
    answer = Answer("a.mp3", "Who?", True, " Daniel\x1b[2J Price.\n", (), usage)
    assert answer_text(answer) == "Daniel[2J Price.\n"


def test_chapters_begin_with_their_time() -> None:
    place = Passage(Span(61.0, 64.5), 0.5, "We made one\ndrill.")
    drill = Statement("One drill.", (place, Passage(Span(3.0, 4.0), 0.1)))
    found = (
        Chapter(0.0, 59.9, "Drills", (drill,)),
        Chapter(
            3725.9, 3800, "Rules\n", (Statement("Two."), Statement("“Three.”", (place,), True))
        ),
    )
    usage = Usage(9.0, 9, 9, 1, {}, 9, 9, "mini", "balanced", "text")
    summary = Summary("a.mp3", found, usage)
    assert summary_text(summary, "chapters") == (
        "[0:00:00] Drills\nOne drill.\n\n[1:02:05] Rules\nTwo. “Three.”\n"
    )
    assert summary_text(summary, "brief") == "One drill. Two. “Three.”\n"
    assert summary_text(summary, "brief", 1) == (
        "One drill.\n  [1:01-1:05] We made one drill.\nTwo.\n“Three.”\n"
        "  [1:01-1:05] We made one drill.\n"
    )
    assert summary_text(summary, "bullets") == "- One drill.\n- Two.\n- “Three.”\n"
    assert summary_text(summary, "bullets", 2).startswith(
        "- One drill.\n  [1:01-1:05] We made one drill.\n  [0:03-0:04]\n- Two.\n"
    )
    quotes = Summary("a.mp3", (Chapter(0.0, 9.0, "", (Statement("“A.”", (place,), True),)),), usage)
    assert summary_text(quotes, "quotes") == "[1:01] “A.”\n"
    assert summary_text(Summary("a.mp3", (), usage), "chapters") == f"{NO_SPEECH}\n"
