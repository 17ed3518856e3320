"""FLOPs against PyTorch's own counter on tiny models, and against the paper on the large one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from answer_flops import PAPER, QWEN2_AUDIO_7B, Cost, ModelDims, answer_cost
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration
from transformers.cache_utils import DynamicCache

from fls_models.extractor.density import CtcHead
from fls_models.extractor.fusion import halving_schedule, training_schedule
from fls_models.lslm.transformers_body import cache_argument
from fls_models.planning.flops import (
    Convention,
    DecoderDims,
    EncoderDims,
    HeadDims,
    decode_flops,
    encoder_flops,
    head_flops,
    prefill_flops,
)

TERA = 1e12


@pytest.fixture(scope="module")
def tiny() -> Qwen2AudioForConditionalGeneration:
    config = Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": 16,
            "d_model": 32,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 64,
        },
        text_config={
            "model_type": "qwen2",
            "hidden_size": 64,
            "intermediate_size": 160,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 500,
            "max_position_embeddings": 512,
        },
        audio_token_index=499,
    )
    # PyTorch's counter does not see the fused attention kernel of the CPU.
    config._attn_implementation = "eager"
    return Qwen2AudioForConditionalGeneration(config).eval()


def counted(run) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def dims(model) -> ModelDims:
    return ModelDims.from_config(model.config)


def test_encoder_within_3_percent(tiny):
    measured = counted(lambda: tiny.model.audio_tower(torch.randn(2, 16, 3000)))
    assert 2 * encoder_flops(dims(tiny).encoder) == pytest.approx(measured, rel=0.03)


def test_prefill_within_3_percent(tiny):
    tokens = torch.arange(90)[None]
    decoder = dims(tiny).decoder
    every = counted(lambda: tiny(input_ids=tokens, use_cache=False))
    assert prefill_flops(decoder, 90, Convention(every_logit=True)) == pytest.approx(
        every, rel=0.03
    )

    language_model, last = tiny.model.language_model, slice(-1, None)
    one = counted(lambda: tiny.lm_head(language_model(input_ids=tokens).last_hidden_state[:, last]))
    assert prefill_flops(decoder, 90) == pytest.approx(one, rel=0.03)


def test_decode_within_3_percent(tiny):
    language_model = tiny.model.language_model
    held: dict[str, Any] = {"use_cache": True, cache_argument(language_model): DynamicCache()}
    with torch.no_grad():
        language_model(input_ids=torch.arange(90)[None], **held)

    def write():
        for token in range(20):
            step = language_model(input_ids=torch.tensor([[token]]), **held)
            tiny.lm_head(step.last_hidden_state)

    ours = decode_flops(dims(tiny).decoder, 90, 20)
    assert ours == pytest.approx(counted(write), rel=0.03)


def test_without_attention_within_3_percent(tiny):
    decoder, blind = dims(tiny).decoder, Convention(attention=False, every_logit=True)
    linear = sum(layer.weight.numel() for layer in linear_layers(tiny.model.language_model))
    ours = 2 * 90 * (linear + tiny.lm_head.weight.numel())
    assert prefill_flops(decoder, 90, blind) == pytest.approx(ours, rel=0.03)


def linear_layers(model: torch.nn.Module) -> list[torch.nn.Linear]:
    return [module for module in model.modules() if isinstance(module, torch.nn.Linear)]


def test_projector_within_3_percent(tiny):
    hidden = torch.randn(70, 32)
    measured = counted(lambda: tiny.model.multi_modal_projector(hidden))
    cost = answer_cost(dims(tiny), 1, 70, (), 0, 0)
    assert cost.projector == pytest.approx(measured, rel=0.03)


def test_head_within_3_percent_and_folding_saves_what_it_says():
    head, hidden = CtcHead(48, 96, 200), torch.randn(64, 48)
    plain, folded = HeadDims(201, inner_width=96), HeadDims(201)
    assert head_flops(plain, 48, 64) == pytest.approx(counted(lambda: head(hidden)), rel=0.03)
    measured = counted(lambda: head.fold().logits(hidden)) - counted(head.fold)
    assert head_flops(folded, 48, 64) == pytest.approx(measured, rel=0.03)
    released = head_flops(HeadDims(10_001, 4096), 1280, 1) / head_flops(HeadDims(10_001), 1280, 1)
    assert released == pytest.approx(3.6, abs=0.05)


def test_dimensions_of_the_large_model_are_its_configs():
    config = Qwen2AudioConfig(
        text_config={
            "model_type": "qwen2",
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "vocab_size": 156_032,
        }
    )
    assert ModelDims.from_config(config) == QWEN2_AUDIO_7B
    assert DecoderDims.from_config(config.text_config, lora_rank=8).lora_rank == 8
    assert EncoderDims.from_config(config.audio_config) == QWEN2_AUDIO_7B.encoder


def test_an_unmerged_lora_costs_2_percent():
    plain = QWEN2_AUDIO_7B.decoder
    adapted = replace(plain, lora_rank=128)
    # Two maps, 4096 -> 128 -> 4096, beside each of q, k, v and o in 32 layers.
    extra = 2 * 100 * 32 * 4 * (4096 * 128 + 128 * 4096)
    assert prefill_flops(adapted, 100) - prefill_flops(plain, 100) == extra
    assert extra / prefill_flops(plain, 100) == pytest.approx(0.02, abs=0.002)


def test_the_extractor_costs_next_to_nothing():
    model = replace(QWEN2_AUDIO_7B, head=HeadDims(10_001))
    cost = answer_cost(model, 5, 3325, halving_schedule(3325, 750), 45, 50)
    assert isinstance(cost, Cost)
    assert cost.total == sum(vars(cost).values())
    assert cost.fusion < 1e-5 * cost.total
    assert cost.head < 0.01 * cost.total
    unfused = answer_cost(replace(model, head=None), 5, 3325, (), 45, 50)
    assert unfused.head == unfused.fusion == 0
    assert unfused.total > 2 * cost.total


# The paper does not say how it counts. Three things are known: the released scripts leave the LoRA
# (rank 128) unmerged, Table 7 has none; the released CTC head is not folded; encoder windows are
# padded. Three are fitted: 45 tokens of prompt, and the mean number of frames in the uncompressed
# clips, 490 (LibriTTS, 19.6 s) and 647 (Fisher, 25.9 s). `PAPER` then meets all nine figures of
# Tables 3 and 7 within 1.5 %. Fitted the same way, one logit misses some figure by 4 % or more, and
# counting attention by 2 % with 17 tokens of prompt, where the chat template alone has some 26.
PROMPT_TOKENS = 45
LIBRITTS_FRAMES, FISHER_FRAMES = 490, 647


def short_clip(target: int | None, frames: int, lora_rank: int, convention=PAPER) -> float:
    decoder = replace(QWEN2_AUDIO_7B.decoder, lora_rank=lora_rank)
    head = HeadDims(10_001, inner_width=4096) if target else None
    model = ModelDims(QWEN2_AUDIO_7B.encoder, decoder, head)
    lengths = training_schedule(frames, target) if target else ()
    return answer_cost(model, 1, frames, lengths, PROMPT_TOKENS, 1, convention).total / TERA


@pytest.mark.parametrize(
    ("target", "published"), [(None, 9.79), (400, 8.54), (200, 5.64), (100, 4.17)]
)
def test_table_3_within_1_5_percent(target, published):
    assert short_clip(target, LIBRITTS_FRAMES, 128) == pytest.approx(published, rel=0.015)


@pytest.mark.parametrize(
    ("target", "published"), [(None, 11.76), (400, 8.25), (200, 5.46), (100, 4.06), (50, 3.35)]
)
def test_table_7_within_1_5_percent(target, published):
    assert short_clip(target, FISHER_FRAMES, 0) == pytest.approx(published, rel=0.015)


# Table 4, long speech: mean 133 s, 3325 frames, between 4.4 and 5.4 padded windows in the mean.
# The step from 750 frames to all agrees within 3.5 % (34.77 published), but each total is 4 to 5
# TFLOPs short, and nothing known explains that: it is the encoder on some 2.3 windows more, or 300
# tokens. Not of the answer: a 7B model does not write 300 tokens in the 1.47 s of the same table.
LONG_FRAMES, LONG_WINDOWS = 3325, 5


def long_speech(convention: Convention) -> tuple[float, float]:
    adapted = replace(QWEN2_AUDIO_7B.decoder, lora_rank=128)
    head = HeadDims(10_001, inner_width=4096)
    fused = answer_cost(
        ModelDims(QWEN2_AUDIO_7B.encoder, adapted, head),
        LONG_WINDOWS,
        LONG_FRAMES,
        halving_schedule(LONG_FRAMES, 750),
        PROMPT_TOKENS,
        1,
        convention,
    )
    whole = answer_cost(QWEN2_AUDIO_7B, LONG_WINDOWS, LONG_FRAMES, (), PROMPT_TOKENS, 1, convention)
    return fused.total / TERA, whole.total / TERA


def test_table_4_in_the_papers_convention_lacks_a_constant():
    fused, whole = long_speech(PAPER)
    assert fused == pytest.approx(21.7, abs=0.1)  # published: 26.44
    assert whole == pytest.approx(57.5, abs=0.1)  # published: 61.21
    assert whole - fused == pytest.approx(61.21 - 26.44, rel=0.035)
    assert 26.44 - fused == pytest.approx(4.8, abs=0.1)
    assert 61.21 - whole == pytest.approx(3.7, abs=0.1)


def test_table_4_with_all_that_is_run():
    fused, whole = long_speech(Convention(attention=True, every_logit=True))
    assert fused == pytest.approx(23.8, abs=0.1)  # published: 26.44, 10 % more
    assert whole == pytest.approx(65.3, abs=0.1)  # published: 61.21, 6 % less
