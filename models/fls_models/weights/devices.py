"""On which device a model runs, and whether it fits there; said before anything is loaded."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fls_models.errors import EnvironmentLacks
from fls_models.weights import card as cards
from fls_models.weights.card import Card

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
# Files that a driver makes: without them nobody needs to import torch to ask for a GPU.
_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))

Free = Callable[[str], int]
"""Free memory of a CUDA device in bytes."""


@dataclass(frozen=True)
class Choice:
    """The model for a GPU that `auto` stands for, and why; without a name, why it is none.

    Without a reason, too, there is no GPU to speak of.
    """

    name: str | None
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


def place(
    card: Card,
    device: str,
    dtype: str,
    *,
    low_memory: bool,
    devices: Callable[[], int] = count,
    free: Free = free_bytes,
) -> str:
    """The device that a model is to run on; `auto` is the CUDA device with the most free memory,
    but the CPU for what reads text.

    Raises EnvironmentLacks when it is not there or has too little memory, with what would do.
    """
    if device == "cpu" or card.reads_text:
        return "cpu"
    device_count = devices()
    if not device_count:
        raise EnvironmentLacks(
            f"{card.name} needs an NVIDIA GPU, and PyTorch finds none; `fls doctor` says more. "
            "--model mini runs on any CPU, and --device cpu runs this one there, slowly."
        )
    if device == "auto":
        device = max((f"cuda:{i}" for i in range(device_count)), key=free)
    if device == "cuda":
        device = "cuda:0"
    if int(device.removeprefix("cuda:")) >= device_count:
        raise EnvironmentLacks(f"There is no {device}; there are {device_count}, from cuda:0.")
    required, memory = card.needed_bytes(dtype, low_memory=low_memory), free(device)
    if required > memory:
        raise EnvironmentLacks(
            f"{card.name} in {dtype} takes {required / 1e9:.1f} GB and {device} has "
            f"{memory / 1e9:.1f} GB free; {_fitting(card, dtype, memory, low_memory=low_memory)}"
        )
    return device


def _fitting(card: Card, dtype: str, memory: int, *, low_memory: bool) -> str:
    """What would fit instead: options to put into the place of those given."""
    dtype_flags = ["--dtype nf4"] * (dtype != "nf4")
    # With nf4 and --low-memory, nothing is left to leave out.
    for low in (False, True):
        flags = dtype_flags + ["--low-memory"] * (low and not low_memory)
        required = card.needed_bytes("nf4", low_memory=low or low_memory)
        if flags and required <= memory:
            return f"{' '.join(flags)} takes {required / 1e9:.1f} GB."
    for name in cards.shipped_names():
        candidate = cards.load(name)
        if not candidate.reads_text and name != card.name:
            required = candidate.needed_bytes("nf4", low_memory=True)
            if required <= memory:
                flags = [f"--model {name}", *dtype_flags, "--low-memory"]
                return f"{' '.join(flags)} takes {required / 1e9:.1f} GB."
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
    """What `auto` stands for: `fastlongspeech` where it is installed and fits a GPU, else none.

    It is never downloaded unasked: it is large.
    """
    from fls_models.weights.store import store_of

    large = cards.load("fastlongspeech")
    if device == "cpu" or not devices():
        return Choice(None, "")
    try:
        cuda_device = place(large, device, dtype, low_memory=low_memory, devices=devices, free=free)
    except EnvironmentLacks:
        required = large.needed_bytes(dtype, low_memory=low_memory)
        return Choice(None, f"as no GPU has the {required / 1e9:.1f} GB free for {large.name}")
    store = store_of(large, cache)
    if not store.is_ready(dtype):
        return Choice(
            None,
            f"as {large.name} is not downloaded; `fls models pull {large.name}` fetches about "
            f"{store.bytes_to_fetch(dtype) / 1e9:g} GB for {cuda_device}",
        )
    return Choice(large.name, f"as {cuda_device} has {free(cuda_device) / 1e9:.1f} GB free")
