"""What a checkpoint's files hold, held against what its config asks for. No weight is read.

The config asks by way of transformers: its modules are made without memory, and their parameters'
names and shapes are those that have to be there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from torch import nn

from fls_models.errors import DamagedWeights
from fls_models.weights.conversion.layout import Released, canonical, shards

_SIZES = {"F32": 4, "F16": 2, "BF16": 2}
# What transformers raises for settings of the wrong type, out of range or unheard of.
_UNUSABLE = (
    StrictDataclassError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Stored:
    """One tensor in a checkpoint's file, and the name it is going to have."""

    file: Path
    key: str
    name: str
    shape: tuple[int, ...]
    bytes: int


def survey(released: Released) -> tuple[list[Stored], int | None]:
    """What is to be converted, file after file in the order it lies there, and the CTC tokens."""
    entries = [entry for file in shards(released.base) for entry in _entries_in(file)]
    tensors: dict[str, Stored] = {}
    for entry in entries:
        if entry.name in tensors:
            raise DamagedWeights(
                f"{released.base} holds {entry.name} twice, in {tensors[entry.name].file.name} and "
                f"{entry.file.name}; download it into an empty folder."
            )
        tensors[entry.name] = entry
    tokens, shapes = _ctc(released, tensors)
    for part, module in modules(released.architecture, released.config).items():
        for name, empty in module.state_dict().items():
            shapes[f"{part}.{name}"] = tuple(empty.shape)
    if "lm_head.weight" not in tensors and is_tied(released.architecture, released.config):
        del shapes["lm_head.weight"]
    _compare(released.base, tensors, shapes)
    return entries, tokens


def _compare(
    base: Path, tensors: Mapping[str, Stored], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    missing = sorted(shapes.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - shapes.keys())
    if missing:
        raise DamagedWeights(
            f"{base} lacks {some(missing)}, which its config.json asks for; download it again."
        )
    if unknown:
        raise DamagedWeights(
            f"{base} holds {some(unknown)}, which its config.json knows nothing of: it is another "
            "kind of model, or not its config.json."
        )
    for name, shape in shapes.items():
        if (entry := tensors[name]).shape != shape:
            raise DamagedWeights(
                f"{name} in {entry.file} is {entry.shape}, but config.json asks for "
                f"{shape}; the two do not belong together."
            )


def _entries_in(file: Path) -> list[Stored]:
    entries = []
    try:
        with safe_open(file, "pt") as shard:
            for key in shard.offset_keys():
                name = canonical(key)
                if name is None:
                    continue
                header = shard.get_slice(key)
                shape, form = tuple(header.get_shape()), header.get_dtype()
                if form not in _SIZES:
                    raise DamagedWeights(
                        f"{key} in {file} is stored as {form}; take a checkpoint that is not "
                        "quantised (BF16, F16 or F32)."
                    )
                size = torch.Size(shape).numel() * _SIZES[form]
                entries.append(Stored(file, key, name, shape, size))
    except (OSError, SafetensorError) as error:
        raise unreadable(file, error) from error
    return entries


def _ctc(
    released: Released, tensors: Mapping[str, Stored]
) -> tuple[int | None, dict[str, tuple[int, ...]]]:
    """Tokens of the CTC head without the blank, and the shapes its tensors have to have."""
    if not any(name.startswith("ctc_decoder.") for name in tensors):
        return None, {}
    linear = tensors.get("ctc_decoder.linear.weight")
    classes, inner = linear.shape if linear and len(linear.shape) == 2 else (0, 0)
    if linear and (classes < 2 or not inner):
        raise DamagedWeights(
            f"ctc_decoder.linear.weight in {linear.file} is {linear.shape}, which is no CTC head; "
            "download it again."
        )
    width = int(released.config["audio_config"].get("d_model", 1280))
    return classes - 1, {
        "ctc_decoder.projector.weight": (inner, width),
        "ctc_decoder.projector.bias": (inner,),
        "ctc_decoder.linear.weight": (classes, inner),
    }


def modules(architecture: str, config: dict[str, Any]) -> dict[str, nn.Module]:
    """Empty modules (on the meta device) for the first part of the canonical names.

    They stand for what a checkpoint of that config has to hold. The CTC head is not among them:
    it is optional, and its sizes are its own.
    """
    try:
        with torch.device("meta"):
            if architecture == "qwen2_audio":
                parts, text = _qwen2_audio(config)
            else:
                parts, text = _omni(config)
            head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
    except _UNUSABLE as error:
        reason = " ".join(str(error).split())
        raise DamagedWeights(
            f"The checkpoint's config.json describes no model ({reason}); download it again."
        ) from error
    return {**parts, "lm_head": head}


def is_tied(architecture: str, config: dict[str, Any]) -> bool:
    """Whether the output embedding may be left out because it is the input's."""
    omni = architecture == "qwen2_5_omni"
    return bool(config["text_config"].get("tie_word_embeddings", omni))


def _qwen2_audio(config: dict[str, Any]) -> tuple[dict[str, nn.Module], Any]:
    from transformers import Qwen2AudioEncoder, Qwen2AudioEncoderConfig, Qwen2Config, Qwen2Model

    audio = Qwen2AudioEncoderConfig(**config["audio_config"])
    text = Qwen2Config(**config["text_config"])
    projector = nn.ModuleDict({"linear": nn.Linear(audio.d_model, text.hidden_size)})
    return {
        "audio_tower": Qwen2AudioEncoder(audio),
        "multi_modal_projector": projector,
        "language_model": Qwen2Model(text),
    }, text


def _omni(config: dict[str, Any]) -> tuple[dict[str, nn.Module], Any]:
    from transformers.models.qwen2_5_omni import configuration_qwen2_5_omni as configs
    from transformers.models.qwen2_5_omni import modeling_qwen2_5_omni as models

    encoder = models.Qwen2_5OmniAudioEncoder(
        configs.Qwen2_5OmniAudioEncoderConfig(**config["audio_config"])
    )
    # Nothing reads it: `canonical` passes it over.
    del encoder.audio_bos_eos_token
    text = configs.Qwen2_5OmniTextConfig(**config["text_config"])
    return {
        "audio_tower": encoder,
        "language_model": models.Qwen2_5OmniThinkerTextModel(text),
    }, text


def unreadable(file: Path, error: Exception) -> DamagedWeights:
    return DamagedWeights(f"{file} is cut off or damaged ({error}); download it again.")


def some(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if names[3:] else ''}"
