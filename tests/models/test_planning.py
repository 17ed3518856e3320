"""Plans against what is really read; operations against PyTorch's own counter."""

from __future__ import annotations

import json
from dataclasses import replace
from math import ceil

import pytest
import torch
from plain_encoder import Cheap, babble
from torch.utils.flop_counter import FlopCounterMode
from transformers import WhisperConfig, WhisperForConditionalGeneration
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from fls_models.audio.whisper.effort import Effort
from fls_models.core.budget import NAMES, Budget
from fls_models.errors import UsageError
from fls_models.extractor.extract import listen_to_frames
from fls_models.lslm.transformers_body import cache_argument
from fls_models.planning.flops import DecoderDims, EncoderDims
from fls_models.planning.plan import Pace, Pass, Planned, planned
from fls_models.planning.plan_flops import dims_of, plan_flops, transcribing_flops
from fls_models.weights import card

PACE = Pace(
    start=2.0,
    load=5.0,
    begin=1.0,
    hear={"fast": 0.1, "balanced": 0.1, "accurate": 0.2},
    speakers=0.05,
    read=0.01,
    first=4.0,
    following=3.0,
    check=0.5,
    answer=2.0,
    note=20,
    audio_seconds=81.0,
)


@pytest.mark.parametrize("name", ["mini", "fastlongspeech", "qwen2.5-omni-3b"])
@pytest.mark.parametrize("budget", NAMES)
@pytest.mark.parametrize("seconds", [0.2, 8.0, 59.99, 223.05, 1192.5])
def test_as_many_frames_in_as_many_passes_as_are_read(name, budget, seconds):
    plan = planned(card.load(name), "frames", budget, seconds)
    found = card.load(name)
    rates, most = (
        (found.frames.budgets, found.frames.max_frames)
        if name == "mini"
        else (found.budgets, found.max_frames)
    )
    heard = listen_to_frames(
        Cheap(headless=True),
        [babble(seconds)],
        Budget(budget, rates=rates),
        max_frames=most,
        total=seconds,
    )
    assert len(plan.passes) == len(heard.sections)
    assert plan.windows == ceil(seconds / 30)
    rounded = len(plan.passes) - 1
    assert abs(plan.length - heard.frames_after) <= rounded
    assert max(one.length for one in plan.passes) <= most


@pytest.mark.parametrize(
    ("budget", "seconds", "tokens", "passes"),
    [
        ("fast", 223.05, 372, 1),
        ("balanced", 223.05, 744, 1),
        ("accurate", 223.05, 744, 1),
        ("fast", 3600.0, 6000, 8),
        ("balanced", 3600.0, 12000, 15),
        ("balanced", 0.1, 1, 1),
    ],
)
def test_tokens_are_those_of_speech_as_the_budget_allows(budget, seconds, tokens, passes):
    plan = planned(card.load("mini"), "text", budget, seconds)
    assert (plan.length, len(plan.passes)) == (tokens, passes)
    lengths = [one.length for one in plan.passes]
    assert max(lengths) - min(lengths) <= 1
    assert sum(one.frames for one in plan.passes) == max(1, round(seconds * 25))


def test_a_model_that_reads_no_frames_is_planned_for_none():
    with pytest.raises(UsageError, match="small has no connector"):
        planned(card.load("small"), "frames", "fast", 60.0)
    with pytest.raises(UsageError, match="no budget 'huge'"):
        planned(card.load("small"), "text", "huge", 60.0)


def test_seconds_of_one_pass():
    plan = Planned("accurate", "text", 30.0, (Pass(750, 100),))
    # The process: start, load, and what the first answer takes longer than the next.
    assert PACE.process == 2 + 5 + 1
    assert PACE.recording(plan) == pytest.approx(1 + 0.2 * 30 + 0.01 * 100 + 3)
    assert PACE.expected([plan]) == pytest.approx(8 + 11)
    assert PACE.expected([plan, plan]) == pytest.approx(8 + 22)


def test_each_pass_is_judged_and_noted_and_the_notes_are_answered_from():
    plan = Planned("balanced", "text", 100.0, (Pass(1000, 160), Pass(1000, 160), Pass(500, 80)))
    one = 1 + 10 + 4 + 3
    assert PACE.recording(plan) == pytest.approx(one + 2 * 0.5 + 3 * 2 + 3 * 20 * 0.01)


def test_a_pace_is_kept_as_json():
    assert Pace.from_json(json.loads(json.dumps(PACE.as_json()))) == PACE


# Operations


@pytest.mark.parametrize("beams", [1, 3])
def test_transcribing_within_3_percent(beams):
    width, vocabulary, tokens = 32, 300, 90
    config = WhisperConfig(
        num_mel_bins=16,
        d_model=width,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        vocab_size=vocabulary,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    # PyTorch's counter does not see the fused attention kernel of the CPU.
    config._attn_implementation = "eager"
    model = WhisperForConditionalGeneration(config).eval()

    def heard():
        encoded = model.model.encoder(torch.randn(1, 16, 3000)).last_hidden_state
        # Token by token, all beams at once; then all tokens, for their times.
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for token in range(tokens):
            model(
                decoder_input_ids=torch.full((beams, 1), token),
                encoder_outputs=(encoded.expand(beams, -1, -1),),
                use_cache=True,
                **{cache_argument(model): cache},
            )
        cached = model.model.decoder(
            torch.arange(tokens)[None],
            encoder_hidden_states=encoded,
            use_cache=False,
        ).last_hidden_state
        model.proj_out(cached)

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        heard()
    counted = counter.get_total_flops()
    # Here keys and values of the window are made for each beam, and again for the times.
    again = beams * 2 * 2 * 1500 * 2 * width**2
    ours = transcribing_flops(
        EncoderDims(16, width, 64, 2), vocabulary, 1, tokens, Effort("", beams, ())
    )
    assert ours == pytest.approx(counted - again, rel=0.03)


def test_more_is_more_operations():
    for name, reads_by in (("mini", "text"), ("mini", "frames"), ("fastlongspeech", "frames")):
        found = card.load(name)
        counts = [plan_flops(found, planned(found, reads_by, one, 600.0)) for one in NAMES]
        assert counts == sorted(counts)
        assert counts[0] < counts[-1]
        longer = plan_flops(found, planned(found, reads_by, "fast", 1200.0))
        assert longer == pytest.approx(2 * counts[0], rel=0.05)


def test_every_card_has_dimensions_and_a_folder_has_none():
    assert all(dims_of(card.load(name)) for name in card.names())
    own = replace(card.load("mini"), name="own")
    assert plan_flops(own, planned(own, "text", "fast", 60.0)) is None


@pytest.mark.weights
def test_the_dimensions_are_those_of_the_weights(mini_weights):
    from types import SimpleNamespace

    config = json.loads((mini_weights.llm / "config.json").read_text("utf-8"))
    assert dims_of(card.load("mini")) == DecoderDims.from_config(SimpleNamespace(**config))
