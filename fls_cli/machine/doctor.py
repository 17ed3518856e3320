"""What `fls` needs of a machine, and what to do where it is missing; a function for each.

Nothing is downloaded or written, and nothing heavier is done than importing torch.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Literal, TypeAlias

from fls_cli.console.sizes import size_text
from fls_cli.media.ffmpeg.locate import choose_ffmpeg
from fls_cli.session import engine as engines
from fls_cli.session.engine import Engine
from fls_cli.storage import resources as machine
from fls_cli.storage import settings
from fls_cli.storage.paths import cache_folder, config_file
from fls_models.core.machine.memory import memory
from fls_models.core.optional import installing
from fls_models.errors import UsageError
from fls_models.weights import card
from fls_models.weights.card import Card

# A problem is something missing that is needed.
State: TypeAlias = Literal["ok", "optional", "problem"]
Verdict: TypeAlias = tuple[State, str]


def checks() -> Iterator[tuple[str, Callable[[], Verdict]]]:
    """Every check by name, to be run one by one: any of them may raise anything."""
    yield "ffmpeg", _ffmpeg
    yield "python", _python
    yield "torch", _torch
    yield "hearing", _hearing
    yield "cuda", _cuda
    yield "bitsandbytes", _bitsandbytes
    yield "memory", _memory
    yield "disk", _disk
    for name in card.names():
        yield f"model {name}", partial(_model, name)
    yield "cache", _cache
    yield "config", _config


def _ffmpeg() -> Verdict:
    ffmpeg = choose_ffmpeg()
    return "ok", f"{ffmpeg.version or 'of unknown version'}, {ffmpeg.why}: {ffmpeg.path}"


def _python() -> Verdict:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return "ok", version
    return "problem", f"{version}, but fls needs 3.11, 3.12 or 3.13; install it with one of these"


def _torch() -> Verdict:
    try:
        import torch
    # A library that is missing or does not fit raises OSError, and a broken install anything.
    except Exception as error:
        return "problem", (
            f"it does not load ({reason(error)}); `{installing('--force-reinstall', 'torch')}` "
            "may repair it"
        )
    threads = torch.get_num_threads()
    return "ok", f"{torch.__version__}, {threads} thread{'s' * (threads != 1)}"


def _hearing() -> Verdict:
    from fls_models.core.machine.processor import multiplies_bfloat16

    try:
        fast = multiplies_bfloat16()
    except Exception:
        return "optional", "unknown while torch does not load"
    if fast:
        return "ok", "Whisper by torch in bfloat16, for which this processor has instructions"
    return "ok", "Whisper by torch in float32; this processor has no instructions for bfloat16"


def _cuda() -> Verdict:
    devices = _devices()
    if devices is None:
        return "optional", "unknown while torch does not load"
    if not devices:
        return "optional", "none found; models that run on any CPU do without"
    return "ok", ", ".join(devices)


def _devices() -> list[str] | None:
    """Name and memory of each device; None when torch does not load."""
    try:
        import torch
    except Exception:
        return None
    # A driver that is too old is a warning and no device.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not torch.cuda.is_available():
            return []
        devices = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
        return [f"{device.name} with {_gb(device.total_memory)}" for device in devices]


def _bitsandbytes() -> Verdict:
    try:
        return "ok", metadata.version("bitsandbytes")
    except metadata.PackageNotFoundError:
        pass
    for_cuda = [name for name in card.shipped_names() if "CUDA" in card.load(name).runs_on]
    if for_cuda and _devices():
        return "problem", (
            f"not installed, but {', '.join(for_cuda)} needs it; `{installing('bitsandbytes')}` "
            "provides it"
        )
    return "optional", "not installed; only models for CUDA need it"


def _memory() -> Verdict:
    there, model = memory(), _chosen_model()
    takes = f"{model.name} takes {model.memory_gb:g} GB"
    if not model.reads_text:
        text = f"{_gb(there.available)} available" if there else "unknown on this system"
        return "optional", f"{text}; {takes} of the device"
    if there is None:
        return "optional", f"unknown on this system; {takes}"
    text = f"{_gb(there.available)} of {_gb(there.total)} available"
    if there.available < model.memory_gb * 1e9:
        return "problem", f"{text}, but {takes}; close something else"
    return "ok", f"{text}; {takes}"


def _disk() -> Verdict:
    from fls_models.weights.store import store_of

    cache, model = cache_folder(), _chosen_model()
    free, needed = machine.free_disk(cache), store_of(model, cache).room()
    text = f"{_gb(free)} free for {cache}"
    if free < needed:
        return "problem", (
            f"{text}, but fetching {model.name} takes {_gb(needed)} for a while; free some, or "
            "set FLS_CACHE to another disk"
        )
    return "ok", text


def _model(name: str) -> Verdict:
    from fls_models.weights.downloads import size_of
    from fls_models.weights.store import store_of

    model_card = card.load(name)
    store = store_of(model_card, cache_folder())
    if not store.is_ready():
        size = size_text(store.bytes_to_fetch(), about=bool(store.dtypes))
        text = f"{size} to download, as `fls models pull {name}` does"
        needed = model_card == _chosen_model() and _setting("offline") is True
        return ("problem", f"{text}, but offline is set") if needed else ("optional", text)
    size_on_disk = sum(size_of(folder) for folder in store.folders())
    return "ok", f"downloaded, {size_text(size_on_disk)}"


def _cache() -> Verdict:
    cache = cache_folder()
    place = machine.existing(cache)
    if not place.is_dir():
        return "problem", f"{place} is no folder; set FLS_CACHE to one"
    if not os.access(place, os.W_OK | os.X_OK):
        return "problem", f"{place} cannot be written to; set FLS_CACHE to a folder that can"
    return "ok", f"{cache} can be written to" if place == cache else f"{cache} can be made"


def _config() -> Verdict:
    file = config_file()
    choices = settings.chosen()
    model = str(_setting("model"))
    if model != "auto" and not Path(model).is_dir():
        card.load(model)
    if file is None or not file.exists():
        return "optional", "no file; `fls config --init` writes one to fill in"
    names = [choice.setting.name for choice in choices if choice.source == str(file)]
    return "ok", f"{file} sets {', '.join(names) or 'nothing'}"


def _setting(name: str) -> settings.Value:
    """What is set, or the default while settings cannot be read."""
    try:
        return next(choice.value for choice in settings.chosen() if choice.setting.name == name)
    except UsageError:
        return settings.find(name).default


def _chosen_model() -> Card:
    """The card of the model that commands use; the default's for a folder and a wrong name."""
    name = str(_setting("model"))
    return engines.choose(Engine(name if name in card.names() else "auto"))[0]


def reason(error: Exception) -> str:
    """What went wrong, with the kind of error for those that say nothing."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _gb(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
