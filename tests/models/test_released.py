"""Finding a checkpoint's parts by what they hold, and the one name of each tensor."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny_checkpoints as tiny
import torch
from transformers import Qwen2AudioForConditionalGeneration

from fls_models.errors import DamagedWeights, UsageError
from fls_models.weights.conversion.inventory import modules
from fls_models.weights.conversion.layout import canonical, find, shards


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("language_model.model.layers.0.mlp.up_proj.weight", "layers.0.mlp.up_proj.weight"),
        ("model.language_model.layers.0.mlp.up_proj.weight", "layers.0.mlp.up_proj.weight"),
        ("thinker.model.layers.0.mlp.up_proj.weight", "layers.0.mlp.up_proj.weight"),
        ("model.layers.0.mlp.up_proj.weight", "layers.0.mlp.up_proj.weight"),
        ("thinker.model.language_model.layers.3.mlp.up_proj.bias", "layers.3.mlp.up_proj.bias"),
        ("base_model.model.language_model.model.norm.weight", "norm.weight"),
        ("base_model.model.model.language_model.embed_tokens.weight", "embed_tokens.weight"),
        ("model.norm.weight", "norm.weight"),
    ],
)
def test_every_layout_has_one_name_for_the_language_model(name, wanted):
    assert canonical(name) == f"language_model.{wanted}"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("language_model.lm_head.weight", "lm_head.weight"),
        ("lm_head.weight", "lm_head.weight"),
        ("thinker.lm_head.weight", "lm_head.weight"),
        ("base_model.model.language_model.lm_head.weight", "lm_head.weight"),
        ("audio_tower.conv1.weight", "audio_tower.conv1.weight"),
        ("model.audio_tower.layers.0.fc1.bias", "audio_tower.layers.0.fc1.bias"),
        ("thinker.audio_tower.ln_post.weight", "audio_tower.ln_post.weight"),
        ("model.multi_modal_projector.linear.bias", "multi_modal_projector.linear.bias"),
        ("ctc_decoder.linear.weight", "ctc_decoder.linear.weight"),
        ("model.ctc_decoder.projector.bias", "ctc_decoder.projector.bias"),
        ("something.else.weight", "something.else.weight"),
        ("thinker.visual.blocks.0.attn.q.weight", None),
        ("talker.model.layers.0.self_attn.q_proj.weight", None),
        ("token2wav.code2wav_bigvgan_model.conv_pre.weight", None),
        ("thinker.audio_tower.audio_bos_eos_token.weight", None),
        ("language_model.model.layers.0.self_attn.rotary_emb.inv_freq", None),
    ],
)
def test_other_names(name, wanted):
    assert canonical(name) == wanted


def test_the_names_of_transformers_models_in_memory_come_out_like_those_on_disk(tmp_path):
    on_disk = tiny.write_qwen2_audio(tmp_path)
    in_memory = Qwen2AudioForConditionalGeneration.from_pretrained(tmp_path).state_dict()
    assert {canonical(name) for name in on_disk} == {canonical(name) for name in in_memory}
    assert len(on_disk) == len(in_memory)


@pytest.mark.parametrize("write", [tiny.write_qwen2_audio, tiny.write_omni])
def test_the_modules_ask_for_what_a_checkpoint_holds(tmp_path, write):
    on_disk = write(tmp_path)
    released = find(tmp_path)
    asked = {
        f"{part}.{name}": value.shape
        for part, module in modules(released.architecture, released.config).items()
        for name, value in module.state_dict().items()
    }
    held = {canonical(name): value.shape for name, value in on_disk.items() if canonical(name)}
    assert asked == held


def test_a_release_is_found_whatever_its_folders_are_called(tmp_path):
    tiny.write_fastlongspeech(tmp_path / "release")
    (tmp_path / "release" / "stage_one").rename(tmp_path / "release" / "LLM")
    released = find(tmp_path)
    assert released.architecture == "qwen2_audio"
    assert released.base == tmp_path / "release" / "LLM"
    assert released.adapter == released.processor == tmp_path / "release" / "tuned"
    assert released.config["audio_config"]["d_model"] == tiny.WIDTH
    assert released.config["text_config"]["vocab_size"] == tiny.VOCABULARY


def test_the_folder_itself_may_be_the_model(tmp_path):
    tiny.write_qwen2_audio(tmp_path, files=2)
    released = find(tmp_path)
    assert released.base == released.processor == tmp_path
    assert released.adapter is None
    assert len(shards(tmp_path)) == 2


def test_adapters_may_be_passed_over(tmp_path):
    tiny.write_fastlongspeech(tmp_path)
    assert find(tmp_path, adapter=False).adapter is None


def test_a_processor_lies_where_it_lies(tmp_path):
    tiny.write_fastlongspeech(tmp_path)
    for file in (tmp_path / "tuned").iterdir():
        if not file.name.startswith("adapter"):
            file.unlink()
    tiny.write_processor(tmp_path / "words")
    assert find(tmp_path).processor == tmp_path / "words"
    tiny.write_processor(tmp_path / "stage_one")
    assert find(tmp_path).processor == tmp_path / "stage_one"


def test_of_two_bases_the_one_with_the_ctc_head_is_taken(tmp_path):
    tiny.write_qwen2_audio(tmp_path / "a_first")
    tiny.write_qwen2_audio(tmp_path / "b_second", ctc=True, files=2)
    assert find(tmp_path).base == tmp_path / "b_second"


def test_two_bases_alike_are_not_guessed_between(tmp_path):
    tiny.write_qwen2_audio(tmp_path / "one")
    tiny.write_qwen2_audio(tmp_path / "two")
    with pytest.raises(UsageError, match=r"several models, .*one and .*two"):
        find(tmp_path)


def test_two_adapters_are_not_guessed_between(tmp_path):
    tensors = tiny.write_fastlongspeech(tmp_path)
    tiny.write_adapter(tmp_path / "other", tensors)
    with pytest.raises(UsageError, match="several adapters"):
        find(tmp_path)


def test_omni_keeps_its_configs_one_level_down(tmp_path):
    tiny.write_omni(tmp_path)
    released = find(tmp_path)
    assert released.architecture == "qwen2_5_omni"
    assert released.config["audio_config"]["output_dim"] == tiny.HIDDEN
    # A thinker of its own has them at the top.
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config["thinker_config"]), "utf-8")
    assert find(tmp_path).config == released.config
    assert find(tmp_path).architecture == "qwen2_5_omni"


def test_a_broken_file_that_is_no_models_is_nobodys_business(tmp_path):
    tiny.write_qwen2_audio(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "config.json").write_text("{ // mine\n}")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert find(tmp_path).base == tmp_path


def _no_model(folder: Path) -> None:
    shutil.rmtree(folder / "stage_one")
    shutil.rmtree(folder / "tuned")


def _lone_adapter(folder: Path) -> None:
    shutil.rmtree(folder / "stage_one")


def _stranger(folder: Path) -> None:
    (folder / "stage_one" / "config.json").write_text('{"model_type": "llava"}')
    shutil.rmtree(folder / "tuned")


def _pickles(folder: Path) -> None:
    for file in shards(folder / "stage_one"):
        file.unlink()
    torch.save({}, folder / "stage_one" / "pytorch_model.bin")


def _no_weights(folder: Path) -> None:
    for file in shards(folder / "stage_one"):
        file.unlink()


def _no_processor(folder: Path) -> None:
    (folder / "tuned" / "preprocessor_config.json").unlink()


def _no_text_config(folder: Path) -> None:
    (folder / "stage_one" / "config.json").write_text(
        '{"model_type": "qwen2_audio", "audio_config": {}}'
    )


def _broken_config(folder: Path) -> None:
    (folder / "stage_one" / "config.json").write_text('{"model_type"')


def _list_for_config(folder: Path) -> None:
    (folder / "stage_one" / "config.json").write_text("[]")


def _half_an_adapter(folder: Path) -> None:
    (folder / "tuned" / "adapter_model.safetensors").unlink()


@pytest.mark.parametrize(
    ("spoil", "error", "sentence"),
    [
        (_no_model, UsageError, "holds no model"),
        (_lone_adapter, UsageError, "an adapter without the model"),
        (_stranger, UsageError, "a model of type 'llava'; there is support for .*qwen2_audio"),
        (_pickles, UsageError, "as pickles.*convert them to safetensors"),
        (_no_weights, DamagedWeights, r"no \*\.safetensors; download them"),
        (_no_processor, DamagedWeights, "no tokenizer beside a preprocessor_config.json"),
        (_no_text_config, DamagedWeights, "has no text_config"),
        (_broken_config, DamagedWeights, "config.json is unreadable"),
        (_list_for_config, DamagedWeights, "config.json is no object"),
        (_half_an_adapter, DamagedWeights, "no adapter_model.safetensors; download that"),
    ],
)
def test_each_defect_has_a_sentence_of_its_own(tmp_path, spoil, error, sentence):
    tiny.write_fastlongspeech(tmp_path)
    spoil(tmp_path)
    with pytest.raises(error, match=sentence) as raised:
        find(tmp_path)
    assert raised.type is error


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is no folder"):
        find(tmp_path / "file")


def test_an_index_is_held_against_the_files(tmp_path):
    tiny.write_qwen2_audio(tmp_path, files=3)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(DamagedWeights, match=r"lacks model-00002-of-00003\.safetensors.*index"):
        shards(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"x": "../x"}}')
    with pytest.raises(DamagedWeights, match=r"lacks \.\./x"):
        shards(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(DamagedWeights, match="lists no weights"):
        shards(tmp_path)
