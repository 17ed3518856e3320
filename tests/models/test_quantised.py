"""Quantised weights, held against bitsandbytes' own layers, and modules filled with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bitsandbytes as bnb
import pytest
import tiny_checkpoints as tiny
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Qwen2Config, Qwen2Model
from transformers.models.qwen2_5_omni import modeling_qwen2_5_omni as omni_models

from fls_models.errors import DamagedWeights, EnvironmentLacks, UsageError
from fls_models.weights.conversion.quantization import DTYPES, fill, is_quantised, pack

NAME = "language_model.layers.0.mlp.up_proj.weight"
OTHERS = (
    "language_model.embed_tokens.weight",
    "language_model.norm.weight",
    "language_model.layers.0.self_attn.q_proj.bias",
    "language_model.layers.0.input_layernorm.weight",
    "lm_head.weight",
    "audio_tower.layers.0.self_attn.q_proj.weight",
    "multi_modal_projector.linear.weight",
    "ctc_decoder.linear.weight",
)


@pytest.fixture
def weight():
    return (torch.randn(128, 192, generator=torch.Generator().manual_seed(4)) * 0.05).bfloat16()


@pytest.fixture
def language():
    """A small language model in bfloat16, with every weight at random."""
    dice = torch.Generator().manual_seed(5)
    model = Qwen2Model(Qwen2Config(**tiny.TEXT_CONFIG))
    for name, value in model.named_parameters():
        drawn = torch.randn(value.shape, generator=dice) * 0.1 + ("norm" in name)
        # `model.bfloat16()` would round the rotary frequencies, too.
        value.data = drawn.bfloat16()
    return model.eval()


def _packed(model: nn.Module, dtype: str) -> dict[str, torch.Tensor]:
    packed = {}
    for name, value in model.state_dict().items():
        packed |= pack(f"language_model.{name}", value, dtype)
    return packed


def _empty() -> Qwen2Model:
    with torch.device("meta"):
        return Qwen2Model(Qwen2Config(**tiny.TEXT_CONFIG))


def _theirs(weight: torch.Tensor, dtype: str) -> nn.Linear:
    """The layer that bitsandbytes itself makes of a weight."""
    rows, columns = weight.shape
    if dtype == "nf4":
        layer = bnb.nn.Linear4bit(
            columns, rows, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4"
        )
        layer.weight = bnb.nn.Params4bit(
            weight.clone(), requires_grad=False, quant_type="nf4", module=layer
        )
    else:
        layer = bnb.nn.Linear8bitLt(
            columns, rows, bias=False, has_fp16_weights=False, threshold=6.0
        )
        layer.weight.data = weight.clone()
    return layer.to("cpu").eval()


@pytest.mark.parametrize("dtype", ["nf4", "int8"])
def test_what_is_kept_is_what_bitsandbytes_keeps(weight, dtype):
    kept = pack(NAME, weight, dtype)
    theirs = _theirs(weight, dtype).state_dict()
    # The format of the rows has been the same one for years; they store it nevertheless.
    theirs.pop("weight_format", None)
    assert kept.keys() == {f"{NAME.removesuffix('weight')}{key}" for key in theirs}
    for key, value in theirs.items():
        ours = kept[f"{NAME.removesuffix('weight')}{key}"]
        assert ours.dtype == value.dtype
        assert torch.equal(ours, value)


@pytest.mark.parametrize("dtype", ["nf4", "int8"])
@pytest.mark.parametrize("rows", [1, 7])
def test_a_filled_model_computes_what_their_layers_compute(language, tmp_path, dtype, rows):
    file = tmp_path / "kept.safetensors"
    save_file(_packed(language, dtype), file)
    ours = _empty()
    fill(ours, "language_model", load_file(file), dtype, "cpu")
    for name, linear in list(language.named_modules()):
        if isinstance(linear, nn.Linear):
            layer = _theirs(linear.weight.data, dtype)
            layer.bias = linear.bias
            language.set_submodule(name, layer)
    heard = torch.randn(1, rows, tiny.HIDDEN, generator=torch.Generator().manual_seed(6))
    with torch.inference_mode():
        got = ours(inputs_embeds=heard.bfloat16()).last_hidden_state
        wanted = language(inputs_embeds=heard.bfloat16()).last_hidden_state
    assert torch.equal(got, wanted)
    assert got.isfinite().all()


@pytest.mark.parametrize(("dtype", "error"), [("nf4", 0.35), ("int8", 0.05)])
def test_quantising_changes_little(language, dtype, error):
    filled = _empty()
    fill(filled, "language_model", _packed(language, dtype), dtype, "cpu")
    heard = torch.randn(1, 9, tiny.HIDDEN, generator=torch.Generator().manual_seed(6)).bfloat16()
    with torch.inference_mode():
        got = filled(inputs_embeds=heard).last_hidden_state.float()
        wanted = language(inputs_embeds=heard).last_hidden_state.float()
    assert 0 < (got - wanted).norm() / wanted.norm() < error


@pytest.mark.parametrize("dtype", ["bf16", "float32"])
def test_unquantised_is_the_same_model(language, dtype):
    filled = _empty()
    fill(filled, "language_model", _packed(language, dtype), dtype, "cpu")
    language = language.float() if dtype == "float32" else language
    heard = torch.randn(1, 9, tiny.HIDDEN).to(language.dtype)
    with torch.inference_mode():
        got = filled(inputs_embeds=heard).last_hidden_state
        wanted = language(inputs_embeds=heard).last_hidden_state
    assert torch.equal(got, wanted)
    assert not any(value.requires_grad for value in filled.parameters())
    assert not filled.training


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OTHERS)
def test_only_the_linear_layers_of_the_blocks_are_quantised(name, dtype):
    assert not is_quantised(name, dtype)
    kept = pack(name, torch.ones(64, 64, dtype=torch.float16), dtype)
    wanted = torch.float32 if dtype == "float32" else torch.bfloat16
    assert {key: value.dtype for key, value in kept.items()} == {name: wanted}


def test_positions_are_computed(language):
    filled = _empty()
    fill(filled, "language_model", _packed(language, "nf4"), "nf4", "cpu")
    real = Qwen2Model(Qwen2Config(**tiny.TEXT_CONFIG)).rotary_emb
    # In float32, whatever the weights are: as transformers has it.
    assert filled.rotary_emb.inv_freq.dtype == torch.float32
    assert torch.equal(filled.rotary_emb.inv_freq, real.inv_freq)
    assert torch.equal(filled.rotary_emb.original_inv_freq, real.original_inv_freq)
    with torch.device("meta"):
        part = nn.ModuleDict({"positions": omni_models.SinusoidsPositionEmbedding(30, 16)})
    fill(part, "audio_tower", {}, "bf16", "cpu")
    wanted = omni_models.SinusoidsPositionEmbedding(30, 16).positional_embedding
    assert torch.equal(part["positions"].positional_embedding, wanted)


@pytest.mark.parametrize("dtype", ["nf4", "int8"])
@pytest.mark.parametrize(
    "name", [NAME, "language_model.norm.weight", "language_model.layers.1.self_attn.q_proj.bias"]
)
def test_missing_tensors_are_named(language, dtype, name):
    packed = _packed(language, dtype)
    del packed[name]
    with pytest.raises(DamagedWeights, match=f"lack {name};"):
        fill(_empty(), "language_model", packed, dtype, "cpu")


@pytest.mark.parametrize("extra", [".absmax", ".quant_state.bitsandbytes__nf4"])
def test_missing_statistics_are_named(language, extra):
    packed = _packed(language, "nf4")
    del packed[NAME + extra]
    with pytest.raises(DamagedWeights, match=f"lack {NAME}{extra};"):
        fill(_empty(), "language_model", packed, "nf4", "cpu")


@pytest.mark.parametrize("dtype", DTYPES)
def test_misshapen_tensors_are_named(language, dtype):
    packed = _packed(language, dtype) | pack(NAME, torch.ones(64, 128), dtype)
    with pytest.raises(DamagedWeights, match=f"{NAME} is .*64.*and has to be "):
        fill(_empty(), "language_model", packed, dtype, "cpu")


def test_a_spoilt_description_is_told(language):
    packed = _packed(language, "nf4")
    key = f"{NAME}.quant_state.bitsandbytes__nf4"
    packed[key] = packed[key][:-5]
    with pytest.raises(DamagedWeights, match="unreadable"):
        fill(_empty(), "language_model", packed, "nf4", "cpu")


def test_rows_that_4_bits_do_not_take(weight):
    with pytest.raises(UsageError, match="multiples of 64"):
        pack(NAME, weight[:, :100], "nf4")


def test_other_dtypes_are_refused(weight):
    with pytest.raises(UsageError, match="no dtype 'int4'; there are: nf4, int8, bf16, float32"):
        pack(NAME, weight, "int4")


def test_a_gpu_without_its_kernels_is_told_before_anything_is_loaded(language, monkeypatch):
    monkeypatch.setattr(bnb.cextension.lib, "compiled_with_cuda", False)
    with pytest.raises(EnvironmentLacks, match=r"no kernels .* choose bf16"):
        fill(_empty(), "language_model", _packed(language, "nf4"), "nf4", "cuda")


@pytest.mark.parametrize("dtype", ["nf4", "int8"])
def test_without_bitsandbytes_there_is_a_way_on(weight, monkeypatch, dtype):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(EnvironmentLacks, match="pip install bitsandbytes"):
        pack(NAME, weight, dtype)
    assert pack(NAME, weight, "bf16")


START = """
from fls_models.weights.conversion.quantization import bitsandbytes
from fls_models.training.compression import lora as adapting
adapting._peft()
bitsandbytes().nn.Linear4bit
import kernels
"""


def test_nothing_is_fetched_from_the_hub_to_be_executed(tmp_path):
    # A package of that name that tells when it is asked for compiled code. Only on processors with
    # AVX-512 and bfloat16 bitsandbytes would ask.
    (tmp_path / "kernels.py").write_text("def get_kernel(*_, **__):\n    print('fetched')\n")
    root = Path(__file__).parents[2]
    road = os.pathsep.join([str(root), str(root / "models"), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", START],
        env={**os.environ, "PYTHONPATH": road},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
