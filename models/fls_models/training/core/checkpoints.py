"""What a training run keeps: parameters and moments as safetensors, the rest as JSON; no pickles.

`state.json` names the files that belong to it and is replaced last, all or nothing: whatever
happens meanwhile, the folder holds one whole checkpoint. When there is one is `trainer`'s affair.
"""

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fls_models.core.files import lacks_room, replacing
from fls_models.errors import DiskFull, EnvironmentLacks, UsageError
from fls_models.training.core.optimizer import Optimiser

_STATE = "state.json"
_FORM = 1
_FILE = re.compile(r"(best|state)-[0-9]{7}\.safetensors(\.part)?")


@dataclass(frozen=True)
class State:
    """How far a run is.

    Attributes:
        step: updates made.
        evaluated: the last of them that was evaluated.
        loss: of the last update.
        best, best_step: the lowest evaluation and after which step; 0 for none.
    """

    step: int = 0
    evaluated: int = 0
    loss: float = math.inf
    best: float = math.inf
    best_step: int = 0


def find(folder: Path, identity: Mapping[str, object]) -> State | None:
    """The checkpoint in a folder, if there is one.

    Raises UsageError when it is of another run or cannot be read.
    """
    try:
        raw = json.loads((folder / _STATE).read_text("utf-8"))
        state, saved = State(**raw["state"]), dict(raw["identity"])
        if raw["form"] != _FORM:
            raise ValueError(f"form {raw['form']}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error
    # As it comes out of a file: tuples are lists there.
    requested = json.loads(json.dumps(identity))
    if saved != requested:
        pairs = [(name, saved.get(name), requested.get(name)) for name in {**saved, **requested}]
        differences = ", ".join(
            f"{name} {old!r}, not {new!r}" for name, old, new in pairs if old != new
        )
        raise UsageError(
            f"{folder} holds a training run with {differences}. --fresh begins anew there; another "
            "folder keeps both."
        )
    return state


def save(
    folder: Path,
    state: State,
    identity: Mapping[str, object],
    parameters: Mapping[str, nn.Parameter],
    optimiser: Optimiser,
) -> None:
    """Keeps a checkpoint in the place of the one before; the best parameters where they are new.

    Raises DiskFull, or EnvironmentLacks when the folder cannot be written to.
    """
    if not state.step:
        return
    values = {name: parameter.detach().contiguous() for name, parameter in parameters.items()}
    tensors = {f"parameter.{name}": value for name, value in values.items()} | optimiser.moments()
    payload = {"form": _FORM, "state": asdict(state), "identity": dict(identity)}
    try:
        _write(_kept_file(folder, state), lambda path: save_file(tensors, path))
        if state.best_step == state.step:
            _write(best_file(folder, state), lambda path: save_file(values, path))
        text = json.dumps(payload, indent=1)
        _write(folder / _STATE, lambda path: path.write_text(text, "utf-8"))
    except (OSError, SafetensorError) as error:
        raise unwritten(folder, error) from error
    for file in _files(folder) - {_kept_file(folder, state), best_file(folder, state)}:
        file.unlink(missing_ok=True)


def load(
    folder: Path,
    state: State,
    parameters: Mapping[str, nn.Parameter],
    optimiser: Optimiser,
) -> None:
    """Puts kept values and moments into the place of those that are there.

    Raises UsageError when the files are not those of these parameters.
    """
    try:
        tensors = load_file(_kept_file(folder, state))
        for name, parameter in parameters.items():
            value = tensors[f"parameter.{name}"]
            if value.shape != parameter.shape or value.dtype != parameter.dtype:
                raise ValueError(f"{name} is {value.dtype} {tuple(value.shape)}")
            with torch.no_grad():
                parameter.copy_(value)
        optimiser.remember(tensors)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _damaged(folder, error) from error


def fill(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    """Gives each parameter the value of its name."""
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(values[name])


def forget(folder: Path) -> None:
    """Removes a run's checkpoint, and nothing else."""
    # First, because it names the others.
    (folder / _STATE).unlink(missing_ok=True)
    for file in _files(folder):
        file.unlink(missing_ok=True)


def best_file(folder: Path, state: State) -> Path:
    """Where the best parameters lie, by their names."""
    return folder / f"best-{state.best_step:07d}.safetensors"


def _kept_file(folder: Path, state: State) -> Path:
    return folder / f"state-{state.step:07d}.safetensors"


def _files(folder: Path) -> set[Path]:
    return {file for file in folder.glob("*.safetensors*") if _FILE.fullmatch(file.name)}


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    with replacing(path) as part:
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())


def _damaged(folder: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{folder} holds a training run that cannot be read ({error}); --fresh begins anew."
    )


def unwritten(folder: Path, error: Exception) -> EnvironmentLacks:
    """What to raise where a run's folder takes no more."""
    if lacks_room(error):
        return DiskFull(f"No room left in {folder}; free some, and the same command goes on.")
    return EnvironmentLacks(f"{folder} cannot be written ({error}); choose another folder.")
