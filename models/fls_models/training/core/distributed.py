"""The processes of one run: who of them does what, and how they agree.

A launcher (`accelerate launch`, `torchrun`) starts the same command several times, on a GPU each.
They share out the batches of each update (`trainer`); whatever is to be done once, the first does.
Without a launcher there is one process, and nothing is loaded or waited for here.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from fls_models.core.optional import optional
from fls_models.errors import EnvironmentLacks, OthersGone, UsageError
from fls_models.weights import devices

if TYPE_CHECKING:
    from torch import Tensor

_Result = TypeVar("_Result")

# The others wait while the first encodes hours of speech, or evaluates.
_PATIENCE = timedelta(days=7)
# After this, whoever pressed Ctrl-C has reached this process as well.
_HEARD = 0.5


@dataclass(frozen=True)
class Processes:
    """What one of them knows; as it is made here, it is alone.

    All of them call `sum_`, `spread_`, `once` and `wait` in the same order. Each of these raises
    OthersGone when one has ended instead.

    Attributes:
        index: from 0 on.
        count: how many there are.
    """

    index: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        return self.index == 0

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """Puts the sum over all processes into the place of each tensor."""
        if self.count > 1:
            import torch
            from accelerate.utils import reduce  # type: ignore[import-untyped]

            with _together(), torch.no_grad():
                for tensor in tensors:
                    tensor.copy_(reduce(tensor.contiguous(), "sum"))

    def spread_(self, tensors: Iterable[Tensor]) -> None:
        """Puts the first process's tensors into the place of all others'."""
        if self.count > 1:
            import torch
            from accelerate.utils import broadcast

            with _together(), torch.no_grad():
                for tensor in tensors:
                    tensor.copy_(broadcast(tensor.detach().clone().contiguous()))

    def once(self, make: Callable[[], _Result]) -> _Result:
        """What the first process makes, in all of them; the others wait for it."""
        if self.count == 1:
            return make()
        from accelerate.utils import broadcast_object_list

        payload: list[Any] = [make() if self.is_first else None]
        with _together():
            broadcast_object_list(payload)
        result: _Result = payload[0]
        return result

    def wait(self) -> None:
        """Until all of them are here."""
        if self.count > 1:
            import torch

            self.sum_([torch.zeros(())])

    @contextmanager
    def first_ahead(self) -> Iterator[None]:
        """The first process does what is within; then all others do, and find what it left."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()


ALONE = Processes()


def launched() -> int:
    """How many processes a launcher started, of which this is one; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def own_device(device: str, count: Callable[[], int] = devices.count) -> str:
    """The device that is this process's where all were asked to run on `device`.

    With several processes, `auto` and `cuda` stand for a GPU of its own for each.

    Raises UsageError where all would take the same GPU.
    """
    if launched() == 1:
        return device
    if device.startswith("cuda:"):
        raise UsageError(
            f"--device {device}: {launched()} processes take a GPU each; leave --device out, and "
            "choose among GPUs by CUDA_VISIBLE_DEVICES."
        )
    if device == "cuda" or (device == "auto" and count()):
        return f"cuda:{int(os.environ.get('LOCAL_RANK') or 0)}"
    return device


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """All processes that the launcher started, once each is here; this one alone without any.

    Args:
        device: where this one trains, `own_device` or what comes of it.

    Raises:
        EnvironmentLacks: accelerate is not installed, or does not know the launcher.
    """
    if launched() == 1:
        yield ALONE
        return
    accelerate = optional("accelerate", f"Training in {launched()} processes")
    # Its functions have the group of the moment of its import as a default, and the group's threads
    # stay as long as that: the process could abort at its end.
    importlib.import_module("torch.distributed.nn.functional")
    on_gpu = device.startswith("cuda")
    # What is said between processes goes by the CPU: it fails where one has ended, and a GPU
    # would wait.
    backend = "cuda:nccl,cpu:gloo" if on_gpu else "gloo"
    state = accelerate.PartialState(cpu=not on_gpu, backend=backend, timeout=_PATIENCE)
    processes = Processes(int(state.process_index), int(state.num_processes))
    if processes.count != launched():
        raise EnvironmentLacks(
            f"WORLD_SIZE is {launched()}, but no launcher is known that sets it; start training "
            "with `accelerate launch` or `torchrun`."
        )
    yield processes
    # Not after an error: others may be waiting for what does not come.
    processes.wait()
    state.destroy_process_group()


@contextmanager
def _together() -> Iterator[None]:
    """Within it, all processes exchange something."""
    try:
        yield
    except RuntimeError as error:
        # If the user has ended the other, this one is to hear of that, not of what followed.
        time.sleep(_HEARD)
        raise OthersGone(
            "Another of the processes that train together has ended; what it said tells why, and "
            f"the same command goes on ({str(error).strip().splitlines()[0]})."
        ) from error
