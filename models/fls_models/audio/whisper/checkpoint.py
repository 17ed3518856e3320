"""A CTranslate2 model file, read without CTranslate2, as tensors by its names."""

import mmap
import struct
from pathlib import Path

import torch
from torch import Tensor

_VERSION = 6
_TYPES = {
    0: torch.float32,
    1: torch.int8,
    2: torch.int16,
    3: torch.int32,
    4: torch.float16,
    5: torch.bfloat16,
}


def read_variables(file: Path, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """All variables of a `model.bin`; floating-point ones as `dtype`.

    Raises ValueError for another version of the form.
    """
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY) as raw:
        return _variables(raw, dtype)


def _variables(raw: mmap.mmap, dtype: torch.dtype) -> dict[str, Tensor]:
    place = 0

    def number(form: str) -> int:
        nonlocal place
        [value] = struct.unpack_from(f"<{form}", raw, place)
        place += struct.calcsize(form)
        return int(value)

    def text() -> str:
        nonlocal place
        length = number("H")
        # It ends with a zero byte.
        value = raw[place : place + length - 1].decode()
        place += length
        return value

    if (version := number("I")) != _VERSION:
        raise ValueError(f"CTranslate2's form {version} is not known, only {_VERSION}")
    text(), number("I")
    variables: dict[str, Tensor] = {}
    for _ in range(number("I")):
        name, rank = text(), number("B")
        shape = [number("I") for _ in range(rank)]
        kind, size = _TYPES[number("B")], number("I")
        stored = torch.frombuffer(raw, dtype=kind, offset=place, count=size // kind.itemsize)
        stored = stored.reshape(shape)
        variables[name] = stored.to(dtype, copy=True) if kind.is_floating_point else stored.clone()
        del stored
        place += size
    # What is equal is there once, under the other names, too.
    for _ in range(number("I")):
        alias = text()
        variables[alias] = variables[text()]
    return variables
