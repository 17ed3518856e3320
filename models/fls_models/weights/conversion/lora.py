"""Adapters of PEFT (LoRA), read and merged without PEFT: `W + scale * B A`.

Knows the plain kind and its scalings; anything that changes the sum is refused. Which weights
there are is left to whoever merges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fls_models.errors import DamagedWeights, UsageError
from fls_models.weights.conversion.layout import canonical

_PAIR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(\.[^.]+)?\.weight")
# Kinds of LoRA whose weights are not `W + scale * B A` for the `W` of the base model.
_UNKNOWN = (
    "use_dora",
    "fan_in_fan_out",
    "lora_bias",
    "modules_to_save",
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
    "use_qalora",
    "use_bdlora",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
)
# Ways to begin training that leave the base as it is; others change it, too.
_HARMLESS_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True, eq=False)
class Pair:
    """What is learned for one weight (N, K): down (r, K), up (N, r)."""

    down: Tensor
    up: Tensor
    scale: float


@dataclass(frozen=True, eq=False)
class Adapter:
    """Pairs by the canonical name of the weight that they belong to."""

    folder: Path
    pairs: Mapping[str, Pair]

    @classmethod
    def read(cls, folder: Path) -> Adapter:
        """The adapter in a folder.

        Raises UsageError for kinds that are not supported, DamagedWeights for what is broken.
        """
        try:
            config: Any = json.loads((folder / "adapter_config.json").read_text("utf-8"))
            tensors = load_file(folder / "adapter_model.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise DamagedWeights(
                f"{folder} holds no whole adapter ({error}); download it again."
            ) from error
        if not isinstance(config, dict):
            raise DamagedWeights(f"{folder}/adapter_config.json is no object; download it again.")
        _refuse(folder, config)
        sides: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            match = _PAIR.fullmatch(name)
            if match is None:
                raise UsageError(
                    f"{folder} holds {name}, which is no part of a plain LoRA; merge the adapter "
                    "with PEFT and use the merged model."
                )
            sides.setdefault(match["module"], {})[match["side"]] = tensor
        if not sides:
            raise DamagedWeights(f"{folder} holds an adapter without weights; download it again.")
        pairs = {}
        for module, matrices in sides.items():
            weight = canonical(f"{module}.weight")
            if weight is not None:
                pairs[weight] = _pair(folder, module, matrices, config)
        return cls(folder, pairs)

    def merge(self, name: str, weight: Tensor) -> Tensor:
        """`weight` with what the adapter adds to it; itself when that is nothing."""
        pair = self.pairs.get(name)
        if pair is None:
            return weight
        shape = (len(pair.up), pair.down.shape[1])
        if weight.shape != shape:
            raise DamagedWeights(
                f"The adapter in {self.folder} changes {name} as {shape}, but it is "
                f"{tuple(weight.shape)}: it belongs to another model."
            )
        change = pair.up.float() @ pair.down.float()
        return weight.float().add_(change, alpha=pair.scale).to(weight.dtype)

    def unused(self, names: Iterable[str]) -> list[str]:
        """Names of weights that the adapter changes and that are not among those seen."""
        return sorted(self.pairs.keys() - set(names))


def _refuse(folder: Path, config: dict[str, Any]) -> None:
    kind = str(config.get("peft_type", "LORA")).upper()
    reasons = [f"{key} is set" for key in _UNKNOWN if config.get(key)]
    if kind != "LORA":
        reasons.insert(0, f"it is of the kind {kind}")
    if config.get("bias", "none") != "none":
        reasons.append("it changes biases")
    start = config.get("init_lora_weights")
    if start not in _HARMLESS_STARTS:
        reasons.append(f"it starts from {start}, which changes the base")
    if reasons:
        raise UsageError(
            f"The adapter in {folder} is not supported: {'; '.join(reasons)}. Merge it with PEFT "
            "and use the merged model."
        )


def _pair(
    folder: Path, module: str, sides: Mapping[str, Tensor], config: Mapping[str, Any]
) -> Pair:
    if len(sides) != 2:
        missing_side = "B" if "A" in sides else "A"
        raise DamagedWeights(f"{folder} lacks lora_{missing_side} of {module}; download it again.")
    down, up = sides["A"], sides["B"]
    # PEFT's patterns are held against the name that a module has inside the model it wraps.
    module_name = module.removeprefix("base_model.model.")
    rank = _setting(folder, config, "r", "rank_pattern", module_name)
    alpha = _setting(folder, config, "lora_alpha", "alpha_pattern", module_name)
    if down.dim() != 2 or up.dim() != 2 or not len(down) == up.shape[1] == rank:
        raise DamagedWeights(
            f"{folder} has matrices {tuple(down.shape)} and {tuple(up.shape)} for {module}, which "
            f"are not of rank {rank:g}; download it again."
        )
    scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
    return Pair(down, up, scale)


def _setting(
    folder: Path, config: Mapping[str, Any], general: str, special: str, module_name: str
) -> float:
    patterns: Any = config.get(special) or {}
    try:
        for pattern, value in patterns.items():
            if re.match(rf"(.*\.)?({pattern})$", module_name):
                return float(value)
        return float(config[general])
    except (AttributeError, KeyError, TypeError, ValueError, re.error) as error:
        raise DamagedWeights(
            f"{folder}/adapter_config.json has no usable {general}; download it again."
        ) from error
