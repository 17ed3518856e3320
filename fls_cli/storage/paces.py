"""How fast models are on this machine, as `fls plan` measured them once."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fls_cli.storage.cache import key, open_cache
from fls_models.weights import devices

if TYPE_CHECKING:
    from fls_models.planning.plan import Pace

KIND = "paces"
# Changes when the same machine would be measured to be of another pace.
FORM = "pace-4"


def known_pace(
    folders: Sequence[Path], *, reads_by: str, device: str, low_memory: bool
) -> Pace | None:
    """That of a model whose weights lie in these folders; None where nobody measured it."""
    cached = open_cache().get(KIND, _key(folders, reads_by, device, low_memory=low_memory))
    if cached is None:
        return None
    from fls_models.planning.plan import Pace

    return Pace.from_json(json.loads(cached))


def keep_pace(
    pace: Pace, folders: Sequence[Path], *, reads_by: str, device: str, low_memory: bool
) -> None:
    """For `known_pace`."""
    content = json.dumps(pace.as_json()).encode()
    open_cache().put(KIND, _key(folders, reads_by, device, low_memory=low_memory), content)


def _key(folders: Sequence[Path], reads_by: str, device: str, *, low_memory: bool) -> str:
    from fls_models.weights.store import fingerprint

    return key(
        form=FORM,
        weights=[fingerprint(folder) for folder in folders],
        reads_by=reads_by,
        device=device,
        low_memory=low_memory,
        machine=machine_told(),
    )


def machine_told() -> dict[str, Any]:
    """What a pace depends on besides the model: processor, threads, GPUs, libraries."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "gpus": _gpus(),
        **{name: metadata.version(name) for name in ("torch", "ctranslate2", "transformers")},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, os.uname().machine)


def _gpus() -> list[str]:
    count = devices.count()
    if not count:
        return []
    import torch

    return [torch.cuda.get_device_name(i) for i in range(count)]
