"""Subtitle cues: what holds for all of them, and where good ones are cut."""

from __future__ import annotations

import html
import re
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fls_cli.writers.transcripts.cues import GAP, SCREEN, cues
from fls_cli.writers.transcripts.forms import render
from fls_cli.writers.transcripts.timed_words import columns, timed_words
from fls_cli.writers.transcripts.writing import Writing
from fls_models.core.results import Sentence, Transcript, Word

TIMES = st.floats(0, 60, allow_nan=False)
TEXTS = st.one_of(
    st.sampled_from([" and", " library,", " drill.", " I", "-based", " 图书馆", "、", "が", ""]),
    st.text(alphabet="abcé,.-<>& 你好ไทย\u0301", max_size=60),
)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """Any order of times: words of no length, of negative length, several at once, gaps."""
    steps = st.sampled_from([0.0, 0.0, 0.01, 0.2, 0.5, 1.0, 3.0])
    lengths = st.sampled_from([0.0, 0.0, 0.02, 0.3, 0.6, 2.0, 9.0, -0.5])
    time = draw(st.sampled_from([0.0, 35_998.0]))
    sentences = []
    for count in draw(st.lists(st.integers(0, 25), max_size=4)):
        words = []
        for _ in range(count):
            time += draw(steps)
            words.append(Word(time, max(0.0, time + draw(lengths)), draw(TEXTS), 0.5))
        sentences.append(Sentence(tuple(words)))
    language = draw(st.sampled_from(["en", "zh", "ja", None]))
    return Transcript(language, tuple(sentences), time + 1)


def letters(text: str) -> str:
    return re.sub(r"\s", "", text)


@given(transcripts())
@settings(max_examples=200, deadline=None)
def test_what_holds_for_all_cues(transcript: Transcript) -> None:
    found = cues(transcript)
    assert letters("".join(cue.text for cue in found)) == letters(
        "".join(word.text for word in transcript.words)
    )
    shown = [word for cue in found for line in cue.lines for word in line]
    assert shown == timed_words(transcript, SCREEN.columns)
    for cue in found:
        lines = cue.text.split("\n")
        assert len(lines) <= 2
        assert all(lines)
        assert max(columns(line) for line in lines) <= SCREEN.columns
        assert cue.start < cue.end <= cue.start + 7000
    for cue, following in pairwise(found):
        assert cue.end <= following.start
        assert cue.end - cue.start >= 1000 or following.start - cue.end in (0, GAP)
        assert following.start - cue.end >= GAP or following.start - cue.start < 834 + GAP


@given(transcripts())
@example(Transcript("en", (Sentence((Word(0.0, 0.0, "-->", 0.5),)),), 1.0))
@settings(max_examples=60, deadline=None)
def test_word_formats_hold_every_word_once_in_order(transcript: Transcript) -> None:
    spoken = letters("".join(word.text for word in transcript.words))
    timing = r"([0-9:]+[.,]\d{3}) --> ([0-9:]+[.,]\d{3})\n"
    subrip = render(Writing(transcript, "a", words=True), "srt")
    blocks = re.split(r"(?:^|\n)\d+\n(?=[0-9:,]+ -->)", subrip)[1:]
    # There, a timing's arrow is written otherwise; WebVTT escapes it.
    inside = letters("".join(block.split("\n", 1)[1] for block in blocks))
    assert inside == spoken.replace("-->", "→")
    stamps = [stamp for pair in re.findall(timing, subrip) for stamp in pair]
    assert stamps == sorted(stamps)
    assert all(start < end for start, end in re.findall(timing, subrip))
    web = re.sub(timing, "", render(Writing(transcript, "a", words=True), "vtt")).removeprefix(
        "WEBVTT\n"
    )
    inner = re.findall(r"<([0-9:.]+)>", web)
    assert inner == sorted(set(inner))
    assert letters(html.unescape(re.sub(r"<[0-9:.]+>", "", web))) == spoken


@given(transcripts())
@settings(max_examples=60, deadline=None)
def test_times_are_the_words_own_where_those_go_forwards(transcript: Transcript) -> None:
    for word in timed_words(transcript):
        assert word.start < word.end
    starts = [round(word.start * 1000) for word in transcript.words]
    if all(word.text.strip() for word in transcript.words) and starts == sorted(set(starts)):
        assert [word.start for word in timed_words(transcript)] == starts


def spoken(text: str, language: str = "en", each: float = 0.3, spaces: bool = True) -> Transcript:
    pieces = [" " + word for word in text.split()] if spaces else list(text)
    words = tuple(Word(i * each, (i + 1) * each, p, 1) for i, p in enumerate(pieces))
    return Transcript(language, (Sentence(words),), len(words) * each)


def texts(transcript: Transcript) -> list[str]:
    return [cue.text for cue in cues(transcript)]


def test_lines_are_balanced_and_broken_at_commas() -> None:
    found = texts(spoken("Today we have three hundred and forty, and most want the machine."))
    assert found == ["Today we have three hundred and forty,\nand most want the machine."]
    assert texts(spoken("one two three four five six seven eight nine ten")) == [
        "one two three four five\nsix seven eight nine ten"
    ]


def test_a_long_sentence_is_cut_at_its_commas() -> None:
    text = (
        "We began with one drill that somebody gave us, then neighbours brought ladders "
        "and pressure washers, and in the end the cellar was full"
    )
    found = texts(spoken(text, each=0.25))
    assert [cue.split()[-1] for cue in found] == ["us,", "washers,", "full"]


def test_a_pause_cuts_where_there_is_no_comma() -> None:
    early = tuple(Word(i * 0.5, i * 0.5 + 0.4, " tick", 1) for i in range(4))
    late = tuple(Word(5 + i * 0.5, 5.4 + i * 0.5, " tock", 1) for i in range(4))
    found = cues(Transcript("en", (Sentence(early + late),), 8.0))
    assert [(cue.start, cue.end) for cue in found] == [(0, 1900), (5000, 6900)]


def test_short_sentences_in_a_hurry_share_a_cue() -> None:
    sentences = tuple(
        Sentence((Word(i * 0.3, i * 0.3 + 0.3, f" {text}", 1),))
        for i, text in enumerate(["Yes.", "No.", "Maybe.", "Yes.", "No."])
    )
    assert texts(Transcript("en", sentences, 1.5)) == ["Yes. No. Maybe. Yes. No."]


def test_languages_without_spaces_wrap_by_wide_characters() -> None:
    found = cues(spoken("我们从一把电钻开始" * 5, "zh", each=0.12, spaces=False))
    lines = [line for cue in found for line in cue.text.split("\n")]
    assert max(len(line) for line in lines) <= 21
    assert "".join(lines) == "我们从一把电钻开始" * 5
    assert not any(" " in line for line in lines)


def test_a_word_wider_than_a_line_is_cut_and_timed_by_its_length() -> None:
    found = cues(Transcript("ja", (Sentence((Word(0, 6, "工具" * 30, 1),)),), 6.0))
    assert "".join(cue.text.replace("\n", "") for cue in found) == "工具" * 30
    assert found[0].start == 0
    assert 0 < found[1].start < 6000


def test_parts_of_words_stay_together() -> None:
    parts = [" text"] * 8 + [" AI", "-based", " tools", "."]
    words = tuple(Word(i * 0.3, i * 0.3 + 0.3, part, 1) for i, part in enumerate(parts))
    [text] = texts(Transcript("en", (Sentence(words),), 4.0))
    assert "AI-based" in text.replace("\n", "|")
    assert "tools." in text.replace("\n", "|")


def test_words_without_length_are_spread_over_the_time_they_share() -> None:
    words = (*(Word(2.0, 2.0, f" w{i}", 1) for i in range(4)), Word(2.4, 2.8, " end.", 1))
    timed = timed_words(Transcript("en", (Sentence(words),), 3.0))
    assert [word.start for word in timed] == [2000, 2100, 2200, 2300, 2400]


def test_words_at_one_time_do_not_wander_into_a_long_pause() -> None:
    words = (Word(2.0, 2.0, " a", 1), Word(2.0, 2.0, " b", 1), Word(60.0, 61.0, " c", 1))
    timed = timed_words(Transcript("en", (Sentence(words),), 61.0))
    assert [word.start for word in timed] == [2000, 2200, 60_000]
