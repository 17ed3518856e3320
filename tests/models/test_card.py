"""The cards that come with the program."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from fls_models.core.budget import NAMES, PAPER, FrameRates
from fls_models.errors import UsageError
from fls_models.planning.flops import (
    QWEN2_AUDIO_DECODER,
    QWEN2_AUDIO_ENCODER,
    DecoderDims,
    EncoderDims,
)
from fls_models.weights import card
from fls_models.weights.card import FrameCard, FrameReading, Part, TextCard
from fls_models.weights.thresholds import Thresholds

CARDS = [card.load(name) for name in card.names()]
TEXT = [one for one in CARDS if isinstance(one, TextCard)]
LARGE = [one for one in CARDS if isinstance(one, FrameCard)]
PARTS = [part for one in TEXT for part in one.parts]

RAW = card._read(card._folder() / "fastlongspeech.toml")
MEASURED = FrameRates(
    ask={"fast": 60, "balanced": 200, "accurate": 600},
    transcribe={"fast": 300, "balanced": 400, "accurate": 750},
    source="fls bench qa",
)

ENCODER = QWEN2_AUDIO_ENCODER
QWEN2_AUDIO = QWEN2_AUDIO_DECODER
# As in the config.json of Qwen/Qwen2.5-Omni-3B and -7B.
OMNI_3B = DecoderDims(2048, 11008, 36, 16, 2, 128, 151_936)
OMNI_7B = DecoderDims(3584, 18944, 28, 28, 4, 128, 152_064)
DIMS = {
    "fastlongspeech": (QWEN2_AUDIO, True),
    "qwen2-audio": (QWEN2_AUDIO, True),
    "qwen2.5-omni-3b": (OMNI_3B, False),
    "qwen2.5-omni-7b": (OMNI_7B, False),
}


def test_the_default_comes_first_and_large_models_last() -> None:
    small, large = [one.name for one in TEXT], [one.name for one in LARGE]
    assert card.names() == [*small, *large]
    assert small[0] == "mini"
    assert small[1:] == sorted(small[1:])
    assert large == sorted(large) == list(DIMS)


@pytest.mark.parametrize("name", card.names())
def test_a_card_says_what_a_person_needs(name: str) -> None:
    found = card.load(name)
    assert found.name == name
    assert found.summary
    assert found.limits
    assert found.runs_on
    assert found.memory_gb > 0
    assert found.max_frames >= 12


@pytest.mark.parametrize("found", TEXT, ids=lambda one: one.name)
def test_a_model_that_reads_text_has_two_parts_and_is_calibrated(found: TextCard) -> None:
    assert found.parts == (found.speech, found.llm)
    assert found.thresholds is not None


def test_mini_may_read_frames_and_small_may_not() -> None:
    frames = {one.name: one.frames for one in TEXT}
    assert frames["small"] is None
    mini = frames["mini"]
    assert mini is not None
    assert mini.connector == "mini"
    assert 12 <= mini.max_frames < mini.window
    # A number for each reader, of budgets that there are.
    assert set(mini.accuracy) <= set(NAMES)
    assert all(0 <= one <= 1 for pair in mini.accuracy.values() for one in pair)
    assert card.that_read_frames() == ["mini", *DIMS]


def test_frames_are_favoured_where_they_were_measured_to_be_better() -> None:
    accuracy = {"fast": (0.6, 0.5), "balanced": (0.6, 0.6), "accurate": (0.5, 0.6)}
    unmeasured = FrameReading(connector="mini", window=100, max_frames=50, budgets=PAPER)
    frames = replace(unmeasured, accuracy=accuracy)
    favoured = [one for one in (*NAMES, "L=50", None) if frames.favoured(one)]
    assert favoured == ["fast"]
    assert not unmeasured.favoured("fast")
    assert len({frames, replace(frames, window=90)}) == 2


def test_frames_of_a_card_are_read_whole() -> None:
    told = """
[frames]
connector = "mini"
window = 100
max_frames = 50
[frames.budgets]
source = "fls bench qa"
ask = { fast = 60, balanced = 200, accurate = 600 }
transcribe = { fast = 300, balanced = 400, accurate = 750 }
[frames.accuracy]
fast = [0.625, 0.5]
[frames.thresholds]
gain = 0.25
general = 0.0
"""
    raw = tomllib.loads(told)["frames"]
    assert card._frames(raw) == FrameReading(
        connector="mini",
        window=100,
        max_frames=50,
        budgets=MEASURED,
        accuracy={"fast": (0.625, 0.5)},
        thresholds=Thresholds(0.25, 0.0),
    )


def test_budgets_of_a_large_card_are_read_whole() -> None:
    told = """
[budgets]
source = "fls bench qa"
ask = { fast = 60, balanced = 200, accurate = 600 }
transcribe = { fast = 300, balanced = 400, accurate = 750 }
"""
    assert card._large({**RAW, **tomllib.loads(told)}).budgets == MEASURED


def test_cards_that_were_not_measured_say_so() -> None:
    measured = [one.name for one in TEXT if one.frames]
    assert [*measured, *(one.name for one in LARGE)] == card.that_read_frames()
    for rates in (one.budgets for one in LARGE):
        assert rates.source == "from the paper, not measured"
        assert rates.ask == {"fast": 100, "balanced": 200, "accurate": 400}
        assert rates.transcribe == {"fast": 200, "balanced": 400, "accurate": 750}


def test_a_card_that_was_measured_says_where() -> None:
    [frames] = [one.frames for one in TEXT if one.frames]
    assert frames.budgets.source == "measured, task by length, see benchmarks/README.md"
    assert frames.budgets.ask == {"fast": 150, "balanced": 200, "accurate": 300}
    assert frames.budgets.transcribe == {"fast": 150, "balanced": 300, "accurate": 750}
    assert set(frames.accuracy) == set(NAMES)


@pytest.mark.parametrize(
    ("budgets", "error", "told"),
    [
        ({"source": None}, TypeError, "argument: 'source'"),
        ({"ask": None}, TypeError, "argument: 'ask'"),
        ({"transcribe": None}, TypeError, "argument: 'transcribe'"),
        ({"summarize": PAPER.ask}, TypeError, "argument 'summarize'"),
        ({"ask": {**PAPER.ask, "fast": 0}}, ValueError, "ask: frames from 1 to 750"),
        ({"transcribe": {"fast": 200}}, ValueError, "transcribe: one number each"),
        ({"ask": {**PAPER.ask, "fast": 201}}, ValueError, "ask: a larger budget"),
        ({"source": ""}, ValueError, "source says where"),
    ],
)
def test_a_card_with_budgets_that_cannot_be_is_not_read(
    budgets: dict[str, Any], error: type[Exception], told: str
) -> None:
    changed = {**RAW["budgets"], **budgets}
    wrong = {name: one for name, one in changed.items() if one is not None}
    for read in (card._large, card._frames):
        with pytest.raises(error, match=told):
            read({**RAW, "budgets": wrong})


def test_a_card_that_reads_frames_says_its_budgets() -> None:
    silent = {name: one for name, one in RAW.items() if name != "budgets"}
    for read in (card._large, card._frames):
        with pytest.raises(KeyError, match="budgets"):
            read(silent)


@pytest.mark.parametrize("found", LARGE, ids=lambda one: one.name)
def test_a_large_model_says_where_it_is_and_what_was_not_done(found: FrameCard) -> None:
    assert found.runs_on == "CUDA"
    assert found.origin == f"https://huggingface.co/{found.repo}"
    assert found.licence in ("Apache-2.0", "qwen-research")
    assert found.architecture in ("qwen2_audio", "qwen2_5_omni")
    assert found.adapter == (found.name == "fastlongspeech")
    assert found.max_frames < found.window
    assert found.thresholds is None
    assert "Not calibrated" in found.limits
    assert "none is pinned here" in found.limits
    assert ("not for commercial use" in found.limits) == (found.licence == "qwen-research")


@pytest.mark.parametrize("found", LARGE, ids=lambda one: one.name)
def test_a_large_models_sizes_follow_from_its_dimensions(found: FrameCard) -> None:
    dims, ctc = DIMS[found.name]
    quantised, plain = linear_weights(dims), other_weights(ENCODER, dims, ctc=ctc)
    # Blocks of 64 have a scale of one byte, blocks of 256 scales one of four.
    nf4 = 0.5 + 1 / 64 + 4 / (64 * 256)
    for dtype, each in {"nf4": nf4, "int8": 1, "bf16": 2}.items():
        expected = (each * quantised + 2 * plain) / 1e9
        assert found.weights_gb[dtype] == pytest.approx(expected, rel=0.02)
    shared = dims.key_value_heads * dims.head_width
    assert found.token_bytes == 2 * 2 * dims.layers * shared
    saved = 2 * (dims.vocabulary * dims.width + encoder_weights(ENCODER)) / 1e9
    assert found.low_memory_gb == pytest.approx(saved, rel=0.02)
    read = found.max_frames * found.token_bytes / 1e9
    assert found.memory_gb - found.weights_gb["nf4"] - read == pytest.approx(1.2, abs=0.06)
    # The hub has them in bf16, and there is more in them than is used.
    assert found.download_gb >= round(found.weights_gb["bf16"], 1)


def linear_weights(dims: DecoderDims) -> int:
    """In the linear layers of the language model's blocks: q, k, v, o; gate, up, down."""
    inner, shared = dims.heads * dims.head_width, dims.key_value_heads * dims.head_width
    attention = 2 * dims.width * inner + 2 * dims.width * shared
    return dims.layers * (attention + 3 * dims.width * dims.feed_forward)


def other_weights(encoder: EncoderDims, dims: DecoderDims, *, ctc: bool) -> int:
    """Both embeddings, the audio tower with its projector, the CTC head (norms: next to none)."""
    head = 4096 * encoder.width + 10_001 * 4096 if ctc else 0
    projector = encoder.width * dims.width
    return 2 * dims.vocabulary * dims.width + encoder_weights(encoder) + projector + head


def encoder_weights(dims: EncoderDims) -> int:
    convolutions = 3 * dims.width * (dims.mel_bins + dims.width)
    layer = 4 * dims.width**2 + 2 * dims.width * dims.feed_forward
    return convolutions + dims.positions * dims.width + dims.layers * layer


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_part_is_pinned_and_open(part: Part) -> None:
    assert part.form in ("ctranslate2", "gguf")
    assert part.licence in ("MIT", "Apache-2.0")
    assert part.origin.startswith("https://")
    assert part.bytes == sum(file.bytes for file in part.files) > 0
    assert len(part.files) == 1 or part.form != "gguf"
    for file in part.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert re.fullmatch(r"[\w-][\w.-]*", file.path), "a plain name, not hidden, in no folder"
        assert file.pieces
        assert file.hub.repo in part.origin
        for piece in file.pieces:
            assert re.fullmatch(r"[\w.]+", piece.version)
            assert piece.member.startswith(piece.package.replace("-", "_") + "/")


def test_no_two_parts_share_a_folder() -> None:
    by_name = {part.name: part for part in PARTS}
    assert all(by_name[part.name] == part for part in PARTS)


@pytest.mark.parametrize("name", ["nope", "parts", "", "../mini", "mini.toml"])
def test_an_unknown_name_gets_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match=r"There is no model .*; there are: mini, "):
        card.load(name)


def test_a_card_is_read_once() -> None:
    assert card.load("mini") is card.load("mini")
    assert len({hash(one) for one in CARDS}) == len(CARDS)
