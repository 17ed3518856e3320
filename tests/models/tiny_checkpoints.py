"""Checkpoints of a megabyte, laid out as the hub has them: random weights, a real tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from transformers import (
    Qwen2AudioEncoder,
    Qwen2AudioEncoderConfig,
    Qwen2Config,
    Qwen2Model,
)
from transformers.models.qwen2_5_omni import configuration_qwen2_5_omni as omni_configs
from transformers.models.qwen2_5_omni import modeling_qwen2_5_omni as omni_models

BINS, WIDTH, HIDDEN, CTC_TOKENS = 16, 32, 64, 24
RANK, ALPHA = 8, 16
MERGES = ("t h", "th e", "Ġ the", "i n", "Ġ a", "a n", "o n", "r e", "Ġ w", "h a")
CONTROL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|AUDIO|>",
    "<|audio_bos|>",
    "<|audio_eos|>",
)
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEMPLATE = (
    "{% set heard = namespace(count=0) %}"
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' or 'audio_url' in part %}"
    "{% set heard.count = heard.count + 1 %}"
    "Audio {{ heard.count }}: <|audio_bos|><|AUDIO|><|audio_eos|>\n"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Vocabularies of real checkpoints are larger than their tokenizers' and divisible by much.
VOCABULARY = -(-(256 + len(MERGES) + len(CONTROL)) // 64) * 64

AUDIO_CONFIG: dict[str, Any] = {
    "model_type": "qwen2_audio_encoder",
    "num_mel_bins": BINS,
    "d_model": WIDTH,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "max_source_positions": 1500,
}
TEXT_CONFIG: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": HIDDEN,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000,
    "vocab_size": VOCABULARY,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}


def write_qwen2_audio(
    folder: Path,
    *,
    seed: int = 3,
    dtype: torch.dtype = torch.float32,
    model_type: str = "qwen2_audio",
    ctc: bool = False,
    files: int = 1,
    tied: bool = False,
) -> dict[str, Tensor]:
    """Writes weights, config and processor into a folder; returns the tensors as they lie there.

    `ctc`: with the CTC head. `tied`: without an output embedding. `files`: over how many files the
    weights are spread, with an index if there are several.
    """
    text = {**TEXT_CONFIG, "tie_word_embeddings": tied}
    dice = torch.Generator().manual_seed(seed)
    tensors = _random(Qwen2AudioEncoder(Qwen2AudioEncoderConfig(**AUDIO_CONFIG)), dice)
    tensors = {f"audio_tower.{name}": value for name, value in tensors.items()}
    projector = _random(nn.Linear(WIDTH, HIDDEN), dice)
    tensors |= {f"multi_modal_projector.linear.{name}": x for name, x in projector.items()}
    language = _random(Qwen2Model(Qwen2Config(**text)), dice)
    tensors |= {f"language_model.model.{name}": value for name, value in language.items()}
    if not tied:
        tensors["language_model.lm_head.weight"] = _normal((VOCABULARY, HIDDEN), dice)
    if ctc:
        tensors["ctc_decoder.projector.weight"] = _normal((HIDDEN, WIDTH), dice)
        tensors["ctc_decoder.projector.bias"] = _normal((HIDDEN,), dice)
        tensors["ctc_decoder.linear.weight"] = _normal((CTC_TOKENS + 1, HIDDEN), dice)
    tensors = {name: value.to(dtype) for name, value in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    _write_weights(folder, tensors, files)
    config = {
        "architectures": ["Qwen2AudioForConditionalGeneration"],
        "model_type": model_type,
        "audio_config": AUDIO_CONFIG,
        "text_config": text,
        "audio_token_index": _tokenizer().token_to_id("<|AUDIO|>"),
        "vocab_size": VOCABULARY,
    }
    _write_json(folder / "config.json", config)
    write_processor(folder)
    return tensors


def write_fastlongspeech(
    folder: Path, *, seed: int = 5, dtype: torch.dtype = torch.bfloat16, files: int = 3
) -> dict[str, Tensor]:
    """Writes a base with the CTC head and an adapter, side by side; returns the base's tensors.

    As in the release, the processor lies with the adapter, and the base has none.
    """
    base, adapter = folder / "stage_one", folder / "tuned"
    tensors = write_qwen2_audio(
        base, seed=seed, dtype=dtype, model_type="long_speech_qwen2audio", ctc=True, files=files
    )
    for file in base.iterdir():
        if "model" not in file.name and file.name not in ("config.json", "generation_config.json"):
            file.unlink()
    write_adapter(adapter, tensors, seed=seed + 1)
    write_processor(adapter)
    return tensors


def write_adapter(
    folder: Path, tensors: dict[str, Tensor], *, seed: int = 6, **settings: object
) -> dict[str, Tensor]:
    """Writes a LoRA for q, k, v and o of a base; `settings` go into `adapter_config.json`."""
    dice = torch.Generator().manual_seed(seed)
    targets = [f"{side}_proj" for side in "qkvo"]
    config: dict[str, object] = {
        "base_model_name_or_path": "/nowhere/at/all/checkpoints/base",
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.05,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": RANK,
        "rank_pattern": {},
        "alpha_pattern": {},
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
    pairs: dict[str, Tensor] = {}
    for name, weight in tensors.items():
        module = name.removesuffix(".weight")
        if module.startswith("language_model") and module.endswith(tuple(targets)):
            rows, columns = weight.shape
            pairs[f"base_model.model.{module}.lora_A.weight"] = _normal((RANK, columns), dice)
            pairs[f"base_model.model.{module}.lora_B.weight"] = _normal((rows, RANK), dice)
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "adapter_config.json", config | settings)
    save_file(pairs, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return pairs


def write_omni(
    folder: Path, *, seed: int = 7, dtype: torch.dtype = torch.float32, files: int = 2
) -> dict[str, Tensor]:
    """Writes a Qwen2.5-Omni with little of what it sees and speaks with; returns its tensors."""
    heard = {**AUDIO_CONFIG, "model_type": "qwen2_5_omni_audio_encoder", "output_dim": HIDDEN}
    text = {
        **TEXT_CONFIG,
        "model_type": "qwen2_5_omni_text",
        "rope_scaling": {"mrope_section": [2, 3, 3], "rope_type": "default", "type": "default"},
    }
    dice = torch.Generator().manual_seed(seed)
    encoder = omni_models.Qwen2_5OmniAudioEncoder(
        omni_configs.Qwen2_5OmniAudioEncoderConfig(**heard)
    )
    language = omni_models.Qwen2_5OmniThinkerTextModel(omni_configs.Qwen2_5OmniTextConfig(**text))
    tensors = {f"thinker.audio_tower.{name}": x for name, x in _random(encoder, dice).items()}
    tensors |= {f"thinker.model.{name}": x for name, x in _random(language, dice).items()}
    tensors["thinker.lm_head.weight"] = _normal((VOCABULARY, HIDDEN), dice)
    for name in (
        "thinker.visual.blocks.0.attn.q.weight",
        "talker.model.layers.0.self_attn.q_proj.weight",
        "talker.thinker_to_talker_proj.weight",
        "token2wav.code2wav_dit_model.norm_out.linear.weight",
    ):
        tensors[name] = _normal((8, 8), dice)
    tensors = {name: value.to(dtype) for name, value in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    _write_weights(folder, tensors, files)
    thinker = {
        "model_type": "qwen2_5_omni_thinker",
        "audio_config": heard,
        "text_config": text,
        "audio_token_index": _tokenizer().token_to_id("<|AUDIO|>"),
    }
    config = {"model_type": "qwen2_5_omni", "thinker_config": thinker, "talker_config": {}}
    _write_json(folder / "config.json", config)
    write_processor(folder, "Qwen2_5OmniProcessor")
    return tensors


def write_processor(folder: Path, name: str = "Qwen2AudioProcessor") -> None:
    """Writes the tokenizer, the feature extractor's settings and the chat template."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.model.save(str(folder))
    controls = {
        str(tokenizer.token_to_id(token)): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for token in CONTROL
    }
    _write_json(
        folder / "tokenizer_config.json",
        {
            "add_prefix_space": False,
            "added_tokens_decoder": controls,
            "additional_special_tokens": list(CONTROL),
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "model_max_length": 8192,
            "pad_token": "<|endoftext|>",
            "processor_class": name,
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
    )
    _write_json(
        folder / "preprocessor_config.json",
        {
            "chunk_length": 30,
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": BINS,
            "hop_length": 160,
            "n_fft": 400,
            "n_samples": 480000,
            "nb_max_frames": 3000,
            "padding_side": "right",
            "padding_value": 0.0,
            "processor_class": name,
            "return_attention_mask": True,
            "sampling_rate": 16000,
        },
    )
    _write_json(folder / "chat_template.json", {"chat_template": TEMPLATE})
    end = [tokenizer.token_to_id(token) for token in ("<|endoftext|>", "<|im_end|>")]
    _write_json(folder / "generation_config.json", {"eos_token_id": end, "pad_token_id": end[0]})


def _tokenizer() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*alphabet, *(merge.replace(" ", "") for merge in MERGES)]
    pairs = [(left, right) for left, right in (merge.split(" ") for merge in MERGES)]
    tokenizer = Tokenizer(
        models.BPE(vocab={token: at for at, token in enumerate(tokens)}, merges=pairs)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in CONTROL])
    return tokenizer


def _random(module: nn.Module, dice: torch.Generator) -> dict[str, Tensor]:
    """Weights around 0, those of norms around 1: nothing is left at what it is made with."""
    return {
        name: _normal(tuple(value.shape), dice) + (name.endswith("norm.weight") or "norm1" in name)
        for name, value in module.state_dict().items()
    }


def _normal(shape: tuple[int, ...], dice: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=dice) * (0.1 if len(shape) == 1 else shape[-1] ** -0.5)


def _write_weights(folder: Path, tensors: dict[str, Tensor], files: int) -> None:
    if files == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    where = {}
    for number in range(files):
        file = f"model-{number + 1:05d}-of-{files:05d}.safetensors"
        names = list(tensors)[number::files]
        save_file({name: tensors[name] for name in names}, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(names, file)
    size = sum(value.nbytes for value in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": where}
    _write_json(folder / "model.safetensors.index.json", index)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), "utf-8")
