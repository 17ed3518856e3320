"""GGUF to the form that loads fastest: int8 rows in safetensors, and a tokenizer of its own.

Runs once for a model. Which tensors there have to be, and of which shapes, says transformers: the
model is made without memory. One tensor at a time is in memory as float32. An input embedding that
the output's is tied to is left out: of the two the output's is stored in more bits.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from fls_models.core.progress import Progress
from fls_models.errors import DamagedWeights
from fls_models.weights.conversion.gguf_header import GgufHeader
from fls_models.weights.conversion.int8 import quantise
from fls_models.weights.conversion.rope import rope_parameters

_TABLE, _HEAD = "model.embed_tokens.weight", "lm_head.weight"
# Rows of a table of tokens that are converted at once.
_ROWS = 1 << 14
# Rows of a table that are compared, and up to which part of their size they differ by rounding.
_COMPARED_ROWS, _ROUNDING = 256, 0.3


def convert(gguf_file: Path, into: Path, progress: Progress) -> None:
    """Writes `model.safetensors`, `config.json` and the tokenizer's files into a folder.

    Raises what `GgufHeader.read` does, and DamagedWeights for tensors that do not fit the header.
    """
    header = GgufHeader.read(gguf_file)
    config = _config(header)
    stored = _Stored(header, config)
    tensors: dict[str, torch.Tensor] = {}
    stage = f"convert {gguf_file.parent.name.removeprefix('.incoming-')}"
    names = stored.names()
    for index, name in enumerate(names):
        progress(stage, index, len(names))
        if stored.is_matrix(name):
            scale = name.removesuffix("weight") + "scale"
            tensors[name], tensors[scale] = stored.quantised(name)
        else:
            tensors[name] = torch.from_numpy(stored.read(name))
    progress(stage, len(names), len(names))
    save_file(tensors, into / "model.safetensors")
    settings = config.to_dict() | {
        "tie_word_embeddings": _TABLE not in tensors,
        "eos_token_id": header.value("tokenizer.ggml.eos_token_id"),
    }
    (into / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    _save_tokenizer(gguf_file, into)


class _Stored:
    """The tensors of a file by transformers' names, as transformers has them."""

    def __init__(self, header: GgufHeader, config: Any) -> None:
        import gguf
        from transformers import AutoModelForCausalLM

        self._header, self._config = header, config
        self._there = {tensor.name: tensor for tensor in header.reader.tensors}
        make: Any = AutoModelForCausalLM.from_config
        with torch.device("meta"):
            model = make(config)
        self._shapes = {name: tuple(x.shape) for name, x in model.state_dict().items()}
        [architecture] = (
            number for number, name in gguf.MODEL_ARCH_NAMES.items() if name == header.architecture
        )
        table = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
        self._stored_names = {
            name: str(table.get_name(name, (".weight", ".bias"))) for name in self._shapes
        }
        if "output.weight" not in self._there:
            self._stored_names[_HEAD] = "token_embd.weight"
        missing = [name for name in self._stored_names.values() if name not in self._there]
        if missing:
            raise DamagedWeights(
                f"{header.file} lacks {missing[0]}, which its architecture "
                f"{header.architecture} asks for; take another file."
            )

    def names(self) -> list[str]:
        """Without the input embedding where it is the output's."""
        is_tied = self._is_tied()
        return [name for name in self._shapes if not (is_tied and name == _TABLE)]

    def is_matrix(self, name: str) -> bool:
        return len(self._shapes[name]) == 2

    def quantised(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """A matrix in 8 bits, and its rows' scales; a table of tokens piece by piece."""
        count = self._shapes[name][0]
        step = _ROWS if name in (_TABLE, _HEAD) else count
        pieces = [
            quantise(torch.from_numpy(self.read(name, slice(first, first + step))))
            for first in range(0, count, step)
        ]
        rows, scales = zip(*pieces, strict=True)
        return torch.cat(rows), torch.cat(scales)

    def read(self, name: str, rows: slice = slice(None)) -> NDArray[np.float32]:
        """A tensor, or so many of its rows, as float32."""
        from gguf.quants import dequantize

        tensor = self._there[self._stored_names[name]]
        shape = tuple(int(size) for size in reversed(tensor.shape))
        if shape != self._shapes[name]:
            raise DamagedWeights(
                f"{tensor.name} in {self._header.file} is {shape} and has to be "
                f"{self._shapes[name]}; take another file."
            )
        values = np.ascontiguousarray(dequantize(tensor.data[rows], tensor.tensor_type), np.float32)
        values = _FORMS.get(self._header.architecture, _as_it_is)(name, values, self._config)
        return values if values.flags.writeable else values.copy()

    def _is_tied(self) -> bool:
        """Whether both embeddings are one: files hold it twice, in other numbers of bits."""
        names = self._stored_names[_TABLE], self._stored_names[_HEAD]
        if names[0] == names[1]:
            return True
        count = min(_COMPARED_ROWS, self._shapes[_TABLE][0])
        table, head = (self.read(name, slice(0, count)) for name in (_TABLE, _HEAD))
        difference = float(np.linalg.norm(table - head))
        return difference < _ROUNDING * float(np.linalg.norm(head))


def _as_it_is(name: str, values: NDArray[np.float32], config: Any) -> NDArray[np.float32]:
    return values


def _unpermuted(name: str, values: NDArray[np.float32], config: Any) -> NDArray[np.float32]:
    """Llama's queries and keys, whose rotary pairs lie beside each other in GGUF."""
    heads = {"q_proj.weight": "num_attention_heads", "k_proj.weight": "num_key_value_heads"}
    for end, count in heads.items():
        if name.endswith(end):
            pairs = values.reshape(getattr(config, count), -1, 2, values.shape[1])
            return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(values.shape))
    return values


def _about_one(name: str, values: NDArray[np.float32], config: Any) -> NDArray[np.float32]:
    """Gemma's norms, which are kept as what is to be multiplied with, and learnt less 1."""
    return values - np.float32(1) if name.endswith("norm.weight") else values


_Form = Callable[[str, NDArray[np.float32], Any], NDArray[np.float32]]
_FORMS: dict[str, _Form] = {"llama": _unpermuted, "gemma3": _about_one}


def _config(header: GgufHeader) -> Any:
    """As transformers reads it from the file, with what that leaves out."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(header.file.parent), gguf_file=header.file.name)
    except (ValueError, TypeError, LookupError, OSError) as error:
        raise DamagedWeights(
            f"{header.file} does not say what its model is ({error}); take another file."
        ) from error
    if rope := rope_parameters(header, config):
        config = type(config).from_dict(config.to_dict() | rope)
    return config


def _save_tokenizer(gguf_file: Path, into: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(gguf_file.parent), gguf_file=gguf_file.name)
    tokenizer.save_pretrained(into)
