"""A released checkpoint becomes a folder that loads fast: merged, quantised, with our own names.

Every tensor's name and shape is checked before any is converted (`surveying`), and nothing appears
under the final name until all of it is there. Two that fill the same folder at once are the
caller's to keep apart.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fls_models.core.files import lacks_room, replacing
from fls_models.core.progress import Progress, ignore
from fls_models.errors import DamagedWeights, DiskFull, EnvironmentLacks, UsageError
from fls_models.weights.conversion.formats import FORM as FORM
from fls_models.weights.conversion.formats import known
from fls_models.weights.conversion.inventory import Stored, some, survey, unreadable
from fls_models.weights.conversion.layout import Released
from fls_models.weights.conversion.lora import Adapter
from fls_models.weights.conversion.quantization import is_quantised, pack

Tensors = Mapping[str, Tensor]
"""Tensors by their canonical names."""

PROCESSOR = "processor"
"""The folder in an installed one that transformers can make a processor from."""

# So much is read before it is written and let go of; a single tensor may be larger.
_BATCH = 10**9
_BYTES = {"nf4": 0.52, "int8": 1.01, "bf16": 2.0, "float32": 4.0}
_INDEX = "model.index.json"
_HEAD, _EMBEDDING = "lm_head.weight", "language_model.embed_tokens.weight"
_PROCESSOR = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "processor_config.json",
)
# These may lie beside the weights while the tokenizer lies beside the adapter.
_TEMPLATES = ("chat_template.json", "chat_template.jinja")
_GENERATION = "generation_config.json"


def install(released: Released, into: Path, *, dtype: str, progress: Progress = ignore) -> None:
    """Writes a checkpoint's weights, settings and processor into a new folder.

    `dtype` is one of `weight_forms.DTYPES`. Progress counts the bytes read. Raises DamagedWeights
    when the checkpoint is not what its config says, UsageError when the folder exists, DiskFull,
    and EnvironmentLacks when it cannot be written; then, and when interrupted, nothing is left.
    """
    known(dtype)
    if into.exists():
        raise UsageError(f"{into} exists; remove it or choose another place.")
    stored, tokens = survey(released)
    adapter = _adapter(released, stored)
    filling = into.parent / f".installing-{into.name}"
    try:
        shutil.rmtree(filling, ignore_errors=True)
        with replacing(into, filling):
            filling.mkdir()
            _check_disk(stored, dtype, filling)
            _convert(stored, adapter, dtype, filling, progress)
            _write_settings(released, dtype, tokens, filling)
    except (OSError, SafetensorError) as failure:
        raise _unwritten(into, failure) from failure


def has_head(folder: Path) -> bool:
    """Whether the model in an installed folder has a CTC head."""
    try:
        raw = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        # Said when the model is loaded.
        return True
    return raw.get("ctc_tokens") is not None


def open_tensors(folder: Path) -> Tensors:
    """The tensors that `install` wrote, each read when it is asked for.

    An output embedding that is the input's is found under both names. Raises DamagedWeights, now or
    then, when the folder is not whole.
    """
    return _Written(folder)


class _Written(Tensors):
    def __init__(self, folder: Path) -> None:
        self._files = ExitStack()
        self._opened: dict[str, Any] = {}
        self._folder = folder
        try:
            listed = json.loads((folder / _INDEX).read_text("utf-8"))["weight_map"]
            self._where: dict[str, str] = {str(name): str(file) for name, file in listed.items()}
            for file in sorted(set(self._where.values())):
                # A name that leads elsewhere was not written by `install`.
                opened = safe_open(folder / Path(file).name, "pt")
                self._opened[file] = self._files.enter_context(opened)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise self._damaged(error) from error
        self._tied = _HEAD if _HEAD not in self._where and _EMBEDDING in self._where else None
        if self._tied:
            self._where[_HEAD] = self._where[_EMBEDDING]

    def __getitem__(self, name: str) -> Tensor:
        opened = self._opened[self._where[name]]
        try:
            found: Tensor = opened.get_tensor(_EMBEDDING if name == self._tied else name)
        except SafetensorError as error:
            raise self._damaged(error) from error
        return found

    def __contains__(self, name: object) -> bool:
        # The inherited one reads the tensor.
        return name in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)

    def _damaged(self, error: Exception) -> DamagedWeights:
        return DamagedWeights(
            f"{self._folder} holds no whole model ({error}); remove it and install it again."
        )


def _adapter(released: Released, stored: list[Stored]) -> Adapter | None:
    if released.adapter is None:
        return None
    adapter = Adapter.read(released.adapter)
    unused = adapter.unused(one.name for one in stored)
    if unused:
        raise DamagedWeights(
            f"The adapter in {released.adapter} changes {some(unused)}, which the model in "
            f"{released.base} does not have: it belongs to another model."
        )
    return adapter


def _convert(
    stored: list[Stored], adapter: Adapter | None, dtype: str, into: Path, progress: Progress
) -> None:
    total, done = sum(one.bytes for one in stored), 0
    where: dict[str, str] = {}
    progress("convert", done, total)
    for number, batch in enumerate(_batches(stored), 1):
        file = f"model-{number:05d}.safetensors"
        kept: dict[str, Tensor] = {}
        # Opened for each batch: what was read of a mapped file counts until it is closed.
        with _opened(batch[0].file) as opened:
            for one in batch:
                weight = _read(opened, one)
                if adapter is not None:
                    weight = adapter.merge(one.name, weight)
                kept |= pack(one.name, weight, dtype)
                done += one.bytes
                progress("convert", done, total)
            save_file(kept, into / file, metadata={"format": "pt"})
        where |= dict.fromkeys(kept, file)
    (into / _INDEX).write_text(json.dumps({"weight_map": where}, indent=1), "utf-8")


def _batches(stored: list[Stored]) -> Iterator[list[Stored]]:
    """Neighbours in one file, up to the limit or one that alone is above it."""
    batch: list[Stored] = []
    for one in stored:
        size = sum(other.bytes for other in batch) + one.bytes
        if batch and (one.file != batch[0].file or size > _BATCH):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _opened(file: Path) -> Any:
    try:
        return safe_open(file, "pt")
    except (OSError, SafetensorError) as error:
        raise unreadable(file, error) from error


def _read(opened: Any, one: Stored) -> Tensor:
    try:
        weight: Tensor = opened.get_tensor(one.key)
    except SafetensorError as error:
        raise unreadable(one.file, error) from error
    # Infinities and what is no number show in the extremes: one pass, and no memory.
    if weight.numel() and not all(bool(end.isfinite()) for end in torch.aminmax(weight)):
        raise DamagedWeights(f"{one.key} in {one.file} is not finite; download it again.")
    return weight


def _check_disk(stored: list[Stored], dtype: str, place: Path) -> None:
    plain = _BYTES["float32" if dtype == "float32" else "bf16"]
    needed = sum(
        torch.Size(one.shape).numel() * (_BYTES[dtype] if is_quantised(one.name, dtype) else plain)
        for one in stored
    )
    free = shutil.disk_usage(place).free
    if free < needed:
        raise DiskFull(
            f"{place.parent} has {free / 1e9:.1f} GB free, but the model takes "
            f"{needed / 1e9:.1f} GB. Free some, or set FLS_CACHE to another disk."
        )


def _write_settings(released: Released, dtype: str, tokens: int | None, into: Path) -> None:
    settings = {"architecture": released.architecture, "dtype": dtype, "form": FORM}
    settings |= {**released.config, "ctc_tokens": tokens}
    (into / "config.json").write_text(json.dumps(settings, indent=1), "utf-8")
    # Apart from config.json: transformers would take that for one of its own.
    processor = into / PROCESSOR
    processor.mkdir()
    sources = [released.processor, released.base, released.adapter]
    for name in _PROCESSOR:
        _copy(name, sources[:1], processor)
    for name in _TEMPLATES:
        _copy(name, sources, processor)
    _copy(_GENERATION, sources, into)


def _copy(name: str, sources: list[Path | None], into: Path) -> None:
    """Copies a file from the first folder that has it; files that none has are left out."""
    for place in sources:
        if place is not None and (place / name).is_file():
            shutil.copyfile(place / name, into / name)
            return


def _unwritten(into: Path, failure: Exception) -> EnvironmentLacks:
    if lacks_room(failure):
        return DiskFull(f"No room left in {into.parent}; free some, or set FLS_CACHE.")
    return EnvironmentLacks(
        f"{into} cannot be written ({failure}); set FLS_CACHE to a folder that can be written to."
    )
