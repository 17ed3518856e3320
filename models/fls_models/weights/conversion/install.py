"""A released checkpoint becomes a folder that loads fast: merged, quantised, with our own names.

Every tensor's name and shape is checked before any is converted (`inventory`), and nothing appears
under the final name until all of it is there. Two that fill the same folder at once are the
caller's to keep apart.
"""

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

from fls_models.core.files import json_object, lacks_room, replacing
from fls_models.core.progress import Progress, ignore
from fls_models.errors import DamagedWeights, DiskFull, EnvironmentLacks, UsageError
from fls_models.weights.cache_folder import check_room
from fls_models.weights.conversion.formats import FORM, checked_dtype
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

    `dtype` is one of `formats.DTYPES`. Progress counts the bytes read. Raises DamagedWeights
    when the checkpoint is not what its config says, UsageError when the folder exists, DiskFull,
    and EnvironmentLacks when it cannot be written; then, and when interrupted, nothing is left.
    """
    checked_dtype(dtype)
    if into.exists():
        raise UsageError(f"{into} exists; remove it or choose another place.")
    entries, tokens = survey(released)
    adapter = _adapter(released, entries)
    filling = into.parent / f".installing-{into.name}"
    try:
        shutil.rmtree(filling, ignore_errors=True)
        with replacing(into, filling):
            filling.mkdir()
            _check_disk(entries, dtype, filling)
            _convert(entries, adapter, dtype, filling, progress)
            _write_settings(released, dtype, tokens, filling)
    except (OSError, SafetensorError) as failure:
        raise _unwritten(into, failure) from failure


def has_head(folder: Path) -> bool:
    """Whether the model in an installed folder has a CTC head."""
    config = json_object(folder / "config.json")
    # An unreadable one is said when the model is loaded.
    return config is None or config.get("ctc_tokens") is not None


def open_tensors(folder: Path) -> Tensors:
    """The tensors that `install` wrote, each read when it is asked for.

    An output embedding that is the input's is found under both names. Raises DamagedWeights, now or
    then, when the folder is not whole.
    """
    return _Written(folder)


class _Written(Tensors):
    def __init__(self, folder: Path) -> None:
        self._files = ExitStack()
        self._shards: dict[str, Any] = {}
        self._folder = folder
        try:
            files = json.loads((folder / _INDEX).read_text("utf-8"))["weight_map"]
            self._index: dict[str, str] = {str(name): str(file) for name, file in files.items()}
            for file in sorted(set(self._index.values())):
                # A name that leads elsewhere was not written by `install`.
                shard = safe_open(folder / Path(file).name, "pt")
                self._shards[file] = self._files.enter_context(shard)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise self._damaged(error) from error
        self._tied_name = _HEAD if _HEAD not in self._index and _EMBEDDING in self._index else None
        if self._tied_name:
            self._index[_HEAD] = self._index[_EMBEDDING]

    def __getitem__(self, name: str) -> Tensor:
        shard = self._shards[self._index[name]]
        try:
            tensor: Tensor = shard.get_tensor(_EMBEDDING if name == self._tied_name else name)
        except SafetensorError as error:
            raise self._damaged(error) from error
        return tensor

    def __contains__(self, name: object) -> bool:
        # The inherited one reads the tensor.
        return name in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def _damaged(self, error: Exception) -> DamagedWeights:
        return DamagedWeights(
            f"{self._folder} holds no whole model ({error}); remove it and install it again."
        )


def _adapter(released: Released, entries: list[Stored]) -> Adapter | None:
    if released.adapter is None:
        return None
    adapter = Adapter.read(released.adapter)
    unused_names = adapter.unused(entry.name for entry in entries)
    if unused_names:
        raise DamagedWeights(
            f"The adapter in {released.adapter} changes {some(unused_names)}, which the model in "
            f"{released.base} does not have: it belongs to another model."
        )
    return adapter


def _convert(
    entries: list[Stored], adapter: Adapter | None, dtype: str, into: Path, progress: Progress
) -> None:
    total, done = sum(entry.bytes for entry in entries), 0
    weight_map: dict[str, str] = {}
    progress("convert", done, total)
    for number, batch in enumerate(_batches(entries), 1):
        file = f"model-{number:05d}.safetensors"
        tensors: dict[str, Tensor] = {}
        # Opened for each batch: what was read of a mapped file counts until it is closed.
        with _open_shard(batch[0].file) as shard:
            for entry in batch:
                weight = _read(shard, entry)
                if adapter is not None:
                    weight = adapter.merge(entry.name, weight)
                tensors |= pack(entry.name, weight, dtype)
                done += entry.bytes
                progress("convert", done, total)
            save_file(tensors, into / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(tensors, file)
    (into / _INDEX).write_text(json.dumps({"weight_map": weight_map}, indent=1), "utf-8")


def _batches(entries: list[Stored]) -> Iterator[list[Stored]]:
    """Neighbours in one file, up to the limit or one that alone is above it."""
    batch: list[Stored] = []
    for entry in entries:
        size = sum(other.bytes for other in batch) + entry.bytes
        if batch and (entry.file != batch[0].file or size > _BATCH):
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch


def _open_shard(file: Path) -> Any:
    try:
        return safe_open(file, "pt")
    except (OSError, SafetensorError) as error:
        raise unreadable(file, error) from error


def _read(shard: Any, entry: Stored) -> Tensor:
    try:
        weight: Tensor = shard.get_tensor(entry.key)
    except SafetensorError as error:
        raise unreadable(entry.file, error) from error
    # Infinities and what is no number show in the extremes: one pass, and no memory.
    if weight.numel() and not all(bool(end.isfinite()) for end in torch.aminmax(weight)):
        raise DamagedWeights(f"{entry.key} in {entry.file} is not finite; download it again.")
    return weight


def _check_disk(entries: list[Stored], dtype: str, place: Path) -> None:
    plain = _BYTES["float32" if dtype == "float32" else "bf16"]
    required = sum(
        torch.Size(entry.shape).numel()
        * (_BYTES[dtype] if is_quantised(entry.name, dtype) else plain)
        for entry in entries
    )
    check_room(place, required, "the model takes {:.1f} GB", named=place.parent)


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
