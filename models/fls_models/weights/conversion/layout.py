"""What a folder with a released checkpoint holds: its parts, and the names of its tensors.

Parts are recognised by what they hold and never by their names. Settings are read here; whether
the weights fit them is `inventory`'s affair, `lora` reads the adapter.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fls_models.errors import DamagedWeights, UsageError

# What `config.json` calls a model, and the architecture whose modules it takes.
_ARCHITECTURES = {
    "qwen2_audio": "qwen2_audio",
    "long_speech_qwen2audio": "qwen2_audio",
    "qwen2_5_omni": "qwen2_5_omni",
    "qwen2_5_omni_thinker": "qwen2_5_omni",
}
_ADAPTER = "adapter_model.safetensors"
_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("tokenizer_config.json",))
_PICKLES = ("*.bin", "*.pt", "*.pth")
_DEPTH = 2
_USED = ("audio_tower", "multi_modal_projector", "language_model", "lm_head", "ctc_decoder")
_UNUSED = ("talker", "token2wav", "visual")
# Computed from the config, or read by nothing: older checkpoints hold them all the same.
_NEEDLESS = (".rotary_emb.inv_freq", "audio_tower.audio_bos_eos_token.weight")
_WRAPPERS = re.compile(r"^(?:(?:base_model|module|thinker|model)\.)+")


@dataclass(frozen=True)
class Released:
    """The parts of a checkpoint.

    Attributes:
        architecture: `qwen2_audio` or `qwen2_5_omni`.
        base: folder of the weights; the CTC head, where there is one, lies among them.
        adapter: folder of a PEFT adapter for the base.
        processor: folder of the tokenizer and the feature extractor.
        config: `{"audio_config": {...}, "text_config": {...}}`.
    """

    architecture: str
    base: Path
    adapter: Path | None
    processor: Path
    config: dict[str, Any]


def find(folder: Path, *, adapter: bool = True) -> Released:
    """The checkpoint in a folder or in the folders below it, two levels deep.

    Raises UsageError when there is none that can be read, DamagedWeights when there is one and
    something of it is missing. `adapter=False`: adapters are passed over.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give the one that the checkpoint lies in.")
    places = list(_places(folder, _DEPTH))
    base, settings = _base(folder, places)
    lora = _adapter(folder, places) if adapter else None
    processors = [place for place in (base, lora, *places) if place and _is_processor(place)]
    if not processors:
        raise DamagedWeights(
            f"{folder} has no tokenizer beside a preprocessor_config.json; download the "
            "checkpoint's small files, too."
        )
    return Released(
        architecture=_ARCHITECTURES[settings["model_type"]],
        base=base,
        adapter=lora,
        processor=processors[0],
        config=_halves(base, settings),
    )


def canonical(name: str) -> str | None:
    """The one name that a tensor has here, whatever layout its file has.

    `audio_tower.*`, `multi_modal_projector.linear.*`, `language_model.*`, `lm_head.weight` and
    `ctc_decoder.*`, each followed by the parameter's name in the module that transformers has for
    it. None for what is not used: speech output, vision, what is computed anyhow. A name that is
    none of these comes back without its wrappers.
    """
    steps = name.split(".")
    for index, step in enumerate(steps):
        if step in _UNUSED:
            return None
        if step in _USED:
            bare = ".".join(steps[index:])
            break
    else:
        bare = _WRAPPERS.sub("", name)
        if bare.startswith(("layers.", "embed_tokens.", "norm.")):
            bare = f"language_model.{bare}"
    if bare.startswith("language_model."):
        inner = bare.removeprefix("language_model.").removeprefix("model.")
        bare = inner if inner.startswith("lm_head.") else f"language_model.{inner}"
    return None if bare.endswith(_NEEDLESS) else bare


def shards(base: Path) -> list[Path]:
    """The files with a base's weights; DamagedWeights names those that its index misses."""
    index = base / "model.safetensors.index.json"
    if not index.is_file():
        return _weights(base)
    weight_map = _json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise DamagedWeights(f"{index} lists no weights; download it again.")
    names = sorted({str(file) for file in weight_map.values()})
    missing = [name for name in names if Path(name).name != name or not (base / name).is_file()]
    if missing:
        raise DamagedWeights(
            f"{base} lacks {', '.join(missing[:3])}{' and more' if missing[3:] else ''}, which its "
            "index lists; go on with the download."
        )
    return [base / name for name in names]


def _places(folder: Path, depth: int) -> Iterator[Path]:
    """A folder and those below it; hidden ones and those that may not be read are left out."""
    try:
        below = sorted(folder.iterdir())
    except OSError:
        return
    yield folder
    if depth:
        for inside in below:
            if inside.is_dir() and not inside.name.startswith("."):
                yield from _places(inside, depth - 1)


def _base(folder: Path, places: list[Path]) -> tuple[Path, dict[str, Any]]:
    candidates: list[tuple[Path, dict[str, Any]]] = []
    other_types: list[str] = []
    bare_folders: list[Path] = []
    for place in places:
        if not (place / "config.json").is_file():
            continue
        settings = _settings(place)
        if str(settings.get("model_type")) not in _ARCHITECTURES:
            other_types.append(str(settings.get("model_type")))
        elif _weights(place):
            candidates.append((place, settings))
        else:
            bare_folders.append(place)
    if not candidates:
        raise _no_base(folder, places, other_types, bare_folders)
    if len(candidates) > 1:
        # The same base may lie there twice, with the CTC head and as it was before.
        candidates = [candidate for candidate in candidates if _has_ctc(candidate[0])] or candidates
        shallow = min(len(place.parts) for place, _ in candidates)
        candidates = [candidate for candidate in candidates if len(candidate[0].parts) == shallow]
    if len(candidates) > 1:
        folder_names = " and ".join(str(place) for place, _ in candidates)
        raise UsageError(f"{folder} holds several models, {folder_names}: give the folder of one.")
    return candidates[0]


def _settings(place: Path) -> dict[str, Any]:
    try:
        return _json(place / "config.json")
    except DamagedWeights:
        # Not every config.json is a model's.
        if _weights(place):
            raise
        return {}


def _no_base(
    folder: Path, places: list[Path], other_types: list[str], bare_folders: list[Path]
) -> UsageError | DamagedWeights:
    for place in bare_folders:
        if any(file for pattern in _PICKLES for file in place.glob(pattern)):
            return UsageError(
                f"{place} keeps its weights as pickles, which may run code when they are read; "
                "convert them to safetensors first."
            )
        return DamagedWeights(f"{place} has a config.json and no *.safetensors; download them.")
    if other_types:
        return UsageError(
            f"{folder} holds a model of type {other_types[0]!r}; there is support for "
            f"{', '.join(sorted(_ARCHITECTURES))}."
        )
    if any((place / "adapter_config.json").is_file() for place in places):
        return UsageError(
            f"{folder} holds an adapter without the model that it belongs to; put both into one "
            "folder."
        )
    return UsageError(f"{folder} holds no model: no config.json lies in it or two levels below.")


def _adapter(folder: Path, places: list[Path]) -> Path | None:
    holders = [place for place in places if (place / "adapter_config.json").is_file()]
    adapters = [place for place in holders if (place / _ADAPTER).is_file()]
    if holders and not adapters:
        raise DamagedWeights(
            f"{holders[0]} has an adapter_config.json and no {_ADAPTER}; download that, too."
        )
    shallow = min((len(place.parts) for place in adapters), default=0)
    adapters = [place for place in adapters if len(place.parts) == shallow]
    if len(adapters) > 1:
        folder_names = " and ".join(str(place) for place in adapters)
        raise UsageError(f"{folder} holds several adapters, {folder_names}: leave one in it.")
    return adapters[0] if adapters else None


def _is_processor(place: Path) -> bool:
    has_tokenizer = any(all((place / name).is_file() for name in names) for names in _TOKENIZERS)
    return has_tokenizer and (place / "preprocessor_config.json").is_file()


def _halves(base: Path, settings: dict[str, Any]) -> dict[str, Any]:
    if settings["model_type"] == "qwen2_5_omni":
        settings = settings.get("thinker_config") or {}
    halves = {half: settings.get(half) for half in ("audio_config", "text_config")}
    for half, value in halves.items():
        if not isinstance(value, dict):
            raise DamagedWeights(f"{base / 'config.json'} has no {half}; download it again.")
    return halves


def _weights(place: Path) -> list[Path]:
    return sorted(file for file in place.glob("*.safetensors") if file.name != _ADAPTER)


def _has_ctc(base: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    for file in shards(base):
        try:
            with safe_open(file, "pt") as shard:
                names = list(shard.keys())
        except (OSError, SafetensorError) as error:
            raise DamagedWeights(f"{file} is damaged ({error}); download it again.") from error
        if any((canonical(name) or "").startswith("ctc_decoder.") for name in names):
            return True
    return False


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedWeights(f"{path} is unreadable ({error}); download it again.") from error
    if not isinstance(content, dict):
        raise DamagedWeights(f"{path} is no object in JSON; download it again.")
    return content
