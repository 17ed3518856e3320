"""Qwen2-Audio against transformers' own, on tiny random weights in the hub's layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoints import write_qwen2_audio
from torch import Tensor
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from fls_models.core.budget import Budget
from fls_models.core.constants import SAMPLE_RATE, WINDOW_FRAMES
from fls_models.errors import UsageError
from fls_models.extractor.extract import listen_to_frames
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.prompts import Prompt
from fls_models.lslm.registry import load
from fls_models.weights.conversion.install import install
from fls_models.weights.conversion.layout import find

HEARD = Prompt(system="You are a helpful assistant.", opening="", audio=True)
QUESTION = "What is the main argument?"


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    dice = np.random.default_rng(seed)
    return (0.1 * dice.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def whole(model: LargeSpeechLM, audio: np.ndarray) -> Tensor:
    """Embeddings (L, H) of all frames: L >= T."""
    blocks = [audio[i : i + 4000] for i in range(0, len(audio), 4000)]
    heard = listen_to_frames(model, blocks, Budget(target_length=10**6), max_frames=10**6)
    [section] = heard.sections
    return model.project(section.hidden)


@torch.inference_mode()
def ours(model: LargeSpeechLM, embeddings: Tensor) -> Tensor:
    """Logits (V,) of the reply's first token."""
    context = model.read(HEARD, embeddings)
    asked = model.request(context.prompt, QUESTION)
    return model._forward(context, context.cache(), asked, logits=1)[-1]


def assert_close(found: Tensor, expected: Tensor, close: float) -> None:
    """To that part of the largest logit."""
    torch.testing.assert_close(found, expected, rtol=0, atol=close * float(expected.abs().max()))


def messages(windows: int = 1) -> list[dict[str, object]]:
    content: list[dict[str, str]] = [{"type": "audio", "audio_url": "a"}] * windows
    return [
        {"role": "system", "content": HEARD.system},
        {"role": "user", "content": [*content, {"type": "text", "text": QUESTION}]},
    ]


@pytest.fixture(scope="module", params=["float32", "bf16"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Our model, transformers' own, its processor, and how close their logits are to be."""
    folder = tmp_path_factory.mktemp("released")
    dtype = torch.float32 if request.param == "float32" else torch.bfloat16
    write_qwen2_audio(folder, dtype=dtype)
    into = tmp_path_factory.mktemp("installed") / "model"
    install(find(folder), into, dtype=request.param)
    theirs = Qwen2AudioForConditionalGeneration.from_pretrained(folder, dtype=dtype)
    theirs.train(False)
    return (
        load(into),
        theirs,
        AutoProcessor.from_pretrained(folder),
        (1e-5 if dtype == torch.float32 else 1e-3),
    )


@torch.inference_mode()
@pytest.mark.parametrize("seconds", [30, 12.34])
def test_uncompressed_logits_are_those_of_transformers(pair, seconds: float) -> None:
    model, theirs, processor, close = pair
    audio = noise(seconds)
    text = processor.apply_chat_template(messages(), tokenize=False, add_generation_prompt=True)
    inputs = processor(text=text, audio=[audio], sampling_rate=SAMPLE_RATE, return_tensors="pt")
    expected = theirs(**inputs).logits[0, -1].float()
    found = ours(model, whole(model, audio))
    assert_close(found, expected, close)


@torch.inference_mode()
def test_two_windows_are_one_pass_over_their_frames(pair) -> None:
    model, theirs, processor, close = pair
    audio = noise(47.5, seed=3)
    extractor, inner = processor.feature_extractor, theirs.model
    frames = []
    for window in (audio[: 30 * SAMPLE_RATE], audio[30 * SAMPLE_RATE :]):
        mel = extractor(window, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        own = -(-len(window) // 160)
        own = (own - 1) // 2 + 1
        mask = (torch.arange(1500) < own)[None, None, None].expand(1, 1, 1500, 1500)
        hidden = inner.audio_tower(mel.input_features, attention_mask=mask).last_hidden_state[0]
        frames.append(inner.multi_modal_projector(hidden[: (own - 2) // 2 + 1]))
    text = processor.apply_chat_template(messages(), tokenize=False, add_generation_prompt=True)
    head, tail = text.split("<|AUDIO|>")
    embed = inner.get_input_embeddings()
    ids = [processor.tokenizer(part, return_tensors="pt").input_ids[0] for part in (head, tail)]
    joined = torch.cat([embed(ids[0]), *frames, embed(ids[1])])
    decoded = inner.language_model(inputs_embeds=joined[None]).last_hidden_state
    expected = theirs.lm_head(decoded)[0, -1].float()
    found = ours(model, whole(model, audio))
    assert_close(found, expected, close)


@torch.inference_mode()
def test_greedy_replies_are_those_of_transformers(pair) -> None:
    model, theirs, processor, _ = pair
    audio = noise(5, seed=1)
    text = processor.apply_chat_template(messages(), tokenize=False, add_generation_prompt=True)
    inputs = processor(text=text, audio=[audio], sampling_rate=SAMPLE_RATE, return_tensors="pt")
    generated = theirs.generate(**inputs, max_new_tokens=12, do_sample=False, min_new_tokens=1)
    reply = processor.tokenizer.decode(generated[0, inputs.input_ids.shape[1] :])
    context = model.read(HEARD, whole(model, audio))
    found = "".join(model.generate(context, QUESTION, max_tokens=12))
    end = found.rstrip("\ufffd")
    assert end
    assert reply.startswith(end)


@torch.inference_mode()
def test_a_reply_looks_where_transformers_says(pair) -> None:
    model, theirs, processor, close = pair
    audio, reply = noise(5, seed=1), "Ada reads"
    text = processor.apply_chat_template(messages(), tokenize=False, add_generation_prompt=True)
    inputs = processor(
        text=text + reply, audio=[audio], sampling_rate=SAMPLE_RATE, return_tensors="pt"
    )
    said = len(model.tokenize(reply))
    theirs.set_attn_implementation("eager")
    attentions = theirs(**inputs, output_attentions=True).attentions
    theirs.set_attn_implementation("sdpa")
    sound = inputs.input_ids[0] == theirs.config.audio_token_id
    # A token is written at the place before it.
    expected = torch.stack(
        [layer[0, :, -said - 1 : -1][..., sound].float().mean(1) for layer in attentions]
    )
    hooks = sum(len(part._forward_hooks) for part in model.body.modules())
    found = model.attention(model.read(HEARD, whole(model, audio)), QUESTION, reply)
    # A hook that stayed would look at every later step.
    assert sum(len(part._forward_hooks) for part in model.body.modules()) == hooks
    assert found.shape == expected.shape
    assert float(found.sum()) > 0
    # Shares are rounded to bf16 there, each of which is a part of one.
    assert_close(found, expected, 20 * close)


def test_a_context_serves_requests_side_by_side(pair) -> None:
    model, *_ = pair
    context = model.read(HEARD, whole(model, noise(4)))
    alone = [list(model.generate(context, text, max_tokens=9)) for text in ("Who?", "Where?")]
    both = [model.generate(context, text, max_tokens=9) for text in ("Who?", "Where?")]
    together = list(zip(*both, strict=False))
    assert [list(one) for one in zip(*together, strict=True)] == [
        one[: len(together)] for one in alone
    ]
    before = model.scores(context, "Who?", ["Ada"])[0]
    assert torch.equal(model.scores(context, "Who?", ["Ada"])[0], before)


def test_windows_in_a_batch_do_not_change_each_other(pair) -> None:
    model, _, _, close = pair
    windows = [torch.from_numpy(noise(seconds, seed=7)) for seconds in (30, 3.3, 0.05)]
    features = [model.features(window) for window in windows]
    together = model.encode(features)
    assert together.shape == (3, WINDOW_FRAMES, model.hidden_width)
    for index, window in enumerate(windows):
        [alone] = model.encode([features[index]])
        own = -(-len(window) // 160 + 0)
        own = ((own + 1) // 2) // 2
        scale = float(alone.abs().max())
        torch.testing.assert_close(
            together[index, :own].float(), alone[:own].float(), rtol=close, atol=5 * close * scale
        )


def test_low_memory_gives_the_same(tmp_path: Path) -> None:
    write_qwen2_audio(tmp_path / "released", ctc=True)
    install(find(tmp_path / "released"), tmp_path / "model", dtype="float32")
    plain, low = load(tmp_path / "model"), load(tmp_path / "model", low_memory=True)
    audio = noise(6)
    assert torch.equal(ours(plain, whole(plain, audio)), ours(low, whole(low, audio)))


def test_stretched_positions_follow_the_formula(pair) -> None:
    model, *_ = pair
    base, width = 10000.0, 16
    factor = 4.0
    grown = base * factor ** (width / (width - 2))
    expected = grown ** (-torch.arange(0, width, 2) / width)
    context = model.read(HEARD, whole(model, noise(1)), rope_scale=factor)
    torch.testing.assert_close(model.body.rotary_emb.inv_freq, expected, rtol=1e-5, atol=0)
    list(model.generate(replace(context, rope_scale=1.0), "Who?", max_tokens=1))
    torch.testing.assert_close(
        model.body.rotary_emb.inv_freq,
        base ** (-torch.arange(0, width, 2) / width),
        rtol=1e-5,
        atol=0,
    )


def test_a_head_that_does_not_fit_is_refused(pair, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    write_qwen2_audio(tmp_path / "released")
    install(find(tmp_path / "released"), tmp_path / "model", dtype="float32")
    save_file({"linear.weight": torch.zeros(5, 8)}, tmp_path / "part.safetensors")
    with pytest.raises(UsageError, match="projector"):
        load(tmp_path / "model", head=tmp_path / "part.safetensors")
    wrong = {
        "linear.weight": torch.zeros(5, 8),
        "projector.weight": torch.zeros(8, 7),
        "projector.bias": torch.zeros(8),
    }
    save_file(wrong, tmp_path / "wrong.safetensors")
    with pytest.raises(UsageError, match="width 32"):
        load(tmp_path / "model", head=tmp_path / "wrong.safetensors")
