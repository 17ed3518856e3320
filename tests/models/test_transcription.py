"""From pieces of audio to sentences with times; the recogniser itself is a fake where it can be."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise, repeat
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import jiwer
import numpy as np
import pytest
import torch
from torch import Tensor

from fls_cli.media.stream import stream
from fls_cli.sources.resolve import open_sources
from fls_models.audio.together import Ask, Together
from fls_models.audio.vad import Piece, SpeechChunk
from fls_models.audio.whisper import load as loading
from fls_models.audio.whisper.effort import EFFORTS
from fls_models.audio.whisper.wording import Wording
from fls_models.core.cache import CacheKey
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.results import Sentence, Word
from fls_models.errors import UsageError
from fls_models.transcription import whisper as transcription
from fls_models.transcription.languages import LanguageDetector
from fls_models.transcription.whisper import Transcriber
from fls_models.weights.store import Installed

EXAMPLES = Path(__file__).parents[2] / "examples"


def words(text: str, start: float = 0.0, each: float = 0.5) -> list[Word]:
    return [
        Word(start + each * i, start + each * (i + 1), f" {word}", 0.9)
        for i, word in enumerate(text.split())
    ]


def texts(sentences: list[Sentence]) -> list[str]:
    return [sentence.text for sentence in sentences]


# --- the stream ---


class Whisper:
    """Says the next of its lines for every piece; `sure` is how sure it is of the language.

    That is German, or what is named with it.
    """

    supported_languages = ("de", "en")
    max_windows = 16

    def __init__(self, lines: list[str], sure: Sequence[float | tuple[str, float]]) -> None:
        self.lines = iter(lines)
        # The last one holds for all pieces that follow.
        self.sure = chain(sure, repeat(sure[-1])) if sure else iter(())
        self.detections = 0
        self.asked: list[dict[str, Any]] = []
        # How many were decoded at once.
        self.groups: list[int] = []

    def features(self, samples: np.ndarray) -> np.ndarray:
        return np.zeros((80, 3000), np.float32)

    def encode(self, features: Sequence[np.ndarray]) -> list[Tensor]:
        return [torch.zeros(1500, 8) for _ in features]

    def language_probabilities(self, encoded: Sequence[Tensor]) -> list[dict[str, float]]:
        self.detections += 1
        sure = next(self.sure)
        code, p = sure if isinstance(sure, tuple) else ("de", sure)
        others = [other for other in ("de", "en", "es", "fr", "it", "ru") if other != code]
        return [{code: p, **dict.fromkeys(others, (1 - p) / 5)}] * len(encoded)

    def side_by_side(self) -> Together[list[Any]]:
        def generate(requests: list[list[Any]]) -> list[list[Any]]:
            self.groups.append(len(requests))
            return requests

        return Together({"encode": lambda requests: requests, "generate": generate})

    def transcription(
        self, samples: np.ndarray, language: str, **how: Any
    ) -> Callable[[Ask], list[Any]]:
        self.asked.append({"language": language, **how})
        segments = self.segments(next(self.lines))

        def hear(ask: Ask) -> list[Any]:
            ask("encode", samples)
            found: list[Any] = ask("generate", segments)
            return found

        return hear

    def segments(self, line: str) -> list[Any]:
        found = [
            SimpleNamespace(word=word.text, start=word.start, end=word.end, probability=0.9)
            for word in words(line)
        ]
        return [
            SimpleNamespace(words=words, seek=0, tokens=[1] * 9, start=0.0, end=5.0)
            for words in (found, None)
        ]


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A transcriber that hears `lines`, one every 10 s; None where nobody speaks."""

    def prepare(lines: list[str | None], sure: list[float]) -> tuple[Transcriber, Whisper]:
        whisper = Whisper([line for line in lines if line is not None], sure)
        monkeypatch.setattr(loading, "load_whisper", lambda folder: whisper)
        heard = [
            SpeechChunk(
                None if line is None else Piece(np.ones(48_000, np.float32), 10.0 * i),
                10.0 * (i + 1),
            )
            for i, line in enumerate(lines)
        ]
        monkeypatch.setattr(transcription, "cut_at_pauses", lambda blocks: iter(heard))
        return Transcriber(Path()), whisper

    return prepare


def test_the_language_is_detected_in_every_piece(listen: Any) -> None:
    transcriber, whisper = listen([None, "Ja.", "Nein.", "Doch."], [0.9, 0.8, 0.3])
    assert texts(list(transcriber.sentences([], "fast"))) == ["Ja.", "Nein.", "Doch."]
    assert whisper.detections == 3
    # Once it is known, it stays, unless another is likelier by far.
    assert [how["language"] for how in whisper.asked] == ["de"] * 3
    assert (transcriber.language, transcriber.until) == ("de", 40.0)


def test_a_language_is_looked_for_until_it_is_sure(listen: Any) -> None:
    transcriber, whisper = listen(["Hm.", "Ja.", "Nein."], [0.2, 0.8])
    list(transcriber.sentences([], "fast"))
    assert [how["language"] for how in whisper.asked] == ["en", "de", "de"]
    assert transcriber.language == "de"


def test_each_language_is_written_as_it_is_spoken(listen: Any) -> None:
    lines: list[str | None] = ["Guten Tag und", "good morning. Let us", "anfangen heute."]
    transcriber, whisper = listen(lines, [0.9, ("en", 0.99), ("de", 0.9)])
    found = list(transcriber.sentences([], "fast"))
    assert [how["language"] for how in whisper.asked] == ["de", "en", "de"]
    # A sentence is of one language, and that of the recording is what is spoken longest.
    assert [(sentence.language, sentence.text) for sentence in found] == [
        ("de", "Guten Tag und"),
        ("en", "good morning."),
        ("en", "Let us"),
        ("de", "anfangen heute."),
    ]
    assert transcriber.language == "de"


def test_a_language_that_is_given_is_not_looked_for(listen: Any) -> None:
    transcriber, whisper = listen(["Yes."], [])
    list(transcriber.sentences([], "fast", language="en"))
    assert whisper.detections == 0
    assert whisper.asked[0]["language"] == "en"


def test_the_language_of_one_recording_is_not_that_of_the_next(listen: Any) -> None:
    transcriber, _ = listen(["Ja.", "Nein."], [0.9])
    list(transcriber.sentences([], "fast"))
    listen([], [])
    list(transcriber.sentences([], "fast"))
    assert transcriber.language is None
    assert transcriber.until == 0.0


def test_an_unknown_language_names_the_known_ones(listen: Any) -> None:
    transcriber, _ = listen(["Ja."], [])
    with pytest.raises(UsageError, match="de, en"):
        list(transcriber.sentences([], "fast", language="xx"))


def test_a_sentence_may_go_on_in_the_next_piece(listen: Any) -> None:
    transcriber, _ = listen(["We went", "home. It was", None, "late."], [0.9])
    found = list(transcriber.sentences([], "fast"))
    assert texts(found)[-1].endswith("late.")
    assert " ".join(texts(found)) == "We went home. It was late."


def test_times_count_from_the_beginning_of_the_recording(listen: Any) -> None:
    transcriber, _ = listen(["One two.", "Three."], [0.9])
    first, second = transcriber.sentences([], "fast", start=100.0)
    assert (first.start, first.end) == (100.0, 101.0)
    assert (second.start, second.end) == (110.0, 110.5)


def test_sentences_come_before_the_rest_is_heard(listen: Any) -> None:
    transcriber, whisper = listen(["One.", "Two.", "Three."], [0.9])
    found = transcriber.sentences([], "fast")
    assert next(found).text == "One."
    assert len(whisper.asked) == 1
    found.close()


def test_the_first_piece_is_cut_while_the_model_is_loaded_and_no_other_before_it_is_heard(
    listen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcriber, whisper = listen([f"Number {n}." for n in range(40)], [0.9])
    chunks, is_cut, cuts = list(transcription.cut_at_pauses([])), Event(), []

    def cut(blocks: object) -> Iterator[SpeechChunk]:
        for chunk in chunks:
            cuts.append(chunk)
            is_cut.set()
            yield chunk

    def load(folder: Path) -> Whisper:
        assert is_cut.wait(10)
        return whisper

    generate, cut_before = whisper.segments, []

    def segments(line: str) -> list[Any]:
        cut_before.append(len(cuts))
        return generate(line)

    monkeypatch.setattr(transcription, "cut_at_pauses", cut)
    monkeypatch.setattr(loading, "load_whisper", load)
    whisper.segments = segments  # type: ignore[method-assign]
    found = transcriber.sentences([], "fast")
    assert next(found).text == "Number 0."
    # The second one was cut when the first was taken.
    assert cut_before[0] <= 2
    assert texts(list(found)) == [f"Number {n}." for n in range(1, 40)]
    assert len(cuts) == 40


def test_a_language_that_nobody_knows_leaves_no_thread(listen: Any) -> None:
    transcriber, _ = listen(["One.", "Two.", "Three."], [0.9])
    before = threading.active_count()
    with pytest.raises(UsageError, match="xx"):
        transcriber.sentences([], "fast", language="xx")
    assert threading.active_count() == before


def test_the_first_piece_is_decoded_alone_and_sixteen_after_it(listen: Any) -> None:
    transcriber, whisper = listen([None, *(f"Number {n}." for n in range(40))], [0.9])
    found = list(transcriber.sentences([], "fast"))
    assert texts(found) == [f"Number {n}." for n in range(40)]
    assert whisper.groups == [1, 16, 16, 7]


def test_what_came_before_an_error_is_heard(listen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    transcriber, _ = listen(["One.", "Two.", "Three."], [0.9])
    chunks = list(transcription.cut_at_pauses([]))

    def broken(blocks: object) -> Iterator[SpeechChunk]:
        yield from chunks
        raise OSError("torn")

    monkeypatch.setattr(transcription, "cut_at_pauses", broken)
    found: list[Sentence] = []
    with pytest.raises(OSError, match="torn"):
        found.extend(transcriber.sentences([], "fast"))
    assert texts(found) == ["One.", "Two.", "Three."]


def test_silence_is_passed_over_as_it_comes(listen: Any) -> None:
    news: list[float] = []
    transcriber, whisper = listen([None, None, "One.", None, "Two."], [0.9])
    found = transcriber.sentences([], "fast", progress=lambda _, done, __: news.append(done))
    assert next(found).text == "One."
    assert news == [0, 10.0, 20.0]
    assert [sentence.text for sentence in found] == ["Two."]
    assert whisper.groups == [1, 1]


def test_a_stream_that_is_slow_is_heard_as_it_comes(
    listen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcriber, whisper = listen(["One.", "Two.", "Three.", "Four."], [0.9])
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(transcription, "time", SimpleNamespace(monotonic=lambda: next(now)))
    assert texts(list(transcriber.sentences([], "fast"))) == ["One.", "Two.", "Three.", "Four."]
    assert whisper.groups == [1, 1, 1, 1]


def test_progress_ends_when_all_is_heard(listen: Any) -> None:
    told: list[tuple[str, float, float | None]] = []
    transcriber, _ = listen(["One.", None, "Two."], [0.9])
    list(transcriber.sentences([], "fast", total=25.0, progress=lambda *news: told.append(news)))
    assert {stage for stage, _, _ in told} == {"listen"}
    assert [done for _, done, _ in told] == [0, 10.0, 20.0, 30.0, 30.0]
    # A recording longer than it promised ends once, not before its end.
    assert [done == total for _, done, total in told] == [False] * 4 + [True]


def test_effort_is_what_the_budget_buys(listen: Any) -> None:
    transcriber, whisper = listen(["One."], [0.9])
    list(transcriber.sentences([], "accurate"))
    assert whisper.asked[0]["beams"] == 5
    assert EFFORTS["fast"].beams == 1
    assert EFFORTS["fast"].temperatures == (0.0,)


# --- what is not said as often as it is written ---


@pytest.mark.parametrize(
    ("each", "tokens", "speech", "kept"),
    [
        (0.4, 60, 5.0, "no no no no no then"),
        # No time, more tokens than anyone says in 30 s, nobody who speaks.
        (0.0, 60, 5.0, "no then"),
        (0.4, 224, 5.0, "no then"),
        (0.4, 60, 0.1, "no then"),
    ],
)
def test_a_loop_is_said_once_and_what_is_repeated_as_often_as_it_was(
    monkeypatch: pytest.MonkeyPatch, each: float, tokens: int, speech: float, kept: str
) -> None:
    whisper = Whisper([""], [0.9])
    heard = [
        SimpleNamespace(word=word.text, start=word.start, end=word.end, probability=0.9)
        for word in words("no no no no no then", each=each)
    ]
    segment = SimpleNamespace(words=heard, seek=0, tokens=[1] * tokens, start=0.0, end=5.0)
    monkeypatch.setattr(whisper, "segments", lambda line: [segment])
    monkeypatch.setattr(loading, "load_whisper", lambda folder: whisper)
    spoken = ((0, round(speech * SAMPLE_RATE)),)
    piece = Piece(np.ones(5 * SAMPLE_RATE, np.float32), 0.0, spoken)
    monkeypatch.setattr(
        transcription, "cut_at_pauses", lambda blocks: iter([SpeechChunk(piece, 5.0)])
    )
    assert " ".join(texts(list(Transcriber(Path()).sentences([], "fast")))) == kept


# --- pieces that were decoded before ---


class Shelf:
    """A memory in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, kind: str, parts: CacheKey) -> bytes | None:
        return self.kept.get(f"{kind} {json.dumps(parts, sort_keys=True)}")

    def put(self, kind: str, parts: CacheKey, content: bytes) -> None:
        self.kept[f"{kind} {json.dumps(parts, sort_keys=True)}"] = content


LINES = ["Guten Tag", "zusammen. Es", "regnet.", "Bis morgen."]


class Desk:
    """Transcribers of four pieces over one memory; each has a recogniser of its own, the last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.memory = Shelf()
        self._patch = monkeypatch
        heard = [
            SpeechChunk(Piece(np.full(9, i, np.float32), 10.0 * i + 0.25), 10.0 * (i + 1))
            for i in range(len(LINES))
        ]
        monkeypatch.setattr(transcription, "cut_at_pauses", lambda blocks: iter(heard))

    def transcriber(
        self, sure: list[float], lines: list[str] | None = None, identity: str = "whisper"
    ) -> tuple[Transcriber, Whisper]:
        whisper = Whisper(LINES if lines is None else lines, sure)
        self._patch.setattr(loading, "load_whisper", lambda folder: whisper)
        return Transcriber(Path(), memory=self.memory, identity=identity), whisper


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def test_the_second_time_nothing_is_decoded(desk: Desk) -> None:
    transcriber, whisper = desk.transcriber([0.9])
    first = list(transcriber.sentences([], "balanced", start=3.0))
    assert (len(whisper.asked), whisper.detections) == (4, 4)
    transcriber, whisper = desk.transcriber([], [])
    assert list(transcriber.sentences([], "balanced", start=3.0)) == first
    assert (len(whisper.asked), whisper.detections) == (0, 0)
    assert (transcriber.language, transcriber.until) == ("de", 40.0)
    # With other times around the same pieces the words move along.
    [word, *_] = next(transcriber.sentences([], "balanced", start=100.0)).words
    assert (word.start, first[0].words[0].start) == (100.25, 3.25)


def test_what_is_kept_does_not_depend_on_having_been_kept(desk: Desk) -> None:
    transcriber, _ = desk.transcriber([0.9])
    kept = list(transcriber.sentences([], "fast"))
    forgetful = Transcriber(Path())
    forgetful._whisper = Whisper(LINES, [0.9])
    forgetful._languages = LanguageDetector(forgetful._whisper)
    assert list(forgetful.sentences([], "fast")) == kept


def test_an_interrupted_run_goes_on_where_it_was(desk: Desk) -> None:
    transcriber, whisper = desk.transcriber([0.9])
    found = transcriber.sentences([], "balanced")
    assert next(found).text == "Guten Tag"
    found.close()
    # Two were heard to their ends, the others side by side with the second.
    assert len(desk.memory.kept) == 2
    transcriber, whisper = desk.transcriber([0.3], LINES[2:])
    heard = list(transcriber.sentences([], "balanced"))
    assert texts(heard) == ["Guten Tag", "zusammen.", "Es", "regnet.", "Bis morgen."]
    # The language that was detected then is that of what is decoded now.
    assert [how["language"] for how in whisper.asked] == ["de", "de"]


@pytest.mark.parametrize(
    ("effort", "language", "identity", "anew"),
    [
        ("balanced", None, "whisper", 0),
        ("fast", None, "whisper", 4),
        ("accurate", None, "whisper", 4),
        ("balanced", "en", "whisper", 4),
        ("balanced", "en,de", "whisper", 4),
        ("balanced", None, "another", 4),
    ],
)
def test_what_would_give_other_words_is_decoded_anew(
    desk: Desk, effort: str, language: str | None, identity: str, anew: int
) -> None:
    transcriber, _ = desk.transcriber([0.9])
    list(transcriber.sentences([], "balanced"))
    transcriber, whisper = desk.transcriber([0.9], identity=identity)
    list(transcriber.sentences([], effort, language=language))
    assert len(whisper.asked) == anew


def test_wishes_for_words_are_the_decoders_and_part_of_what_is_kept(desk: Desk) -> None:
    wishes = [
        Wording(("Bo",)),
        Wording(prompt="So."),
        Wording(translates=True),
        Wording(replacements=(("a", "b"),)),
    ]
    transcriber, _ = desk.transcriber([0.9])
    list(transcriber.sentences([], "balanced"))
    for wording in wishes:
        transcriber, whisper = desk.transcriber([0.9])
        heard = list(transcriber.sentences([], "balanced", wording=wording))
        # What is replaced later makes no difference here.
        assert len(whisper.asked) == (0 if wording.replacements else 4)
        assert all(asked["wording"] == wording for asked in whisper.asked)
        expected = "en" if wording.translates else "de"
        assert {sentence.language for sentence in heard} == {expected}


def test_languages_that_may_be_spoken(desk: Desk) -> None:
    transcriber, _ = desk.transcriber([0.9])
    list(transcriber.sentences([], "balanced", language="en,de"))
    assert transcriber._languages.allowed == {"en", "de"}
    assert transcriber.language == "de"
    with pytest.raises(UsageError, match="knows no language 'xx'"):
        list(transcriber.sentences([], "balanced", language="en,xx"))
    # Of what was kept now; for the next recording all are allowed again.
    list(desk.transcriber([0.9])[0].sentences([], "balanced"))
    list(transcriber.sentences([], "balanced"))
    assert transcriber._languages.allowed == frozenset()


def test_an_unsure_language_is_looked_for_again_in_the_piece_after(desk: Desk) -> None:
    transcriber, whisper = desk.transcriber([0.2, 0.3, 0.8])
    first = list(transcriber.sentences([], "fast"))
    assert (transcriber.language, whisper.detections) == ("de", 4)
    transcriber, whisper = desk.transcriber([], [])
    assert list(transcriber.sentences([], "fast")) == first
    assert (transcriber.language, whisper.detections) == ("de", 0)


def test_one_lost_piece_is_decoded_alone(desk: Desk) -> None:
    transcriber, _ = desk.transcriber([0.9])
    first = list(transcriber.sentences([], "fast"))
    for name in list(desk.memory.kept)[2:3]:
        del desk.memory.kept[name]
    transcriber, whisper = desk.transcriber([0.9], LINES[2:3])
    assert list(transcriber.sentences([], "fast")) == first
    assert len(whisper.asked) == 1


# --- the real recogniser ---


def plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split())


@pytest.mark.weights
def test_no_word_is_lost_at_the_joints_of_pieces(mini_weights: Installed) -> None:
    with open_sources([str(EXAMPLES / "talk.mp4")]) as [source]:
        transcriber = Transcriber(mini_weights.speech)
        found = list(transcriber.sentences(stream(source), "fast"))
    assert transcriber.language == "en"
    spoken = (EXAMPLES / "texts" / "talk.txt").read_text(encoding="utf-8")
    assert jiwer.wer(plain(spoken), plain(" ".join(texts(found)))) < 0.05
    heard = [word for sentence in found for word in sentence.words]
    assert all(word.start <= word.end for word in heard)
    assert all(before.start <= after.start for before, after in pairwise(heard))
    assert heard[-1].end <= transcriber.until + 0.5
