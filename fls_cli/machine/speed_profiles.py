"""How fast a model is on this machine: kept from an earlier plan, or measured now, once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from fls_cli.session import engine as engines
from fls_cli.session.engine import Engine
from fls_cli.session.request import ListenRequest
from fls_cli.storage.paces import keep_pace, known_pace
from fls_models.core.cache import NULL_CACHE
from fls_models.core.progress import ignore
from fls_models.errors import EnvironmentLacks

if TYPE_CHECKING:
    from fls_models.planning.plan import Pace, ReadsBy
    from fls_models.weights.store import Installed, InstalledFrames

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
        pace = self._paces.get(reads_by)
        if pace is None and not self.again:
            pace = known_pace(**self._where(reads_by))
        if pace is None or (_is_short(pace) and seconds > 2 * pace.audio_seconds):
            pace = self._measured(reads_by, request, seconds)
            keep_pace(pace, **self._where(reads_by))
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

    def _where(self, reads_by: ReadsBy) -> dict[str, Any]:
        engine, folders = self.engine, self.installed.folders(reads_by)
        place = {"device": engine.device, "low_memory": engine.low_memory}
        return {"folders": folders, "reads_by": reads_by, **place}


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
