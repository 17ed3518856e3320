"""How much memory there is, where Linux says so."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")
_ROW = re.compile(r"^(\S+)\s+(\d+)", re.MULTILINE)
# Where limits of control groups lie, of version 2 and 1: the folder, then the files with the
# limit, with what is used of it, and with what of that is cached files, which make way.
_VERSION_2 = ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
_VERSION_1 = (
    "sys/fs/cgroup/memory",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "total_inactive_file",
)


@dataclass(frozen=True)
class Memory:
    """In bytes. `available`: what a process may take without anything being swapped out."""

    available: int
    total: int


def memory(root: Path = _ROOT) -> Memory | None:
    """The memory of the machine or of the control group (container) that is tighter.

    None where /proc/meminfo does not say. `root` is the folder that stands for `/`.
    """
    try:
        table = _table(root / "proc/meminfo")
        memory = Memory(table["MemAvailable:"] * 1024, table["MemTotal:"] * 1024)
    except (OSError, KeyError):
        return None
    for limit, used in _limits(root):
        left = max(0, limit - used)
        memory = Memory(min(memory.available, left), min(memory.total, limit))
    return memory


def _limits(root: Path) -> Iterator[tuple[int, int]]:
    """Limit and use in bytes of each control group that this process is in."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount, limit, used, cached = _VERSION_1 if controllers else _VERSION_2
        inside = Path(group.lstrip("/"))
        # Limits of the groups above hold, too. Inside a container its own group is the mount.
        for place in (inside, *inside.parents):
            folder = root / mount / place
            with suppress(OSError, ValueError, KeyError):
                limit_bytes = int((folder / limit).read_text())
                used_bytes = int((folder / used).read_text())
                yield limit_bytes, used_bytes - _table(folder / "memory.stat")[cached]


def _table(path: Path) -> dict[str, int]:
    """The lines that begin with a name and a number."""
    return {name: int(number) for name, number in _ROW.findall(path.read_text())}
