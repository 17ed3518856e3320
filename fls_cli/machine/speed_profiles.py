"""How fast a model is on this machine: kept from an earlier plan, or measured now, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from fls_cli.session import engine as engines
from fls_cli.session.engine import Engine
from fls_cli.session.request import ListenRequest
from fls_cli.storage.cache import key, open_cache
from fls_models.core.cache import NULL_CACHE
from fls_models.core.progress import ignore
from fls_models.errors import EnvironmentLacks
from fls_models.weights import devices

if TYPE_CHECKING:
    from fls_models.planning.plan import Pace, ReadsBy
    from fls_models.weights.store import Installed, InstalledFrames

KIND = "paces"
# Changes when the same machine would be measured to be of another pace.
FORM = "pace-3"
# What every command that answers has imported by the time it loads a model.
_IMPORTS = "import fls_cli.app, fls_models.answering.answerer"


@dataclass
class Paces:
    """Paces of one installed model, by how it reads. `again` measures what is known already."""

    engine: Engine
    installed: Installed | InstalledFrames
    say: Callable[[str], None]
    again: bool
    _paces: dict[str, Pace] = field(default_factory=dict)

    def pace(self, reads_by: ReadsBy, request: ListenRequest, seconds: float) -> Pace:
        """The pace at which this model is read to; measured on `wanted` where nobody knows it.

        What was measured on very little is measured again on more. Raises `NothingSaid` where
        there is nothing to measure on, and what starting the model and decoding do.
        """
        from fls_models.planning.plan import Pace

        pace = self._paces.get(reads_by)
        if pace is None and not self.again:
            cached = open_cache().get(KIND, self._key(reads_by))
            pace = None if cached is None else Pace.from_json(json.loads(cached))
        if pace is None or (_is_short(pace) and seconds > 2 * pace.audio_seconds):
            pace = self._measured(reads_by, request, seconds)
            open_cache().put(KIND, self._key(reads_by), json.dumps(pace.as_json()).encode())
        self._paces[reads_by] = pace
        return pace

    def _measured(self, reads_by: ReadsBy, request: ListenRequest, seconds: float) -> Pace:
        from fls_models.planning.profiling import SAMPLE_SECONDS, measure

        length = min(seconds, SAMPLE_SECONDS)
        name = self.installed.card.name
        self.say(
            f"measuring once how fast {name} is here, on {length:.0f} s from the middle of "
            f"{request.source.name}; this takes about a minute"
        )
        model = engines.start(
            self._own_engine(reads_by),
            offline=True,
            memory=NULL_CACHE,
            say=ignore,
            progress=ignore,
        )
        with closing(_middle(request, seconds, length).decode(ignore)) as blocks:
            return measure(model, blocks, start=_start_seconds())

    def _own_engine(self, reads_by: ReadsBy) -> Engine:
        engine = self.engine
        if engine.model == "auto":
            engine = replace(engine, model=self.installed.card.name)
        return replace(engine, read=reads_by)

    def _key(self, reads_by: ReadsBy) -> str:
        from fls_models.weights.store import fingerprint

        engine = self.engine
        return key(
            form=FORM,
            weights=[fingerprint(folder) for folder in self.installed.folders(reads_by)],
            reads_by=reads_by,
            device=engine.device,
            low_memory=engine.low_memory,
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


def _is_short(pace: Pace) -> bool:
    from fls_models.planning.plan import ENOUGH_SECONDS

    return pace.audio_seconds < ENOUGH_SECONDS


def _middle(request: ListenRequest, seconds: float, length: float) -> ListenRequest:
    """So many seconds from the middle, as what is first and last is often music."""
    begin = request.audio_range.start + (seconds - length) / 2
    return replace(
        request, audio_range=replace(request.audio_range, start=begin, end=begin + length)
    )


def _start_seconds() -> float:
    """Seconds from a process that begins to one that has imported everything and is gone."""
    road = os.pathsep.join(filter(None, sys.path))
    start = perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", _IMPORTS],
        env={**os.environ, "PYTHONPATH": road},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if process.returncode:
        raise EnvironmentLacks(
            f"{sys.executable} does not start another process as this one; `fls doctor` may say "
            "what is missing."
        )
    return perf_counter() - start
