"""Adapters merged without PEFT, held against PEFT itself."""

from __future__ import annotations

import json

import pytest
import tiny_checkpoints as tiny
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from fls_models.errors import DamagedWeights, UsageError
from fls_models.weights.conversion.layout import canonical
from fls_models.weights.conversion.lora import Adapter


def _base() -> Qwen2ForCausalLM:
    torch.manual_seed(1)
    return Qwen2ForCausalLM(Qwen2Config(**{**tiny.TEXT_CONFIG, "torch_dtype": "float32"}))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_rslora": True},
        {
            "rank_pattern": {"q_proj": 4, r"layers.1.self_attn.v_proj": 2},
            "alpha_pattern": {"k_proj": 5, "model.layers.0.self_attn.q_proj": 32},
        },
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_merging_is_what_peft_does(tmp_path, settings, dtype):
    targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
    config = LoraConfig(r=8, lora_alpha=16, target_modules=targets, **settings)
    wrapped = get_peft_model(_base(), config)
    dice = torch.Generator().manual_seed(2)
    for name, value in wrapped.named_parameters():
        if "lora_" in name:
            value.data = torch.randn(value.shape, generator=dice) * 0.1
    wrapped.save_pretrained(tmp_path)

    adapter = Adapter.read(tmp_path)
    merged = {
        name: adapter.merge(canonical(name), value)
        for name, value in _base().to(dtype).state_dict().items()
    }
    theirs = PeftModel.from_pretrained(_base().to(dtype), tmp_path).merge_and_unload().state_dict()

    assert merged.keys() == theirs.keys()
    assert len(adapter.pairs) == 4 * 2
    plain = _base().to(dtype).state_dict()
    # They round the product to bfloat16 before they add it.
    near = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-2, "atol": 2e-3}
    for name, value in theirs.items():
        assert merged[name].dtype == dtype
        torch.testing.assert_close(merged[name], value, **near)
        assert torch.equal(merged[name], plain[name]) != name.endswith(
            tuple(f"{target}.weight" for target in targets)
        )


def test_the_released_layout_meets_the_base_layout(tmp_path):
    base = tiny.write_fastlongspeech(tmp_path, dtype=torch.float32)
    pairs = load_file(tmp_path / "tuned" / "adapter_model.safetensors")
    adapter = Adapter.read(tmp_path / "tuned")
    assert len(adapter.pairs) == 8
    name = "language_model.model.layers.1.self_attn.v_proj"
    down = pairs[f"base_model.model.{name}.lora_A.weight"]
    up = pairs[f"base_model.model.{name}.lora_B.weight"]
    expected = base[f"{name}.weight"] + tiny.ALPHA / tiny.RANK * up @ down
    merged = adapter.merge(
        "language_model.layers.1.self_attn.v_proj.weight", base[f"{name}.weight"]
    )
    torch.testing.assert_close(merged, expected)


def test_what_the_adapter_does_not_change_is_the_same_tensor(tmp_path):
    adapter = Adapter.read(_written(tmp_path))
    weight = torch.zeros(3, 3)
    assert adapter.merge("lm_head.weight", weight) is weight


def test_names_that_match_nothing_are_told(tmp_path):
    adapter = Adapter.read(_written(tmp_path))
    names = sorted(adapter.pairs)
    assert adapter.unused(names) == []
    assert adapter.unused(names[1:]) == names[:1]


def test_an_adapter_for_another_width_is_refused(tmp_path):
    adapter = Adapter.read(_written(tmp_path))
    with pytest.raises(DamagedWeights, match="belongs to another model"):
        adapter.merge("language_model.layers.0.self_attn.q_proj.weight", torch.zeros(128, 128))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"use_dora": True}, "use_dora is set"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out is set"),
        ({"bias": "lora_only"}, "changes biases"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is set"),
        ({"peft_type": "LOHA"}, "of the kind LOHA"),
        ({"init_lora_weights": "pissa"}, "starts from pissa"),
    ],
)
def test_other_kinds_are_refused(tmp_path, settings, reason):
    with pytest.raises(UsageError, match=f"not supported: .*{reason}.*Merge it with PEFT"):
        Adapter.read(_written(tmp_path, **settings))


def test_other_tensors_are_refused(tmp_path):
    folder = _written(tmp_path)
    file = folder / "adapter_model.safetensors"
    save_file(load_file(file) | {"base_model.model.norm.bias": torch.zeros(2)}, file)
    with pytest.raises(UsageError, match=r"holds base_model\.model\.norm\.bias"):
        Adapter.read(folder)


def test_a_half_of_a_pair_is_missed(tmp_path):
    folder = _written(tmp_path)
    file = folder / "adapter_model.safetensors"
    pairs = load_file(file)
    pairs.pop(next(name for name in pairs if "lora_B" in name))
    save_file(pairs, file)
    with pytest.raises(DamagedWeights, match="lacks lora_B of base_model"):
        Adapter.read(folder)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"r": 4}, "not of rank 4"),
        ({"r": "x"}, "no usable r"),
        ({"lora_alpha": None}, "lora_alpha"),
    ],
)
def test_the_rank_is_held_against_the_matrices(tmp_path, settings, sentence):
    with pytest.raises(DamagedWeights, match=sentence):
        Adapter.read(_written(tmp_path, **settings))


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
def test_broken_files_are_told(tmp_path, file):
    folder = _written(tmp_path)
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedWeights, match="no whole adapter"):
        Adapter.read(folder)
    (folder / file).unlink()
    with pytest.raises(DamagedWeights, match="no whole adapter"):
        Adapter.read(folder)


def test_an_adapter_without_weights_is_damaged(tmp_path):
    folder = _written(tmp_path)
    save_file({}, folder / "adapter_model.safetensors")
    with pytest.raises(DamagedWeights, match="without weights"):
        Adapter.read(folder)
    (folder / "adapter_config.json").write_text(json.dumps([]))
    with pytest.raises(DamagedWeights, match="no object"):
        Adapter.read(folder)


def _written(folder, **settings):
    shape = (tiny.HIDDEN, tiny.HIDDEN)
    names = [f"language_model.model.layers.{layer}.self_attn.q_proj.weight" for layer in range(2)]
    tiny.write_adapter(folder, {name: torch.zeros(shape) for name in names}, **settings)
    return folder
