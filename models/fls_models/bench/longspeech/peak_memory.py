"""The most memory that a stretch of work took: on a GPU the device's, else the process's own."""

import re
import resource
from contextlib import suppress
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"


class PeakMemory:
    """Counts from the last `begin`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def begin(self) -> None:
        """Forgets the peak so far. Where the kernel refuses that, it is the process's own."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            return
        with suppress(OSError):
            _CLEAR.write_text(_FORGET_PEAK)

    def bytes(self) -> int:
        """Bytes at most since then."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        with suppress(OSError):
            match = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
            if match:
                return 1024 * int(match[1])
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
