"""What this machine has: instructions, where Linux says so, and room on disks."""

import os
import shutil
from pathlib import Path

ROOT = Path("/")


def instructions(root: Path = ROOT) -> frozenset[str]:
    """What the processor can do, as /proc/cpuinfo calls it, without what torch is kept from."""
    try:
        text = (root / "proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    names = next((value.split() for name, _, value in lines if name.strip() == "flags"), [])
    if os.environ.get("ATEN_CPU_CAPABILITY", "avx512") != "avx512":
        names = [name for name in names if not name.startswith(("avx512", "amx"))]
    return frozenset(names)


def existing(folder: Path) -> Path:
    """The folder itself, or the closest one above it that is there."""
    return next(place for place in (folder, *folder.parents) if os.path.lexists(place))


def free_disk(folder: Path) -> int:
    """Bytes that fit into a folder, which need not be there yet. Raises OSError."""
    return shutil.disk_usage(existing(folder)).free
