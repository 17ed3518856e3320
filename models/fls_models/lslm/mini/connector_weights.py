"""A connector's trained weights in a folder: read whole or refused, written whole or not at all.

    config.json            how large it is, its head's tokens, the models that it stands between
    connector.safetensors  `Connector.state_dict()`: weights in float16, or in int8 with a float32
                           scale for each row under `NAME.scale`; small ones in float32
    lora.safetensors       what is added to the language model where it reads frames, in float16

It computes nothing with them: `connector` and `int8_lora` do. Where the folder lies is `weights`'.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from fls_models.errors import DamagedWeights
from fls_models.lslm.mini.connector import Connector, Shape
from fls_models.weights.conversion.int8 import quantise
from fls_models.weights.conversion.lora import Pair

FORM = "fls-connector-1"
CONFIG, WEIGHTS, LORA = "config.json", "connector.safetensors", "lora.safetensors"

_SCALE = ".scale"
_SIDE = re.compile(r"(?P<module>layers\.\d+\.self_attn\.[qkvo]_proj)\.lora_(?P<side>[AB])\.weight")


@dataclass(frozen=True)
class LoraShape:
    """Of a LoRA: `W + alpha / rank * B A`."""

    rank: int
    alpha: float

    def __post_init__(self) -> None:
        if self.rank < 1 or not math.isfinite(self.alpha):
            raise ValueError("the rank is at least 1, alpha finite")


@dataclass(frozen=True)
class Config:
    """What a connector is and what it was trained for.

    Attributes:
        tokens: of the language model, those that the CTC head reads, in the head's order.
        speech, llm: names of the parts (`cards/parts`) that it stands between.
        window: positions, the most that the language model read in training.
        lora: None where the language model reads frames as it is.

    Raises:
        ValueError: there are not as many tokens as the head has, or one of them is there twice.
    """

    shape: Shape
    tokens: tuple[int, ...]
    speech: str
    llm: str
    window: int
    lora: LoraShape | None = None

    def __post_init__(self) -> None:
        if len(set(self.tokens)) != self.shape.tokens or len(self.tokens) != self.shape.tokens:
            raise ValueError(f"the head reads {self.shape.tokens} tokens, each another one")
        if min(self.tokens) < 0 or self.window < 1:
            raise ValueError("tokens are ids from 0 up, the window is at least 1")

    def as_json(self) -> dict[str, Any]:
        return {"form": FORM, **asdict(self), "tokens": list(self.tokens)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Config:
        """What `as_json` made; anything else is an error of any kind."""
        lora = raw["lora"]
        return cls(
            shape=Shape(**raw["shape"]),
            tokens=tuple(int(token) for token in raw["tokens"]),
            speech=str(raw["speech"]),
            llm=str(raw["llm"]),
            window=int(raw["window"]),
            lora=None if lora is None else LoraShape(**lora),
        )


def read(folder: Path) -> tuple[Connector, Config]:
    """The connector in a folder, in float32 and as it is run, with what it was trained for.

    Raises DamagedWeights when the folder is not whole or of another form.
    """
    config = read_config(folder)
    tensors = _load(folder / WEIGHTS)
    with torch.device("meta"):
        connector = Connector(config.shape)
    state = {}
    for name, parameter in connector.state_dict().items():
        if name not in tensors:
            raise _damaged(folder, f"{WEIGHTS} lacks {name}")
        tensor, scale = tensors.pop(name), tensors.pop(name + _SCALE, None)
        if tensor.shape != parameter.shape:
            raise _damaged(folder, f"{name} is {_size(tensor)} in place of {_size(parameter)}")
        if (tensor.dtype == torch.int8) != (scale is not None):
            raise _damaged(folder, f"{name} is {tensor.dtype}, and only int8 has a scale")
        if scale is not None and scale.shape != tensor.shape[:1]:
            raise _damaged(folder, f"{name} has {_size(scale)} scales for {_size(tensor)}")
        state[name] = tensor.float()
        if scale is not None:
            state[name] *= scale.float().reshape(-1, *[1] * (tensor.ndim - 1))
    if tensors:
        raise _damaged(folder, f"{WEIGHTS} holds {min(tensors)}, which no connector has")
    connector.load_state_dict(state, assign=True)
    connector.requires_grad_(False).train(False)
    return connector, config


def read_config(folder: Path) -> Config:
    """What a connector was trained for; raises as `read` does."""
    try:
        raw: Any = json.loads((folder / CONFIG).read_text("utf-8"))
        form = raw["form"]
        if form == FORM:
            return Config.from_json(raw)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, f"{CONFIG}: {error!r}") from error
    raise _damaged(folder, f"its form is {form!r}, and this fls reads {FORM!r}")


def read_lora(folder: Path, config: Config) -> dict[str, Pair]:
    """What is added to the language model, by module (`layers.0.self_attn.q_proj`), in float32.

    Raises DamagedWeights when it is not of the rank that the config tells.
    """
    if config.lora is None:
        return {}
    sides: dict[str, dict[str, Tensor]] = {}
    for name, value in _load(folder / LORA).items():
        match = _SIDE.fullmatch(name)
        if match is None:
            raise _damaged(folder, f"{LORA} holds {name}, which is no part of a LoRA on attention")
        sides.setdefault(match["module"], {})[match["side"]] = value.float()
    rank, pairs = config.lora.rank, {}
    for module, matrices in sides.items():
        down, up = matrices.get("A"), matrices.get("B")
        if down is None or up is None:
            raise _damaged(folder, f"{LORA} lacks one of the two matrices of {module}")
        if down.ndim != 2 or up.ndim != 2 or not len(down) == up.shape[1] == rank:
            raise _damaged(
                folder, f"{module} has {_size(down)} and {_size(up)}, not of rank {rank}"
            )
        pairs[module] = Pair(down, up, config.lora.alpha / rank)
    if not pairs:
        raise _damaged(folder, f"{LORA} is empty")
    return pairs


def write(
    connector: Connector,
    config: Config,
    folder: Path,
    *,
    lora: Mapping[str, Tensor] | None = None,
    int8: bool = True,
) -> None:
    """Writes a connector, and the LoRA's tensors by their names in `lora.safetensors`.

    With `int8`, matrices take a byte a weight, else two. Whoever reads while it is written, or
    after it was interrupted, finds the old folder, the new one or one without a config.

    Raises:
        ValueError: the config is another connector's, `lora` is there without its shape or the
            reverse, or a weight is not finite in float16.
    """
    if config.shape != connector.shape or (lora is None) != (config.lora is None):
        raise ValueError("the config tells of another connector or another LoRA")
    tensors: dict[str, Tensor] = {}
    for name, value in connector.state_dict().items():
        value = value.detach().cpu().float()
        if not value.isfinite().all():
            raise ValueError(f"{name} is not finite")
        if value.ndim == 2 and int8:
            tensors[name], tensors[name + _SCALE] = quantise(value)
        else:
            tensors[name] = value.contiguous() if value.ndim < 2 else _halved(name, value)
    parts = {WEIGHTS: tensors}
    if lora is not None:
        if foreign := [name for name in lora if not _SIDE.fullmatch(name)]:
            raise ValueError(f"{foreign[0]} is no part of a LoRA on attention")
        parts[LORA] = {name: _halved(name, value) for name, value in lora.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in parts.items():
        save_file(content, folder / f"{name}.part", metadata={"format": "pt"})
    text = json.dumps(config.as_json(), indent=1) + "\n"
    (folder / f"{CONFIG}.part").write_text(text, "utf-8")
    _replace(folder, parts)


def _replace(folder: Path, parts: Mapping[str, Any]) -> None:
    """Old files for new ones. The config goes first and comes last: with it, all is of a piece."""
    (folder / CONFIG).unlink(missing_ok=True)
    for name in (WEIGHTS, LORA):
        if name in parts:
            (folder / f"{name}.part").replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    (folder / f"{CONFIG}.part").replace(folder / CONFIG)


def _halved(name: str, value: Tensor) -> Tensor:
    halved = value.detach().cpu().to(torch.float16).contiguous()
    if not halved.isfinite().all():
        raise ValueError(f"{name} is not finite in float16")
    return halved


def _load(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise _damaged(file.parent, f"{file.name}: {error}") from error


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "1"


def _damaged(folder: Path, why: str) -> DamagedWeights:
    return DamagedWeights(
        f"{folder} holds no connector that can be used ({why}); install it anew, or use "
        "--read text."
    )
