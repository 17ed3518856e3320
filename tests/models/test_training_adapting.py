"""LoRA on large models: what it leaves alone, and what becomes of it on disk, held against PEFT."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tiny_checkpoints import HIDDEN, write_omni, write_qwen2_audio
from tiny_hearing import QUESTION, assert_close, babble, first_logits, loaded, noise, whole
from torch import Tensor, nn
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from fls_models.core.constants import SAMPLE_RATE
from fls_models.errors import EnvironmentLacks
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.prompts import TRANSCRIBE
from fls_models.training.compression.dynamic import surprisals
from fls_models.training.compression.lora import Adapted, Settings
from fls_models.training.core.checkpoints import fill
from fls_models.weights.conversion.lora import Adapter

SMALL = Settings(rank=8, alpha=16, dropout=0.0)
WRITERS = [write_qwen2_audio, write_omni]


def scramble(adapted: Adapted, seed: int = 4) -> None:
    """Values such as training gives, so that it counts."""
    dice = torch.Generator().manual_seed(seed)
    drawn = {
        name: 0.1 * torch.randn(one.shape, generator=dice)
        for name, one in adapted.parameters.items()
    }
    fill(adapted.parameters, drawn)


def weights(model: LargeSpeechLM) -> dict[str, Tensor]:
    """All that a model computes with, wherever it keeps it."""
    parts = {
        "body": model.body,
        "head": model._parts.head,
        "tower": model._tower,
        "norm": model._norm,
        "projector": model._projector,
    }
    return {
        f"{part}.{name}": value.clone()
        for part, module in parts.items()
        if isinstance(module, nn.Module)
        for name, value in module.state_dict().items()
    }


def learn(model: LargeSpeechLM, adapted: Adapted, steps: int = 4) -> list[float]:
    recording = whole(model, babble(2))
    optimiser = torch.optim.AdamW(adapted.parameters.values(), lr=1e-2)
    losses = []
    adapted.train()
    for _ in range(steps):
        conversation = model.conversation(TRANSCRIBE, recording, QUESTION, "That it is late.")
        loss = torch.cat(surprisals(model, [conversation])).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    adapted.train(False)
    return losses


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("dtype", ["float32", "bf16", "int8", "nf4"])
def test_the_adapter_learns_and_the_base_does_not(write, dtype: str, tmp_path: Path) -> None:
    write(tmp_path / "released")
    model = loaded(tmp_path / "released", tmp_path / "model", dtype)
    recording = whole(model, babble(1))
    before, frozen = first_logits(model, recording), weights(model)
    with Adapted(model, SMALL) as adapted:
        assert len(adapted.parameters) == 2 * 4 * 2
        assert {one.dtype for one in adapted.parameters.values()} == {torch.float32}
        trained = {id(one) for one in adapted.parameters.values()}
        assert {id(one) for one in model.body.parameters() if one.requires_grad} == trained
        # B is 0.
        assert_close(first_logits(model, recording), before, 1e-6 if dtype == "float32" else 0.02)
        losses = learn(model, adapted)
        assert losses[-1] < 0.9 * losses[0]
        within = weights(model)
        named = {name.replace(".base_layer", ""): value for name, value in within.items()}
        assert all(torch.equal(named[name], value) for name, value in frozen.items())
        assert len(named) == len(frozen) + len(adapted.parameters)
    after = weights(model)
    assert after.keys() == frozen.keys()
    assert all(torch.equal(after[name], value) for name, value in frozen.items())
    assert not any(one.requires_grad for one in model.body.parameters())
    assert_close(first_logits(model, recording), before, 1e-6 if dtype == "float32" else 0.02)


def test_four_bits_learn_after_they_have_answered(tmp_path: Path) -> None:
    write_qwen2_audio(tmp_path / "released")
    model = loaded(tmp_path / "released", tmp_path / "model", "nf4")
    for _ in range(2):
        # On CPUs with bfloat16 of their own, bitsandbytes packs them otherwise for answering.
        first_logits(model, whole(model, babble(1)))
        with Adapted(model, SMALL) as adapted:
            losses = learn(model, adapted)
            assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("write", WRITERS)
def test_beside_the_released_base_it_is_the_adapted_model(write, tmp_path: Path) -> None:
    write(tmp_path / "released")
    model = loaded(tmp_path / "released", tmp_path / "model")
    recording = whole(model, babble(3))
    plain = first_logits(model, recording)
    with Adapted(model, SMALL) as adapted:
        scramble(adapted)
        expected = first_logits(model, recording)
        adapted.save(tmp_path / "released" / "lora", "base")
    assert (expected - plain).abs().max() > 0.1 * plain.abs().max()
    again = loaded(tmp_path / "released", tmp_path / "merged")
    assert_close(first_logits(again, recording), expected, 1e-5)
    assert all(
        name.startswith("language_model.layers.") and ".self_attn." in name
        for name in Adapter.read(tmp_path / "released" / "lora").pairs
    )


@torch.inference_mode()
def test_peft_reads_it_onto_the_model_of_transformers(tmp_path: Path) -> None:
    write_qwen2_audio(tmp_path / "released")
    model = loaded(tmp_path / "released", tmp_path / "model")
    audio = noise(4)
    recording = whole(model, audio)
    with Adapted(model, SMALL) as adapted:
        scramble(adapted)
        expected = first_logits(model, recording)
        adapted.save(tmp_path / "lora", "base")
    theirs = Qwen2AudioForConditionalGeneration.from_pretrained(
        tmp_path / "released", dtype=torch.float32
    )
    adapted_theirs = PeftModel.from_pretrained(theirs, tmp_path / "lora")
    on = {name for name, _ in adapted_theirs.named_parameters() if "lora_" in name}
    assert len(on) == 2 * 4 * 2
    assert all("audio_tower" not in name for name in on)
    processor = AutoProcessor.from_pretrained(tmp_path / "released")
    content = [{"type": "audio", "audio_url": "a"}, {"type": "text", "text": QUESTION}]
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": content},
    ]
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    inputs = processor(text=text, audio=[audio], sampling_rate=SAMPLE_RATE, return_tensors="pt")
    assert_close(adapted_theirs(**inputs).logits[0, -1], expected, 1e-5)


def test_what_is_written(tmp_path: Path) -> None:
    write_qwen2_audio(tmp_path / "released")
    model = loaded(tmp_path / "released", tmp_path / "model")
    with Adapted(model, Settings(rank=4, alpha=12, dropout=0.25)) as adapted:
        adapted.save(tmp_path / "lora", "a base")
        names = list(adapted.parameters)
    assert sorted(file.name for file in (tmp_path / "lora").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text("utf-8"))
    told = ("peft_type", "r", "lora_alpha", "lora_dropout", "base_model_name_or_path")
    assert [config[key] for key in told] == ["LORA", 4, 12, 0.25, "a base"]
    tensors = load_file(tmp_path / "lora" / "adapter_model.safetensors")
    assert sorted(tensors) == sorted(names)
    down = "base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight"
    assert tensors[down].shape == (4, HIDDEN)


def test_where_nothing_can_be_written_it_says_what_is_lacking(tmp_path: Path) -> None:
    write_qwen2_audio(tmp_path / "released")
    model = loaded(tmp_path / "released", tmp_path / "model")
    (tmp_path / "lora").write_text("no folder")
    with Adapted(model, SMALL) as adapted, pytest.raises(EnvironmentLacks, match="0 MB free"):
        adapted.save(tmp_path / "lora", "base")


def test_computing_again_changes_nothing(tmp_path: Path) -> None:
    write_qwen2_audio(tmp_path / "released")
    model = loaded(tmp_path / "released", tmp_path / "model")
    losses = []
    for checkpointing in (False, True):
        # With dropout, which has to be drawn alike both times.
        settings = Settings(rank=8, alpha=16, dropout=0.3)
        with Adapted(model, settings, seed=1, checkpointing=checkpointing) as adapted:
            torch.manual_seed(2)
            adapted.train()
            layers = model.body.get_submodule("layers")
            assert {one.gradient_checkpointing for one in layers} == {checkpointing}
            losses.append(learn(model, adapted))
    assert losses[0] == losses[1]


def test_the_seed_is_all_that_draws_it(tmp_path: Path) -> None:
    write_qwen2_audio(tmp_path / "released")
    model = loaded(tmp_path / "released", tmp_path / "model")
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(drawn))
        with Adapted(model, SMALL, seed=seed) as adapted:
            drawn.append(torch.cat([one.detach().flatten() for one in adapted.parameters.values()]))
            state = torch.get_rng_state()
        assert torch.equal(state, torch.manual_seed(len(drawn) - 1).get_state())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_without_peft_it_says_how_to_get_it(tmp_path: Path, monkeypatch) -> None:
    write_qwen2_audio(tmp_path / "released")
    model = loaded(tmp_path / "released", tmp_path / "model")
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(EnvironmentLacks, match="pip install peft"):
        Adapted(model, SMALL)


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"dropout": 1.0}, {"alpha": float("nan")}])
def test_settings_that_make_no_lora_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="rank"):
        Settings(**wrong)
