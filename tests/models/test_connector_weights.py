"""A connector on disk: the same one comes back, and nothing that is not whole does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_mini import ALPHA, RANK, SHAPE, TOKENS, config, random_connector, random_lora
from torch import Tensor

from fls_models.errors import DamagedWeights
from fls_models.lslm.mini.connector_weights import Config, LoraShape, read, read_lora, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(random_connector(), config(), tmp_path / "mini", lora=random_lora())
    return tmp_path / "mini"


def test_float16_comes_back_to_its_precision(tmp_path: Path) -> None:
    connector = random_connector()
    write(connector, config(lora=False), tmp_path, int8=False)
    found, told = read(tmp_path)
    assert told == config(lora=False)
    assert not found.training
    for name, value in connector.state_dict().items():
        one = found.state_dict()[name]
        assert one.dtype == torch.float32
        expected = value if value.ndim < 2 else value.half().float()
        assert torch.equal(one, expected), name
    stored = load_file(tmp_path / "connector.safetensors")
    assert stored.keys() == connector.state_dict().keys()


def test_int8_comes_back_within_half_a_step(folder: Path) -> None:
    connector = random_connector()
    found, _ = read(folder)
    stored = load_file(folder / "connector.safetensors")
    for name, value in connector.state_dict().items():
        one = found.state_dict()[name]
        if stored[name].dtype != torch.int8:
            assert torch.allclose(one, value, rtol=1e-3, atol=1e-6), name
            continue
        assert value.ndim == 2
        step = value.abs().amax(1, keepdim=True) / 127
        assert ((one - value).abs() <= 0.5001 * step).all(), name
    assert sum(value.dtype == torch.int8 for value in stored.values()) > 10
    # A byte a weight, as far as matrices go.
    smaller = (folder / "connector.safetensors").stat().st_size
    write(connector, config(), folder, lora=random_lora(), int8=False)
    assert smaller < 0.75 * (folder / "connector.safetensors").stat().st_size


def test_what_it_computes_survives_int8(folder: Path) -> None:
    connector, (found, _) = random_connector(), read(folder)
    dice = torch.Generator().manual_seed(0)
    frames = torch.randn(1, 60, SHAPE.encoder_width, generator=dice)
    table = torch.randn(SHAPE.tokens, SHAPE.model_width, generator=dice)
    with torch.no_grad():
        hidden = connector.adapter(frames)
        off = (found.adapter(frames) - hidden).norm() / hidden.norm()
        assert 0 < off < 0.02
        exact = connector.embeddings(hidden, table)
        assert (found.embeddings(hidden, table) - exact).norm() / exact.norm() < 0.05


def test_blocks_without_attention_come_back(tmp_path: Path) -> None:
    bare = replace(SHAPE, heads=0)
    write(random_connector(shape=bare), config(bare, lora=False), tmp_path)
    found, told = read(tmp_path)
    assert told.shape == found.shape == bare


def test_a_convolution_in_int8_is_read_as_well(folder: Path) -> None:
    file = folder / "connector.safetensors"
    tensors = load_file(file)
    name = "adapter.blocks.0.depthwise.weight"
    levels = torch.randint(-127, 128, tensors[name].shape).to(torch.int8)
    scale = torch.rand(len(levels))
    save_file({**tensors, name: levels, f"{name}.scale": scale}, file)
    found, _ = read(folder)
    expected = torch.stack(
        [row.float() * float(one) for row, one in zip(levels, scale, strict=True)]
    )
    assert torch.equal(found.state_dict()[name], expected)


def test_a_lora_comes_back(folder: Path) -> None:
    written, found = random_lora(), read_lora(folder, config())
    assert {f"{name}.lora_{side}.weight" for name in found for side in "AB"} == written.keys()
    for name, pair in found.items():
        assert pair.scale == ALPHA / RANK
        assert torch.equal(pair.down, written[f"{name}.lora_A.weight"].half().float())
        assert torch.equal(pair.up, written[f"{name}.lora_B.weight"].half().float())
    assert read_lora(folder, config(lora=False)) == {}


def test_writing_again_leaves_nothing_of_the_old(folder: Path) -> None:
    (folder / "README.md").write_text("A card.")
    write(random_connector(9), config(lora=False), folder)
    assert {file.name for file in folder.iterdir()} == {
        "README.md",
        "config.json",
        "connector.safetensors",
    }
    assert read(folder)[1].lora is None


def test_an_interrupted_writer_leaves_the_old_or_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read(folder)[0].state_dict()
    replaced = Path.replace
    for allowed in range(3):
        left = iter(range(allowed))

        def fails(place: Path, target: Path, left: Any = left) -> Path:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return replaced(place, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", fails)
            with pytest.raises(KeyboardInterrupt):
                write(random_connector(9), config(), folder, lora=random_lora(9))
        with pytest.raises(DamagedWeights, match=r"config\.json"):
            read(folder)
    write(random_connector(), config(), folder, lora=random_lora())
    after = read(folder)[0].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def without(name: str) -> Callable[[dict[str, Tensor]], Any]:
    return lambda tensors: tensors.pop(name)


def changed(name: str, value: Tensor) -> Callable[[dict[str, Tensor]], Any]:
    return lambda tensors: tensors.update({name: value})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("norm.bias"), r"lacks norm\.bias"),
        (without("ctc.weight.scale"), r"ctc\.weight is torch\.int8, and only int8 has a scale"),
        (
            changed("norm.bias.scale", torch.ones(32)),
            r"norm\.bias is torch\.float32, and only int8",
        ),
        (
            changed("ctc.weight.scale", torch.ones(2)),
            rf"ctc\.weight has 2 scales for {SHAPE.tokens + 1}x32",
        ),
        (changed("norm.bias", torch.ones(31)), r"norm\.bias is 31 in place of 32"),
        (changed("more", torch.ones(1)), "holds more, which no connector has"),
    ],
)
def test_what_does_not_fit_is_named(
    folder: Path, change: Callable[[dict[str, Tensor]], Any], said: str
) -> None:
    tensors = load_file(folder / "connector.safetensors")
    change(tensors)
    save_file(tensors, folder / "connector.safetensors")
    with pytest.raises(DamagedWeights, match=f"{said}.*install it anew, or use --read text"):
        read(folder)


@pytest.mark.parametrize("name", ["config.json", "connector.safetensors", "lora.safetensors"])
@pytest.mark.parametrize("cut", [0, 40, None])
def test_broken_files_are_named(folder: Path, name: str, cut: int | None) -> None:
    if cut is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:cut])
    with pytest.raises(DamagedWeights, match=name.replace(".", r"\.")):
        read_lora(folder, read(folder)[1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"form": "fls-connector-2"}, "its form is 'fls-connector-2', and this fls reads"),
        ({"form": None}, "its form is None"),
        ({"tokens": list(TOKENS[1:])}, "another one"),
        ({"tokens": [*TOKENS[1:], TOKENS[1]]}, "another one"),
        ({"tokens": [-1, *TOKENS[1:]]}, "ids from 0 up"),
        ({"shape": {"width": 3}}, "TypeError"),
        ({"lora": {"rank": 0, "alpha": 1}}, "rank is at least 1"),
        ({"window": "wide"}, "ValueError"),
    ],
)
def test_configs_of_another_kind(folder: Path, changes: dict[str, Any], said: str) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(DamagedWeights, match=said):
        read(folder)


def test_a_config_without_a_field(folder: Path) -> None:
    file = folder / "config.json"
    raw = json.loads(file.read_text())
    assert set(raw) == {"form", "shape", "tokens", "speech", "llm", "window", "lora"}
    for name in raw:
        file.write_text(json.dumps({key: value for key, value in raw.items() if key != name}))
        with pytest.raises(DamagedWeights, match=name):
            read(folder)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("layers.0.mlp.up_proj.lora_A.weight", "no part of a LoRA on attention"),
        ("layers.9.self_attn.q_proj.lora_A.weight", "lacks one of the two matrices"),
        ("layers.0.self_attn.q_proj.lora_A.weight", "3x64 and 64x4, not of rank 4"),
    ],
)
def test_a_lora_that_is_none(folder: Path, name: str, said: str) -> None:
    tensors = load_file(folder / "lora.safetensors")
    save_file({**tensors, name: torch.ones(3, 64)}, folder / "lora.safetensors")
    with pytest.raises(DamagedWeights, match=said):
        read_lora(folder, config())


def test_what_is_not_written(tmp_path: Path) -> None:
    connector, pair = random_connector(), random_lora()
    others = (
        (config(), None),
        (config(lora=False), pair),
        (replace(config(), shape=replace(SHAPE, heads=2)), pair),
    )
    for told, lora in others:
        with pytest.raises(ValueError, match="another connector or another LoRA"):
            write(connector, told, tmp_path, lora=lora)
    with pytest.raises(ValueError, match="no part of a LoRA"):
        write(connector, config(), tmp_path, lora={"layers.0.mlp.lora_A.weight": torch.ones(1)})
    with torch.no_grad():
        connector.norm.bias[0] = torch.nan
    with pytest.raises(ValueError, match=r"norm\.bias is not finite"):
        write(connector, config(), tmp_path, lora=pair)
    assert list(tmp_path.iterdir()) == []


def test_a_config_is_json_and_back() -> None:
    told = config()
    assert told.as_json()["lora"] == {"rank": RANK, "alpha": ALPHA}
    assert Config.from_json(json.loads(json.dumps(told.as_json()))) == told
    with pytest.raises(ValueError, match="alpha finite"):
        LoraShape(4, float("inf"))
