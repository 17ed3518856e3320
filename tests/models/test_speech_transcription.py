"""A speech language model that writes down what it hears; both of its halves are fakes.

The fake encoder reads numbers off the samples: frame by frame, which class its CTC head sees. So a
test writes audio of which it knows when what is said.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_cli.media.stream import stream
from fls_cli.sources.resolve import open_sources
from fls_models.audio.vad import Piece, SpeechChunk
from fls_models.core.budget import PAPER
from fls_models.core.cache import CacheKey
from fls_models.core.results import Sentence, Word
from fls_models.errors import UsageError
from fls_models.lslm import prompts
from fls_models.lslm.prompts import Prompt
from fls_models.transcription import speech_lm as speech_transcription
from fls_models.transcription.ctc_alignment import SentencePieces
from fls_models.transcription.speech_lm import SpeechTranscriber, unwrapped

TALK = Path(__file__).parents[2] / "examples" / "talk.mp4"
BLANK = 24


def audio(*stretches: tuple[int, float]) -> NDArray[np.float32]:
    """Samples from (class, seconds); the seconds in whole frames of 40 ms."""
    return np.concatenate(
        [np.full(round(seconds * 16_000), label / 100, np.float32) for label, seconds in stretches]
    )


class Encoder:
    """Hidden states are the logits of a head of 24 classes and a blank."""

    hidden_width = BLANK + 1
    has_head = True

    def __init__(self) -> None:
        self.projected: list[int] = []
        self.encoded = 0

    def features(self, samples: Tensor) -> Any:
        padded = torch.full((480_000,), BLANK / 100)
        padded[: len(samples)] = samples
        return (100 * padded[320::640].abs()).round().long().clamp(0, BLANK)

    def encode(self, features: Sequence[Any]) -> Tensor:
        self.encoded += len(features)
        noise = torch.randn(750, BLANK + 1, generator=torch.Generator().manual_seed(0))
        one_hot = torch.nn.functional.one_hot(torch.stack(list(features)), BLANK + 1)
        return 20.0 * one_hot + 0.1 * noise

    def blank_probability(self, hidden: Tensor) -> Tensor:
        if not self.has_head:
            return torch.zeros(len(hidden))
        return hidden.softmax(-1)[:, -1]

    def token_log_probabilities(self, hidden: Tensor, tokens: Tensor) -> Tensor | None:
        if not self.has_head:
            return None
        return hidden.log_softmax(-1)[:, [*tokens.tolist(), BLANK]]

    def project(self, hidden: Tensor) -> Tensor:
        self.projected.append(len(hidden))
        return hidden[:, :8]


class Writer:
    """Writes the next of its lines for every recording it is asked about."""

    width = 8

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = iter(lines)
        self.read_with: list[Prompt] = []
        self.requests: list[str] = []
        self.how: list[dict[str, Any]] = []

    def read(self, prompt: Prompt, recording: Tensor) -> Tensor:
        assert recording.shape[1] == self.width
        assert not recording.requires_grad
        self.read_with.append(prompt)
        return recording

    def generate(self, context: Tensor, request: str, **how: Any) -> Iterator[str]:
        self.requests.append(request)
        self.how.append(how)
        line = next(self.lines)
        yield from (line[:3], line[3:])


class Shelf:
    """A memory in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, kind: str, parts: CacheKey) -> bytes | None:
        return self.kept.get(f"{kind} {json.dumps(parts, sort_keys=True)}")

    def put(self, kind: str, parts: CacheKey, content: bytes) -> None:
        self.kept[f"{kind} {json.dumps(parts, sort_keys=True)}"] = content


class Desk:
    """Transcribers of given pieces, one every 30 s; None where nobody speaks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.memory = Shelf()
        self.encoder = Encoder()
        self._patch = monkeypatch

    def hear(self, *pieces: NDArray[np.float32] | None) -> None:
        heard = [
            SpeechChunk(None if piece is None else Piece(piece, 30.0 * i + 1), 30.0 * (i + 1))
            for i, piece in enumerate(pieces)
        ]
        self._patch.setattr(speech_transcription, "cut_at_pauses", lambda blocks: iter(heard))

    def transcriber(self, *lines: str, **how: Any) -> tuple[SpeechTranscriber, Writer]:
        writer: Any = Writer(lines)
        return SpeechTranscriber(self.encoder, writer, **how), writer


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def texts(sentences: list[Sentence]) -> list[str]:
    return [sentence.text for sentence in sentences]


def words(sentences: list[Sentence]) -> list[Word]:
    return [word for sentence in sentences for word in sentence.words]


# --- what the model is given ---


@pytest.mark.parametrize(
    ("budget", "seconds", "read"),
    [
        ("fast", 30, 200),
        ("balanced", 30, 400),
        ("accurate", 30, 750),
        ("fast", 12, 80),
        ("balanced", 12, 160),
        ("accurate", 12, 300),
        ("fast", 0.2, 5),
    ],
)
def test_it_reads_what_the_budget_buys(desk: Desk, budget: str, seconds: float, read: int) -> None:
    desk.hear(audio((3, seconds)))
    transcriber, writer = desk.transcriber("Yes.")
    list(transcriber.sentences([], budget))
    assert desk.encoder.projected == [read]
    assert writer.read_with == [prompts.TRANSCRIBE]


def test_the_reply_is_greedy_and_bounded(desk: Desk) -> None:
    desk.hear(audio((3, 4)))
    transcriber, writer = desk.transcriber("Yes.", max_tokens=7)
    list(transcriber.sentences([], "fast"))
    assert writer.how == [{"max_tokens": 7, "temperature": 0.0, "seed": 0}]


@pytest.mark.parametrize(
    ("language", "name"), [(None, None), ("de", "German"), ("yue", "Cantonese"), ("tlh", "tlh")]
)
def test_a_language_is_named_if_it_is_given(
    desk: Desk, language: str | None, name: str | None
) -> None:
    desk.hear(audio((3, 4)))
    transcriber, writer = desk.transcriber("Ja.")
    list(transcriber.sentences([], "fast", language=language))
    assert writer.requests == [prompts.transcription(name)]
    assert transcriber.language == language


def test_an_unknown_budget_is_refused_before_listening(desk: Desk) -> None:
    transcriber, _ = desk.transcriber()
    with pytest.raises(UsageError, match="no budget 'best'"):
        next(transcriber.sentences([], "best"))


# --- when things were said ---


def test_words_stand_where_the_density_is(desk: Desk) -> None:
    silence = (BLANK, 2.0)
    desk.hear(audio(silence, (1, 0.4), silence, (2, 0.4), silence))
    transcriber, _ = desk.transcriber("one two")
    one, two = words(list(transcriber.sentences([], "balanced", start=100.0)))
    # The piece begins at 1 s of the stream, and that at 100 s of the recording.
    assert [one.text, two.text] == [" one", " two"]
    assert [one.start, one.end, two.start, two.end] == pytest.approx([103.0, 103.4, 105.4, 105.8])
    assert (one.probability, two.probability) == (1.0, 1.0)


def test_a_long_pause_in_a_piece_ends_a_sentence(desk: Desk) -> None:
    desk.hear(audio((1, 0.4), (BLANK, 2.0), (2, 0.4)))
    transcriber, _ = desk.transcriber("well no")
    assert texts(list(transcriber.sentences([], "fast"))) == ["well", "no"]


def test_without_a_head_words_share_the_time(desk: Desk) -> None:
    desk.encoder.has_head = False
    desk.hear(audio((BLANK, 1.0), (2, 3.0)))
    transcriber, _ = desk.transcriber("ab cd")
    found = words(list(transcriber.sentences([], "fast")))
    assert [(word.start, word.end) for word in found] == [(1.0, 3.0), (3.0, 5.0)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pieces: what the fake encoder's head has classes for."""
    sentencepiece = pytest.importorskip("sentencepiece")
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the cat sat on the mat", "hello there my friend"] * 20),
        model_writer=written,
        vocab_size=BLANK,
        minloglevel=2,
    )
    path = tmp_path_factory.mktemp("vocabulary") / "spm.model"
    path.write_bytes(written.getvalue())
    return path


def spoken(model: Path, *said: tuple[str, float]) -> NDArray[np.float32]:
    """Words, each followed by silence: a piece is one frame and the frame after it blank."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    stretches: list[tuple[int, float]] = []
    for word, silence in said:
        for piece in processor.encode(word):
            stretches += [(piece, 0.04), (BLANK, 0.04)]
        stretches.append((BLANK, silence))
    return audio(*stretches)


def test_words_stand_where_their_pieces_were_read(desk: Desk, model: Path) -> None:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    said = [("hello", 1.0), ("the", 1.2), ("cat", 0.0), ("sat", 2.0)]
    desk.hear(spoken(model, *said))
    transcriber, _ = desk.transcriber(
        "Hello, the cat sat.", vocabulary=SentencePieces(model, BLANK)
    )
    found = words(list(transcriber.sentences([], "fast")))
    assert [word.text for word in found] == [" Hello,", " the", " cat", " sat."]
    start = 1.0
    ends = []
    for word, (plain, silence) in zip(found, said, strict=True):
        assert word.start == pytest.approx(start, abs=0.001)
        length = 0.08 * len(processor.encode(plain))
        ends.append(start + length - 0.04 + 0.4)
        start += length + silence
    assert [found[0].end, found[1].end, found[3].end] == pytest.approx(
        [ends[0], ends[1], ends[3]], abs=0.001
    )
    assert found[2].end == found[3].start


def test_more_text_than_the_audio_holds_is_placed_by_density(desk: Desk, model: Path) -> None:
    desk.hear(audio((BLANK, 1.0), (5, 0.2), (BLANK, 1.0)))
    reply = "the cat sat on the mat and my friend sat there with another cat on his mat at home"
    transcriber, _ = desk.transcriber(reply, vocabulary=SentencePieces(model, BLANK))
    found = words(list(transcriber.sentences([], "fast")))
    assert len(found) == len(reply.split())
    assert (found[0].start, found[-1].end) == (2.0, 2.2)


def test_a_head_that_is_not_there_leaves_the_density(desk: Desk, model: Path) -> None:
    desk.encoder.has_head = False
    desk.hear(audio((5, 2.0)))
    transcriber, _ = desk.transcriber("the cat", vocabulary=SentencePieces(model, BLANK))
    found = words(list(transcriber.sentences([], "fast")))
    assert [(word.start, word.end) for word in found] == [(1.0, 2.0), (2.0, 3.0)]


def test_a_wrong_vocabulary_is_refused_before_listening(desk: Desk, model: Path) -> None:
    desk.hear(audio((5, 2.0)))
    transcriber, _ = desk.transcriber("the cat", vocabulary=SentencePieces(model, 10_000))
    with pytest.raises(UsageError, match="--ctc-vocab"):
        next(transcriber.sentences([], "fast"))
    assert desk.encoder.encoded == 0


# --- what was written ---


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("It rained.", "It rained."),
        ("The person says: 'It rained.'", "It rained."),
        ("The person says in English: 'I don't know.'.", "I don't know."),
        ('The speech is: "Well, it\'s late."', "Well, it's late."),
        ("The original content of this audio is: 'It rained.'", "It rained."),
        ("The speaker says: “It rained.”", "It rained."),
        ("'It rained.'", "It rained."),
        (' "It rained."\n', "It rained."),
        # What is no wrapper, or no pair, or not all of the reply, is what was said.
        ("The person says: It rained.", "The person says: It rained."),
        ("The person says: 'It rained.", "The person says: 'It rained."),
        ("The person says: 'It rained.\"", "The person says: 'It rained.\""),
        ("The person says: 'It rained.' Then", "The person says: 'It rained.' Then"),
        ('The man said, "Come in."', 'The man said, "Come in."'),
        ('"Yes," she said, "no."', '"Yes," she said, "no."'),
        ("'Twas 'the dogs'", "'Twas 'the dogs'"),
        ("So the person says: 'Yes.'", "So the person says: 'Yes.'"),
        ('"Yes".', '"Yes".'),
        ("''", ""),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_only_a_wrapper_around_all_is_taken_off(reply: str, text: str) -> None:
    assert unwrapped(reply) == text


@pytest.mark.parametrize("reply", ["", "  \n", "The person says: ''"])
def test_a_reply_without_words_is_no_sentence(desk: Desk, reply: str) -> None:
    desk.hear(audio((3, 4)), audio((4, 4)))
    transcriber, _ = desk.transcriber(reply, "But now.")
    assert texts(list(transcriber.sentences([], "fast"))) == ["But now."]


def test_a_loop_takes_no_time_from_what_was_said(desk: Desk) -> None:
    desk.hear(audio((3, 4)))
    transcriber, _ = desk.transcriber("we go " + "and so " * 40)
    found = words(list(transcriber.sentences([], "fast")))
    assert [word.text for word in found] == [" we", " go", " and", " so"]
    assert found[2].start == pytest.approx(1 + 4 * 4 / 9, abs=0.001)


def test_what_is_said_again_and_again_stays_where_there_is_time_for_it(desk: Desk) -> None:
    desk.hear(audio((3, 4)))
    transcriber, writer = desk.transcriber("They said " + "no, " * 6 + "never.", max_tokens=60)
    writer.tokenize = lambda text: text.split()
    [sentence] = transcriber.sentences([], "fast")
    assert sentence.text == "They said no, no, no, no, no, no, never."


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        # As many tokens as the model may write, and nothing after the loop.
        ("they said " + "no " * 10 + "and " * 8, "they said no no no no no no no no no no and"),
        ("they said no, then " + "so it is " * 5 + "so it", "they said no, then so it is so it"),
    ],
)
def test_a_loop_ends_where_the_model_may_write_no_more(desk: Desk, reply: str, text: str) -> None:
    desk.hear(audio((3, 9)))
    transcriber, writer = desk.transcriber(reply, max_tokens=20)
    writer.tokenize = lambda text: text.split()
    [sentence] = transcriber.sentences([], "fast")
    assert sentence.text == text


def test_characters_of_scripts_without_spaces_have_times(desk: Desk) -> None:
    desk.hear(audio((3, 4)))
    transcriber, _ = desk.transcriber("今天很好。")
    [sentence] = transcriber.sentences([], "fast")
    assert sentence.text == "今天很好。"
    assert [word.text for word in sentence.words] == ["今", "天", "很", "好。"]


def test_less_than_a_frame_is_not_asked_about(desk: Desk) -> None:
    desk.hear(audio((3, 0.01)))
    transcriber, writer = desk.transcriber()
    assert list(transcriber.sentences([], "fast")) == []
    assert writer.requests == []


# --- the stream ---


def test_sentences_go_on_in_the_next_piece_and_come_as_they_are_heard(desk: Desk) -> None:
    told: list[tuple[str, float, float | None]] = []
    desk.hear(audio((1, 29)), None, audio((2, 29)), audio((3, 29)))
    transcriber, writer = desk.transcriber("One. Two", "three.", "Four.")
    found = transcriber.sentences([], "fast", total=120.0, progress=lambda *news: told.append(news))
    assert next(found).text == "One."
    assert len(writer.requests) == 1
    # The stretch without speech is a pause of more than 1.5 s.
    assert texts(list(found)) == ["Two", "three.", "Four."]
    assert {stage for stage, _, _ in told} == {"listen"}
    assert [done for _, done, _ in told] == [0, 30, 60, 90, 120, 120]
    assert [done == total for _, done, total in told] == [False] * 5 + [True]
    assert transcriber.until == 120.0
    desk.hear()
    list(transcriber.sentences([], "fast", language="de"))
    assert (transcriber.language, transcriber.until) == ("de", 0.0)


def test_the_second_time_nothing_is_heard(desk: Desk) -> None:
    how = {"memory": desk.memory, "identity": "tiny"}
    desk.hear(audio((1, 9)), audio((2, 9)))
    transcriber, _ = desk.transcriber("One two.", "Three four.", **how)
    first = list(transcriber.sentences([], "balanced", start=0.1))
    assert desk.encoder.encoded == 2
    transcriber, writer = desk.transcriber(**how)
    assert list(transcriber.sentences([], "balanced", start=0.1)) == first
    assert (desk.encoder.encoded, writer.requests) == (2, [])
    # With other times around the same pieces the words move along.
    moved = words(list(transcriber.sentences([], "balanced", start=50.1)))
    assert [word.start for word in moved] == pytest.approx(
        [word.start + 50 for word in words(first)]
    )
    assert desk.encoder.encoded == 2
    # An interrupted run, or one lost piece, goes on where it was.
    desk.memory.kept.popitem()
    transcriber, writer = desk.transcriber("Three four.", **how)
    assert list(transcriber.sentences([], "balanced", start=0.1)) == first
    assert len(writer.requests) == 1


def test_what_is_kept_does_not_depend_on_having_been_kept(desk: Desk) -> None:
    desk.hear(audio((1, 8.88)))
    kept, _ = desk.transcriber("One two three.", memory=desk.memory)
    forgetful, _ = desk.transcriber("One two three.")
    assert list(kept.sentences([], "fast")) == list(forgetful.sentences([], "fast"))


OTHERS = replace(PAPER, transcribe={"fast": 200, "balanced": 300, "accurate": 300})


def test_it_reads_what_the_models_own_rates_say(desk: Desk) -> None:
    desk.hear(audio((3, 12)))
    transcriber, _ = desk.transcriber("Yes.", rates=OTHERS)
    list(transcriber.sentences([], "accurate"))
    assert desk.encoder.projected == [120]


def test_what_is_kept_is_found_where_the_numbers_are_the_same(desk: Desk) -> None:
    desk.hear(audio((1, 9)))
    transcriber, _ = desk.transcriber("One.", memory=desk.memory)
    list(transcriber.sentences([], "fast"))
    transcriber, writer = desk.transcriber(memory=desk.memory, rates=OTHERS)
    list(transcriber.sentences([], "fast"))
    assert writer.requests == []


@pytest.mark.parametrize(
    ("budget", "language", "changed"),
    [
        ("fast", None, {}),
        ("balanced", "en", {}),
        ("balanced", None, {"identity": "another"}),
        ("balanced", None, {"max_tokens": 9}),
        ("balanced", None, {"vocabulary": True}),
        ("balanced", None, {"rates": OTHERS}),
    ],
)
def test_what_would_give_other_words_is_heard_anew(
    desk: Desk, model: Path, budget: str, language: str | None, changed: dict[str, Any]
) -> None:
    desk.hear(audio((1, 9)))
    transcriber, _ = desk.transcriber("One.", memory=desk.memory)
    list(transcriber.sentences([], "balanced"))
    if "vocabulary" in changed:
        changed = {"vocabulary": SentencePieces(model, BLANK)}
    transcriber, writer = desk.transcriber("One.", memory=desk.memory, **changed)
    list(transcriber.sentences([], budget, language=language))
    assert len(writer.requests) == 1


def test_a_real_recording_is_cut_heard_and_put_together() -> None:
    """Real speech through the real cutting at pauses; the fakes only make up what is said in it."""
    with open_sources([str(TALK)]) as [source]:
        samples = np.concatenate(list(stream(source)))
    encoder = Encoder()
    writer: Any = Writer([f"This is part {i} of it." for i in range(9)])
    transcriber = SpeechTranscriber(encoder, writer)
    found = list(transcriber.sentences([samples], "fast"))
    assert len(writer.requests) >= 2
    assert texts(found) == [f"This is part {i} of it." for i in range(len(writer.requests))]
    assert transcriber.until == pytest.approx(len(samples) / 16_000)
    edges = [edge for word in words(found) for edge in (word.start, word.end)]
    assert all(before <= after for before, after in pairwise(edges))
    assert 0 <= edges[0] < edges[-1] <= transcriber.until
