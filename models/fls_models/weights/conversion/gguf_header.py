"""What a GGUF file says of itself, and whether its model can be used here. No weight is read.

The form: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from fls_models.errors import DamagedWeights, EnvironmentLacks, UsageError

ARCHITECTURES: Mapping[str, str] = {
    "qwen2": "Qwen2 and 2.5",
    "qwen3": "Qwen3",
    "llama": "Llama 3, SmolLM2, Mistral",
    "gemma3": "Gemma 3",
    "phi3": "Phi-3 and Phi-4-mini",
}
"""Architectures by the names that files have for them, and which models those are."""

# Beside weights: keys, values and logits of a pass, the program, and Whisper.
_WORKSPACE = 1.2e9


@dataclass(frozen=True, eq=False)
class GgufHeader:
    """A file, opened: `reader` is the `gguf` package's."""

    file: Path
    reader: Any

    @classmethod
    def read(cls, file: Path) -> GgufHeader:
        """Raises UsageError for what cannot be used here, DamagedWeights for a file that is cut
        off or no GGUF."""
        if not file.is_file():
            raise UsageError(f"{file} is no file; give one that ends in .gguf.")
        with file.open("rb") as opened:
            if opened.read(4) != b"GGUF":
                raise DamagedWeights(f"{file} is no GGUF file; take another, or download it again.")
        from gguf import GGUFReader

        try:
            header = cls(file, GGUFReader(str(file)))
            header._check()
        except (ValueError, LookupError, OSError, TypeError, OverflowError, MemoryError) as error:
            raise DamagedWeights(f"{file} is cut off or damaged: download it again.") from error
        return header

    def value(self, key: str, default: Any = None) -> Any:
        """What stands under a key; `{}` in it is the architecture."""
        field = self.reader.fields.get(key.format(self.architecture))
        return default if field is None else field.contents()

    @cached_property
    def architecture(self) -> str:
        field = self.reader.fields.get("general.architecture")
        return "" if field is None else str(field.contents())

    @property
    def name(self) -> str:
        return str(self.value("general.name") or self.file.stem)

    @property
    def licence(self) -> str:
        """As the file has it; empty where it says nothing."""
        return str(self.value("general.license") or "")

    @property
    def context_length(self) -> int:
        return int(self.value("{}.context_length", 2048))

    @cached_property
    def parameters(self) -> int:
        return sum(prod(int(size) for size in tensor.shape) for tensor in self.reader.tensors)

    @property
    def needed_bytes(self) -> int:
        """Memory that the model takes, in 8 bits, with what runs beside it."""
        return round(self.parameters * 1.01 + _WORKSPACE)

    def check_memory(self, free: int | None) -> None:
        """Raises EnvironmentLacks where the model is too large for so many bytes."""
        if free is not None and self.needed_bytes > free:
            raise EnvironmentLacks(
                f"{self.file.name} takes {self.needed_bytes / 1e9:.1f} GB of memory in 8 bits, and "
                f"{free / 1e9:.1f} GB are free: take a model of fewer parameters than its "
                f"{self.parameters / 1e9:.1f} billion."
            )

    def _check(self) -> None:
        if self.architecture not in ARCHITECTURES:
            known = "; ".join(f"{models} ({name})" for name, models in ARCHITECTURES.items())
            raise UsageError(
                f"{self.file.name} is of the architecture {self.architecture or 'nobody names'!r}, "
                f"which cannot be read here; there are: {known}."
            )
        if not self.value("tokenizer.chat_template"):
            raise UsageError(
                f"{self.file.name} has no chat template: it was not made to be asked. Take the "
                "instruct or chat model of that name."
            )
        if int(self.value("split.count", 0)) > 1:
            raise UsageError(
                f"{self.file.name} is one of {self.value('split.count')} parts; join them with "
                "llama.cpp's `llama-gguf-split --merge`, and give the whole."
            )
        # A file that is cut off has tensors that end behind it.
        size = self.file.stat().st_size
        if any(tensor.data_offset + tensor.n_bytes > size for tensor in self.reader.tensors):
            raise ValueError("tensors end behind the file")
