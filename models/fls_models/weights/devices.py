"""On which device a model runs, and whether it fits there; said before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fls_models.errors import EnvironmentLacks
from fls_models.weights import card as cards
from fls_models.weights.card import FrameCard

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
# Files that a driver makes: without them nobody needs to import torch to ask for a GPU.
_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
# What runs besides weights, keys and values: windows in the tower, one layer's values, CUDA's own.
_WORKSPACE = 1.2e9

Free = Callable[[str], int]
"""Free memory of a CUDA device in bytes."""


@dataclass(frozen=True)
class Choice:
    """The model that `auto` stands for here, and why."""

    name: str
    reason: str


def is_device(text: str) -> bool:
    """Whether that names a device, there or not."""
    return _DEVICE.fullmatch(text) is not None


def count() -> int:
    """CUDA devices that torch can use."""
    if not any(driver.exists() for driver in _DRIVERS):
        return 0
    import warnings

    import torch

    # A driver that is too old is a warning and no device.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.cuda.device_count() if torch.cuda.is_available() else 0


def free_bytes(device: str) -> int:
    """Memory of a CUDA device that nobody uses."""
    import torch

    return int(torch.cuda.mem_get_info(torch.device(device))[0])


def needed_bytes(card: FrameCard, dtype: str, *, low_memory: bool) -> int:
    """Memory that a model takes with one full pass: weights, frames, keys and values."""
    weights = card.weights_gb[dtype if dtype in card.weights_gb else "bf16"]
    moved = low_memory * card.low_memory_gb
    taken = (weights - moved) * 1e9 + card.max_frames * card.token_bytes
    # All that the card counts in 16 bits has 32.
    return int(taken * (2 if dtype == "float32" else 1) + _WORKSPACE)


def place(
    card: FrameCard,
    device: str,
    dtype: str,
    *,
    low_memory: bool,
    devices: Callable[[], int] = count,
    free: Free = free_bytes,
) -> str:
    """The device that a model is to run on; `auto` is the CUDA device with the most free memory.

    Raises EnvironmentLacks when it is not there or has too little memory, with what would do.
    """
    if device == "cpu":
        return device
    there = devices()
    if not there:
        raise EnvironmentLacks(
            f"{card.name} needs an NVIDIA GPU, and PyTorch finds none; `fls doctor` says more. "
            "--model mini runs on any CPU, and --device cpu runs this one there, slowly."
        )
    if device == "auto":
        device = max((f"cuda:{i}" for i in range(there)), key=free)
    if device == "cuda":
        device = "cuda:0"
    if int(device.removeprefix("cuda:")) >= there:
        raise EnvironmentLacks(f"There is no {device}; there are {there}, from cuda:0.")
    needed, has = needed_bytes(card, dtype, low_memory=low_memory), free(device)
    if needed > has:
        raise EnvironmentLacks(
            f"{card.name} in {dtype} takes {needed / 1e9:.1f} GB and {device} has "
            f"{has / 1e9:.1f} GB free; {_fitting(card, dtype, has, low_memory=low_memory)}"
        )
    return device


def _fitting(card: FrameCard, dtype: str, has: int, *, low_memory: bool) -> str:
    """What would fit instead: options to put into the place of those given."""
    changed = ["--dtype nf4"] * (dtype != "nf4")
    # With nf4 and --low-memory, nothing is left to leave out.
    for low in (False, True):
        flags = changed + ["--low-memory"] * (low and not low_memory)
        needed = needed_bytes(card, "nf4", low_memory=low or low_memory)
        if flags and needed <= has:
            return f"{' '.join(flags)} takes {needed / 1e9:.1f} GB."
    for name in cards.names():
        other = cards.load(name)
        if isinstance(other, FrameCard) and name != card.name:
            needed = needed_bytes(other, "nf4", low_memory=True)
            if needed <= has:
                flags = [f"--model {name}", *changed, "--low-memory"]
                return f"{' '.join(flags)} takes {needed / 1e9:.1f} GB."
    return "--model mini runs on the CPU."


def choose(
    cache: Path,
    device: str,
    dtype: str,
    *,
    low_memory: bool,
    devices: Callable[[], int] = count,
    free: Free = free_bytes,
) -> Choice:
    """What `auto` stands for: `fastlongspeech` where it is installed and fits a GPU, else `mini`.

    It is never downloaded unasked: it is large.
    """
    from fls_models.weights import store as weights

    large = cards.load("fastlongspeech")
    small = cards.names()[0]
    assert isinstance(large, FrameCard)
    if device == "cpu" or not devices():
        return Choice(small, "the model that runs on any CPU")
    try:
        placed = place(large, device, dtype, low_memory=low_memory, devices=devices, free=free)
    except EnvironmentLacks:
        needed = needed_bytes(large, dtype, low_memory=low_memory)
        return Choice(small, f"as no GPU has the {needed / 1e9:.1f} GB free for {large.name}")
    if not weights.is_ready(large, cache, dtype):
        return Choice(
            small,
            f"as {large.name} is not downloaded; `fls models pull {large.name}` fetches about "
            f"{large.download_gb:g} GB for {placed}",
        )
    return Choice(large.name, f"as {placed} has {free(placed) / 1e9:.1f} GB free")
