"""Checkpoints installed and loaded again, held against transformers' own loading of them."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_checkpoints as tiny
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from fls_models.errors import DamagedWeights, DiskFull, EnvironmentLacks, UsageError
from fls_models.extractor.density import CtcHead
from fls_models.weights.conversion import install as installing
from fls_models.weights.conversion.install import PROCESSOR, install, open_tensors
from fls_models.weights.conversion.inventory import modules
from fls_models.weights.conversion.layout import canonical, find
from fls_models.weights.conversion.quantization import DTYPES, fill


def _filled(folder: Path) -> dict[str, torch.nn.Module]:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    parts = modules(config["architecture"], config)
    for prefix, module in parts.items():
        fill(module, prefix, open_tensors(folder), config["dtype"], "cpu")
    return parts


@pytest.mark.parametrize("files", [1, 3])
def test_the_installed_model_computes_what_transformers_computes(tmp_path, files):
    tiny.write_qwen2_audio(tmp_path / "hub", files=files)
    install(find(tmp_path / "hub"), tmp_path / "here", dtype="float32")
    ours = _filled(tmp_path / "here")
    theirs = Qwen2AudioForConditionalGeneration.from_pretrained(tmp_path / "hub")

    features = torch.randn(1, tiny.BINS, 3000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        frames = ours["audio_tower"](features).last_hidden_state
        heard = ours["multi_modal_projector"]["linear"](frames[:, :40])
        logits = ours["lm_head"](ours["language_model"](inputs_embeds=heard).last_hidden_state)
        their_frames = theirs.model.audio_tower(features).last_hidden_state
        their_heard = theirs.model.multi_modal_projector(their_frames[:, :40])
        their_logits = theirs(inputs_embeds=their_heard).logits
    torch.testing.assert_close(frames, their_frames)
    torch.testing.assert_close(heard, their_heard)
    torch.testing.assert_close(logits, their_logits)


def test_omni_is_installed_without_what_it_sees_and_speaks_with(tmp_path):
    on_disk = tiny.write_omni(tmp_path / "hub")
    install(find(tmp_path / "hub"), tmp_path / "here", dtype="float32")
    tensors = open_tensors(tmp_path / "here")
    wanted = {canonical(name): value for name, value in on_disk.items() if canonical(name)}
    assert set(tensors) == set(wanted)
    assert all(torch.equal(tensors[name], value) for name, value in wanted.items())
    parts = _filled(tmp_path / "here")
    with torch.inference_mode():
        hidden = parts["language_model"](inputs_embeds=torch.ones(1, 3, 64)).last_hidden_state
        frames = parts["audio_tower"](
            torch.randn(tiny.BINS, 200),
            feature_lens=torch.tensor([200]),
            aftercnn_lens=torch.tensor([100]),
        ).last_hidden_state
    assert hidden.isfinite().all()
    assert frames.shape == (50, tiny.HIDDEN)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_release_is_merged_and_packed(tmp_path, dtype):
    base = tiny.write_fastlongspeech(tmp_path / "hub")
    install(find(tmp_path / "hub"), tmp_path / "here", dtype=dtype)
    pairs = load_file(tmp_path / "hub" / "tuned" / "adapter_model.safetensors")
    filled = _filled(tmp_path / "here")["language_model"]
    for name in ("self_attn.q_proj", "mlp.up_proj"):
        module = f"language_model.model.layers.1.{name}"
        weight = base[f"{module}.weight"].float()
        if name.startswith("self"):
            low, high = (pairs[f"base_model.model.{module}.lora_{side}.weight"] for side in "AB")
            weight += tiny.ALPHA / tiny.RANK * high @ low
        # The unit matrix shows what a layer multiplies with.
        layer = filled.get_submodule(f"layers.1.{name}")
        eye = torch.eye(tiny.HIDDEN, dtype=torch.float32 if dtype == "float32" else torch.bfloat16)
        with torch.inference_mode():
            shown = layer(eye).float().T
        if layer.bias is not None:
            shown = shown - layer.bias.float()[:, None]
        error = (shown - weight).norm() / weight.norm()
        assert error < {"nf4": 0.12, "int8": 0.02, "bf16": 0.005, "float32": 0.003}[dtype]
    config = json.loads((tmp_path / "here" / "config.json").read_text("utf-8"))
    assert config["ctc_tokens"] == tiny.CTC_TOKENS
    assert (config["architecture"], config["dtype"], config["form"]) == ("qwen2_audio", dtype, 1)
    tensors = open_tensors(tmp_path / "here")
    kept = {torch.float32} if dtype == "float32" else {torch.bfloat16}
    for name in ("lm_head.weight", "ctc_decoder.linear.weight", "audio_tower.conv1.weight"):
        assert {tensors[name].dtype} == kept


def test_the_ctc_head_goes_into_ours(tmp_path):
    base = tiny.write_fastlongspeech(tmp_path / "hub", dtype=torch.float32)
    install(find(tmp_path / "hub"), tmp_path / "here", dtype="float32")
    tensors = open_tensors(tmp_path / "here")
    head = CtcHead(tiny.WIDTH, tiny.HIDDEN, tiny.CTC_TOKENS)
    prefix = "ctc_decoder."
    state = {name.removeprefix(prefix): tensors[name] for name in tensors if prefix in name}
    left = head.load_state_dict(state, strict=False)
    assert left.unexpected_keys == []
    assert set(left.missing_keys) == {"layer_norm.weight", "layer_norm.bias"}
    assert torch.equal(head.linear.weight, base["ctc_decoder.linear.weight"])


def test_the_processor_comes_along(tmp_path):
    tiny.write_fastlongspeech(tmp_path / "hub")
    install(find(tmp_path / "hub"), tmp_path / "here", dtype="nf4")
    here = AutoProcessor.from_pretrained(tmp_path / "here" / PROCESSOR)
    hub = AutoProcessor.from_pretrained(tmp_path / "hub" / "tuned")
    assert type(here).__name__ == type(hub).__name__ == "Qwen2AudioProcessor"
    said = "Audio: <|audio_bos|><|AUDIO|><|audio_eos|> the thing on 3 trees, größer"
    assert here.tokenizer.encode(said) == hub.tokenizer.encode(said)
    assert here.chat_template == hub.chat_template == tiny.TEMPLATE
    assert here.feature_extractor.to_dict() == hub.feature_extractor.to_dict()
    assert (tmp_path / "here" / "generation_config.json").is_file()


def test_weights_and_pickles_stay_behind(tmp_path):
    tiny.write_fastlongspeech(tmp_path / "hub")
    for name in ("training_args.bin", "spk_dict.pt", "optimizer.pt", "run.py"):
        (tmp_path / "hub" / "tuned" / name).write_bytes(b"x")
    install(find(tmp_path / "hub"), tmp_path / "here", dtype="bf16")
    found = {file.suffix for file in (tmp_path / "here").rglob("*") if file.is_file()}
    assert found == {".json", ".txt", ".safetensors"}


def test_without_the_adapter_the_base_is_installed(tmp_path):
    base = tiny.write_fastlongspeech(tmp_path / "hub")
    install(find(tmp_path / "hub", adapter=False), tmp_path / "here", dtype="bf16")
    tensors = open_tensors(tmp_path / "here")
    assert len(tensors) == len(base)
    assert all(torch.equal(tensors[canonical(name)], value) for name, value in base.items())


def test_a_tied_output_embedding_is_found_under_both_names(tmp_path):
    tiny.write_qwen2_audio(tmp_path / "hub", tied=True)
    install(find(tmp_path / "hub"), tmp_path / "here", dtype="float32")
    tensors = open_tensors(tmp_path / "here")
    assert "lm_head.weight" in tensors
    assert torch.equal(tensors["lm_head.weight"], tensors["language_model.embed_tokens.weight"])
    assert torch.equal(_filled(tmp_path / "here")["lm_head"].weight, tensors["lm_head.weight"])


def test_written_in_pieces_it_is_the_same(tmp_path, monkeypatch):
    tiny.write_qwen2_audio(tmp_path / "hub")
    install(find(tmp_path / "hub"), tmp_path / "whole", dtype="int8")
    monkeypatch.setattr(installing, "_BATCH", 40_000)
    install(find(tmp_path / "hub"), tmp_path / "pieces", dtype="int8")
    assert len(list((tmp_path / "pieces").glob("*.safetensors"))) > 5
    whole, pieces = open_tensors(tmp_path / "whole"), open_tensors(tmp_path / "pieces")
    assert set(whole) == set(pieces)
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)


def test_progress_counts_the_bytes_read(tmp_path):
    base = tiny.write_fastlongspeech(tmp_path / "hub")
    told = []
    install(
        find(tmp_path / "hub"),
        tmp_path / "here",
        dtype="bf16",
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    total = sum(value.nbytes for value in base.values())
    assert told[0] == ("convert", 0, total)
    assert told[-1] == ("convert", total, total)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def _change(folder: Path, change) -> None:
    """Rewrites the shards with what `change` makes of each file's tensors."""
    for file in folder.glob("model-*.safetensors"):
        tensors = load_file(file)
        change(tensors)
        save_file(tensors, file)


def _missing(base: Path) -> None:
    _change(base, lambda tensors: tensors.pop("language_model.model.norm.weight", None))


def _no_head(base: Path) -> None:
    _change(base, lambda tensors: tensors.pop("language_model.lm_head.weight", None))


def _left_over(base: Path) -> None:
    file = base / "model-00001-of-00003.safetensors"
    save_file(load_file(file) | {f"x.{n}": torch.zeros(1) for n in range(5)}, file)


def _misshapen(base: Path) -> None:
    name = "audio_tower.conv1.weight"
    _change(base, lambda tensors: name in tensors and tensors.update({name: torch.zeros(2, 2)}))


def _other_ctc(base: Path) -> None:
    name = "ctc_decoder.projector.bias"
    _change(base, lambda tensors: name in tensors and tensors.update({name: torch.zeros(2)}))


def _half_a_ctc(base: Path) -> None:
    _change(base, lambda tensors: tensors.pop("ctc_decoder.projector.bias", None))


def _twice(base: Path) -> None:
    name = "model.language_model.norm.weight"
    file = base / "model-00001-of-00003.safetensors"
    save_file(load_file(file) | {name: torch.zeros(tiny.HIDDEN)}, file)


def _not_finite(base: Path) -> None:
    name = "language_model.model.layers.0.mlp.up_proj.weight"
    _change(base, lambda tensors: name in tensors and tensors[name][3, 3].fill_(float("nan")))


def _integers(base: Path) -> None:
    name = "language_model.model.layers.0.mlp.up_proj.weight"
    _change(
        base,
        lambda tensors: name in tensors and tensors.update({name: tensors[name].to(torch.int8)}),
    )


def _cut_off(base: Path) -> None:
    file = base / "model-00002-of-00003.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _no_shard(base: Path) -> None:
    (base / "model-00002-of-00003.safetensors").unlink()


def _garbage(base: Path) -> None:
    (base / "model-00002-of-00003.safetensors").write_bytes(b"\xff" * 1000)


def _other_layers(base: Path) -> None:
    config = json.loads((base / "config.json").read_text("utf-8"))
    config["text_config"]["num_hidden_layers"] = 3
    (base / "config.json").write_text(json.dumps(config), "utf-8")


def _bad_config(base: Path) -> None:
    config = json.loads((base / "config.json").read_text("utf-8"))
    config["text_config"]["hidden_size"] = "wide"
    (base / "config.json").write_text(json.dumps(config), "utf-8")


def _unknown_activation(base: Path) -> None:
    config = json.loads((base / "config.json").read_text("utf-8"))
    config["audio_config"]["activation_function"] = "gulp"
    (base / "config.json").write_text(json.dumps(config), "utf-8")


def _negative(base: Path) -> None:
    config = json.loads((base / "config.json").read_text("utf-8"))
    config["text_config"]["vocab_size"] = -4
    (base / "config.json").write_text(json.dumps(config), "utf-8")


def _no_heads(base: Path) -> None:
    config = json.loads((base / "config.json").read_text("utf-8"))
    config["text_config"]["num_attention_heads"] = 0
    (base / "config.json").write_text(json.dumps(config), "utf-8")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_missing, r"lacks language_model\.norm\.weight, which its config\.json asks for"),
        (_no_head, r"lacks lm_head\.weight"),
        (_left_over, r"holds x\.0, x\.1, x\.2 and 2 more, which its config\.json knows nothing of"),
        (_misshapen, r"audio_tower\.conv1\.weight .* is \(2, 2\), but config\.json asks for"),
        (_other_ctc, r"ctc_decoder\.projector\.bias .* is \(2,\), but"),
        (_half_a_ctc, r"lacks ctc_decoder\.projector\.bias"),
        (_twice, r"holds language_model\.norm\.weight twice"),
        (_not_finite, "is not finite"),
        (_integers, "is stored as I8"),
        (_cut_off, "00002-of-00003.safetensors is cut off or damaged"),
        (_no_shard, "lacks model-00002-of-00003.safetensors"),
        (_garbage, "00002-of-00003.safetensors is cut off or damaged"),
        (_other_layers, r"lacks language_model\.layers\.2\..*and \d+ more"),
        (_bad_config, "config.json describes no model .*hidden_size"),
        (_no_heads, "config.json describes no model"),
        (_unknown_activation, "config.json describes no model .*gulp"),
        (_negative, "config.json describes no model"),
    ],
)
def test_each_defect_has_a_sentence_and_leaves_nothing(tmp_path, spoil, sentence):
    tiny.write_fastlongspeech(tmp_path / "hub")
    spoil(tmp_path / "hub" / "stage_one")
    (tmp_path / "cache").mkdir()
    with pytest.raises(DamagedWeights, match=sentence):
        install(find(tmp_path / "hub"), tmp_path / "cache" / "here", dtype="int8")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_adapter_of_another_model_is_told(tmp_path):
    base = tiny.write_fastlongspeech(tmp_path / "hub")
    further = {name.replace("layers.1.", "layers.7."): value for name, value in base.items()}
    tiny.write_adapter(tmp_path / "hub" / "tuned", further)
    with pytest.raises(DamagedWeights, match=r"changes language_model\.layers\.7\..*and 1 more"):
        install(find(tmp_path / "hub"), tmp_path / "here", dtype="bf16")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_nothing(tmp_path, stop):
    tiny.write_qwen2_audio(tmp_path / "hub")
    (tmp_path / "cache").mkdir()

    def interrupt(stage, done, total):
        if done > total / 2:
            raise stop

    with pytest.raises(stop):
        install(
            find(tmp_path / "hub"), tmp_path / "cache" / "here", dtype="bf16", progress=interrupt
        )
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_a_killed_one_left_is_no_hindrance(tmp_path):
    tiny.write_qwen2_audio(tmp_path / "hub")
    left = tmp_path / ".installing-here"
    left.mkdir()
    (left / "model-00009.safetensors").touch()
    install(find(tmp_path / "hub"), tmp_path / "here", dtype="bf16")
    assert not left.exists()
    assert not (tmp_path / "here" / "model-00009.safetensors").exists()


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    tiny.write_qwen2_audio(tmp_path / "hub")
    with pytest.raises(UsageError, match="exists; remove it"):
        install(find(tmp_path / "hub"), tmp_path / "hub", dtype="bf16")
    assert find(tmp_path / "hub")


def test_a_full_disk_is_told_before_anything_is_converted(tmp_path, monkeypatch):
    tiny.write_qwen2_audio(tmp_path / "hub")
    usage = namedtuple("usage", "free")(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    with pytest.raises(DiskFull, match="GB free, but the model takes"):
        install(find(tmp_path / "hub"), tmp_path / "here", dtype="bf16")
    assert {file.name for file in tmp_path.iterdir()} == {"hub"}


def test_a_place_that_cannot_be_written_to_is_told(tmp_path):
    tiny.write_qwen2_audio(tmp_path / "hub")
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentLacks, match="cannot be written"):
        install(find(tmp_path / "hub"), tmp_path / "file" / "here", dtype="bf16")


def test_unknown_dtypes_are_refused(tmp_path):
    tiny.write_qwen2_audio(tmp_path / "hub")
    with pytest.raises(UsageError, match="no dtype 'fp8'"):
        install(find(tmp_path / "hub"), tmp_path / "here", dtype="fp8")


def test_a_model_that_takes_no_4_bits_leaves_nothing(tmp_path):
    tiny.write_qwen2_audio(tmp_path / "hub")
    released = find(tmp_path / "hub")
    text = {**released.config["text_config"], "intermediate_size": 96}
    odd = replace(released, config={**released.config, "text_config": text})

    def narrow(tensors):
        for name in tensors:
            if "gate_proj" in name or "up_proj" in name:
                tensors[name] = tensors[name][:96].clone()
            if "down_proj" in name:
                tensors[name] = tensors[name][:, :96].clone()

    file = tmp_path / "hub" / "model.safetensors"
    tensors = load_file(file)
    narrow(tensors)
    save_file(tensors, file)
    with pytest.raises(UsageError, match="Use int8"):
        install(odd, tmp_path / "here", dtype="nf4")
    assert {file.name for file in tmp_path.iterdir()} == {"hub"}


@pytest.mark.parametrize("what", ["index", "file", "cut", "nothing"])
def test_a_damaged_installed_folder_is_told(tmp_path, what):
    tiny.write_qwen2_audio(tmp_path / "hub")
    here = tmp_path / "here"
    install(find(tmp_path / "hub"), here, dtype="bf16")
    weights = here / "model-00001.safetensors"
    if what == "index":
        (here / "model.index.json").write_text("[]")
    elif what == "file":
        weights.unlink()
    elif what == "cut":
        weights.write_bytes(weights.read_bytes()[:-1])
    else:
        shutil.rmtree(here)
    with pytest.raises(DamagedWeights, match=r"no whole model .* install it again"):
        open_tensors(here)


def test_asking_for_what_is_not_there_is_a_key_error(tmp_path):
    tiny.write_qwen2_audio(tmp_path / "hub")
    install(find(tmp_path / "hub"), tmp_path / "here", dtype="bf16")
    tensors = open_tensors(tmp_path / "here")
    assert "ctc_decoder.linear.weight" not in tensors
    assert tensors.get("ctc_decoder.linear.weight") is None
    with pytest.raises(KeyError):
        tensors["x"]
