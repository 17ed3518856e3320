"""What is kept of fusion while a model hears, against the fused frames and plain loops."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tiny_hearing
import torch
from hypothesis import given
from hypothesis import strategies as some
from numpy.typing import NDArray
from plain_encoder import RATE, Cheap, Plain, babble, bits, blocks_of
from tiny_checkpoints import CTC_TOKENS, write_fastlongspeech, write_omni
from tiny_hearing import converted
from tiny_mini import write_tiny_mini
from torch import Tensor

from fls_models.audio.windows import cut
from fls_models.core.budget import Budget
from fls_models.errors import InputError, UsageError
from fls_models.extractor.ctc_decoding import greedy, pieces_read
from fls_models.extractor.encoding import encode_windows
from fls_models.extractor.extract import listen_to_frames
from fls_models.extractor.inspection.inspection import InspectedSection, Inspection
from fls_models.extractor.inspection.recorder import FusionRecorder
from fls_models.pipelines import connector_extractor
from fls_models.pipelines.cascade import CascadeModel
from fls_models.pipelines.inspect import inspect
from fls_models.pipelines.large import LargeFrameModel, RuntimeConfig
from fls_models.pipelines.mini import MiniFrameModel
from fls_models.transcription.ctc_words import words_read
from fls_models.weights.large import InstalledFrames, card_of


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Watching


@pytest.mark.parametrize(
    ("budget", "most"),
    [
        (Budget("fast"), 60),  # sections of less than a window
        (Budget("fast"), 500),
        (Budget("accurate"), 300),
        (Budget("balanced", 40), 40),  # many rounds
        (Budget("balanced", 10**6), 10**6),  # none
    ],
)
def test_rounds_compose_to_the_spans_of_the_fused_frames(budget: Budget, most: int) -> None:
    audio, watching = babble(130.33), FusionRecorder(Plain())
    how: dict[str, Any] = {"max_frames": most, "start": 7.5, "total": 130.33, "batch_size": 2}
    heard = listen_to_frames(Plain(), blocks_of(audio), budget, watch=watching, **how)
    unwatched = listen_to_frames(Plain(), blocks_of(audio), budget, **how)
    assert [bits(one.hidden) for one in heard.sections] == [
        bits(one.hidden) for one in unwatched.sections
    ]
    assert len(watching.sections) == len(heard.sections)
    for section, fused in zip(watching.sections, heard.sections, strict=True):
        firsts = section.firsts(99)
        ends = np.append(firsts[1:], section.frames_before)
        np.testing.assert_array_equal(section.times[firsts, 0], fused.spans[:, 0])
        np.testing.assert_array_equal(section.times[ends - 1, 1], fused.spans[:, 1])
        assert section.frames_after == len(fused)
        before = np.arange(section.frames_before)
        for starts in section.rounds:
            # A round joins what the one before it left.
            assert set(starts) < set(before)
            assert starts[0] == 0
            assert (np.diff(starts) > 0).all()
            before = starts
    if budget.target_length == 40:
        assert [len(one) for one in watching.sections[0].rounds] == [
            1629,
            814,
            407,
            203,
            101,
            50,
            40,
        ]
    if budget.target_length == 10**6:
        assert [one.rounds for one in watching.sections] == [()]


def test_density_and_peaks_are_those_of_the_frames() -> None:
    audio, encoder = babble(70.1), Plain()
    watching = FusionRecorder(encoder)
    listen_to_frames(
        encoder, blocks_of(audio), Budget("fast"), max_frames=90, total=70.1, watch=watching
    )
    assert len(watching.sections) > 1
    frames = [part for _, part in encode_windows(encoder, cut(blocks_of(audio)))]
    density = np.concatenate([one.density for one in frames])
    np.testing.assert_array_equal(
        np.concatenate([one.density for one in watching.sections]), density
    )
    edges = np.concatenate([one.spans for one in frames])
    np.testing.assert_array_equal(watching.times, edges)
    peaks = np.concatenate([one.peaks for one in watching.sections])
    for (start, end), peak in zip(np.round(edges * RATE).astype(int), peaks, strict=True):
        assert peak == min(1.0, max(abs(float(one)) for one in audio[start:end]))


def test_hidden_states_are_forgotten_section_by_section() -> None:
    encoder, held = Plain(), []

    def progress(stage: str, done: float, total: float | None) -> None:
        held.append(sum(ref() is not None for ref in encoder.alive))

    watching = FusionRecorder(encoder)
    listen_to_frames(
        encoder,
        blocks_of(babble(600)),
        Budget("fast"),
        max_frames=201,
        total=600,
        batch_size=1,
        progress=progress,
        watch=watching,
    )
    assert len(watching.sections) == 10
    # Sections are two windows long.
    assert max(held) <= 4


# Words


class Letters(Cheap):
    """A frame's first sample is the token that is read in it, in hundredths; 0 is a blank."""

    tokens = " abcdefghijklmnopqrstuvwxyz"

    def blank_probability(self, hidden: Tensor) -> Tensor:
        return (hidden[:, 0] == 0).float()

    def token_log_probabilities(self, hidden: Tensor, tokens: Tensor) -> Tensor:  # type: ignore[override]
        read = (hidden[:, 0] * 100).round().long() - 1
        read[read < 0] = len(tokens)
        shares = torch.full((len(hidden), len(tokens) + 1), 0.1 / len(tokens))
        shares[torch.arange(len(hidden)), read] = 0.9
        return shares.log()

    def text(self, ids: Any) -> str:
        return "".join(self.tokens[one] for one in ids)


def spelt(places: dict[float, str], seconds: float) -> NDArray[np.float32]:
    """Letters frame by frame from these times on; `.` is a blank."""
    audio = np.zeros(round(seconds * RATE), np.float32)
    for start, letters in places.items():
        for place, letter in enumerate(letters):
            if letter != ".":
                first = round(start * RATE) + 640 * place
                audio[first] = (Letters.tokens.index(letter) + 1) / 100
    return audio


def test_words_stand_where_the_head_read_them() -> None:
    encoder = Letters()
    # Repeats are one letter, unless a blank is between; the last word begins in another section.
    audio = spelt({1.0: "hhe.l.lo", 2.0: " ", 2.04: "you", 40.0: ".  there"}, 60)
    watching = FusionRecorder(encoder, len(encoder.tokens))
    listen_to_frames(
        encoder, [audio], Budget("fast"), max_frames=100, start=100, total=60, watch=watching
    )
    assert len(watching.sections) == 2
    words = words_read(watching.pieces, encoder.text, torch.from_numpy(watching.times))
    assert [(word.text.strip(), word.start) for word in words] == [
        ("hello", 101.0),
        ("you", 102.04),
        ("there", pytest.approx(140.12)),
    ]
    # To the next word, or somewhat beyond the last letter.
    assert [word.end for word in words] == pytest.approx([101.72, 102.56, 140.72])
    assert {round(word.probability, 3) for word in words} == {0.9}


def test_a_script_without_spaces_has_a_word_for_each_character() -> None:
    def text(ids: Any) -> str:
        return "".join("今天是 day"[one] for one in ids)

    pieces = pieces_read([0, 7, 1, 7, 3, 4, 5, 6, 3], [1.0] * 9, blank=7)
    spans = torch.arange(10).double()[:, None] * 0.04 + torch.tensor([0, 0.04]).double()
    assert [word.text.strip() for word in words_read(pieces, text, spans)] == ["今", "天", "day"]


@given(some.lists(some.integers(0, 3), max_size=30))
def test_pieces_are_the_greedy_reading_with_its_frames(best: list[int]) -> None:
    found = pieces_read(best, [0.5 + 0.01 * place for place in range(len(best))], blank=3)
    assert [piece.token for piece in found] == greedy(torch.eye(4)[best])
    covered = []
    for piece in found:
        frames = range(piece.first, piece.last + 1)
        assert {best[frame] for frame in frames} == {piece.token}
        assert piece.probability == pytest.approx(0.5 + 0.01 * piece.last)
        covered += frames
    assert covered == [frame for frame, token in enumerate(best) if token != 3]


# Models


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> MiniFrameModel:
    folder = tmp_path_factory.mktemp("models") / "tiny-mini"
    folder.mkdir()
    return MiniFrameModel(write_tiny_mini(folder))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> LargeFrameModel:
    released = tmp_path_factory.mktemp("released")
    write_fastlongspeech(released)
    folder = converted(released, tmp_path_factory.mktemp("converted") / "tiny")
    card = card_of("qwen2_audio", {}, adapter=True)
    return LargeFrameModel(InstalledFrames(card, folder, "float32"))


def test_mini_is_inspected_as_it_hears(mini: MiniFrameModel) -> None:
    audio, budget = tiny_hearing.babble(70), Budget("fast")
    seen: list[float] = []
    found = inspect(
        mini,
        blocks_of(audio),
        budget,
        start=5.0,
        total=70.0,
        progress=lambda stage, done, total: seen.append(done),
    )
    heard = mini.hear(blocks_of(audio), budget, start=5.0, total=70.0)
    assert (found.start, found.end, found.has_head) == (5.0, 75.0, True)
    assert (found.model, found.budget) == (mini.card.name, "fast")
    assert (found.frames_before, found.frames_after) == (1750, heard.frames_after)
    assert found.lengths == (1750, 875, 437, heard.frames_after)
    assert seen[-1] == 70.0
    # The head over all frames at once.
    model = mini.language_model
    frames = torch.cat([part.hidden for _, part in encode_windows(model, cut(blocks_of(audio)))])
    read = model.token_log_probabilities(frames, torch.arange(model.ctc_tokens))
    assert read is not None
    expected = model.ctc_text(greedy(read))
    assert len(expected) > 20
    assert "".join(word.text for word in found.words).split() == expected.split()
    starts = [word.start for word in found.words]
    assert starts == sorted(starts)
    assert 5.0 <= starts[0] < found.words[-1].end <= 75.0


def test_a_large_model_has_words_with_a_vocabulary_alone(
    large: LargeFrameModel, tmp_path: Path
) -> None:
    audio = tiny_hearing.babble(8)
    without = inspect(large, [audio], Budget())
    assert (without.has_head, without.words) == (True, ())
    assert 0 < without.mean_density < 1
    letters = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the tall trees stand here", "they say a thing or two"] * 20),
        model_writer=letters,
        vocab_size=CTC_TOKENS,
        hard_vocab_limit=True,
        minloglevel=2,
    )
    (tmp_path / "spm.model").write_bytes(letters.getvalue())
    named = LargeFrameModel(
        large._installed, running=RuntimeConfig(vocabulary=tmp_path / "spm.model")
    )
    named.__dict__["language_model"] = large.language_model
    found = inspect(named, [audio], Budget())
    assert found.words
    assert set("".join(word.text for word in found.words)) <= set(" thealrsndygiowé⁇")
    (tmp_path / "none.model").write_bytes(b"none")
    broken = LargeFrameModel(
        large._installed, running=RuntimeConfig(vocabulary=tmp_path / "none.model")
    )
    broken.__dict__["language_model"] = large.language_model

    def unheard() -> Iterator[NDArray[np.float32]]:
        raise AssertionError("nothing is heard before that is known")
        yield

    with pytest.raises(UsageError, match="no SentencePiece model"):
        inspect(broken, unheard(), Budget())


def test_without_a_head_every_frame_counts(tmp_path: Path) -> None:
    write_omni(tmp_path / "released")
    folder = converted(tmp_path / "released", tmp_path / "converted")
    card = card_of("qwen2_5_omni", {"text_config": {}}, adapter=False)
    model = LargeFrameModel(InstalledFrames(card, folder, "float32"))
    found = inspect(model, [tiny_hearing.babble(8)], Budget())
    assert (found.has_head, found.words, found.mean_density) == (False, (), 1.0)
    assert found.lengths[-1] == found.frames_after < 200


def test_a_model_without_a_connector_shows_what_the_default_s_makes_of_it(
    mini: MiniFrameModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both hear with the same ear; no language model is loaded for it."""
    tiny = mini._installed
    own = replace(tiny, card=replace(tiny.card, name="large", frames=None), connector=None)
    monkeypatch.setattr(connector_extractor.cards, "load", lambda _: tiny.card)
    monkeypatch.setattr(connector_extractor, "connector", lambda _: tiny.connector)
    extractor = CascadeModel(own).extractor
    assert extractor is not None
    audio, budget = tiny_hearing.babble(40), Budget()
    found = inspect(extractor, blocks_of(audio), budget)
    expected = inspect(mini, blocks_of(audio), budget)
    assert found.model == "large"
    assert found.words == expected.words
    assert found.lengths == expected.lengths
    for section, same in zip(found.sections, expected.sections, strict=True):
        assert (section.density == same.density).all()
    other = replace(own, card=replace(own.card, speech=replace(own.card.speech, name="other")))
    assert CascadeModel(other).extractor is None


@pytest.mark.parametrize("samples", [0, 300])
def test_nothing_is_seen_in_nothing(mini: MiniFrameModel, samples: int) -> None:
    found = inspect(mini, [np.zeros(samples, np.float32)], Budget())
    assert (found.sections, found.words, found.lengths) == ((), (), (0,))
    assert (found.rounds, found.mean_density) == (0, 0.0)


def test_errors_come_out(mini: MiniFrameModel) -> None:
    with pytest.raises(InputError, match="no numbers"):
        inspect(mini, [np.full(16_000, np.nan, np.float32)], Budget())


def test_a_section_with_fewer_rounds_stays_as_its_last_one_left_it() -> None:
    def section(count: int, *rounds: list[int]) -> InspectedSection:
        edges = np.arange(count + 1) * 0.04
        return InspectedSection(
            np.stack([edges[:-1], edges[1:]], 1),
            np.zeros(count, np.float32),
            np.full(count, count / 10, np.float32),
            tuple(np.array(one) for one in rounds),
        )

    sections = (section(6, [0, 1, 4], [0, 4]), section(3, [0, 2]), section(1))
    found = Inspection(0.0, 0.4, sections, (), True, "tiny", "fast")
    assert (found.rounds, found.lengths) == (2, (10, 6, 5))
    assert (found.frames_before, found.frames_after) == (10, 5)
    assert found.mean_density == pytest.approx((6 * 0.6 + 3 * 0.3 + 0.1) / 10)
    assert sections[0].span_lengths(0).tolist() == [1] * 6
    assert sections[0].span_lengths(1).tolist() == [1, 3, 3, 3, 2, 2]
    assert sections[1].span_lengths(2).tolist() == [2, 2, 1]
    assert replace(found, sections=()).lengths == (0,)
