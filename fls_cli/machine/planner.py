"""What a model takes for a recording, put together: which one it is, what it reads, how fast it is.

Nothing is downloaded or converted, and nothing is loaded unless there is something to measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fls_cli.machine.speed_profiles import Paces
from fls_cli.session import engine as engines
from fls_cli.session.engine import Engine
from fls_cli.session.hearing.speaker_wish import nobody_in_frames
from fls_cli.session.request import ListenRequest
from fls_cli.storage.paths import cache_folder
from fls_cli.writers.plan_table import Row
from fls_models.core.budget import NAMES
from fls_models.errors import EnvironmentLacks, FlsError

if TYPE_CHECKING:
    from pathlib import Path

    from fls_models.planning.plan import Pace, Planned, ReadsBy
    from fls_models.weights.card import Card
    from fls_models.weights.store import Installed, InstalledFrames


@dataclass(frozen=True)
class Plan:
    """What a question about a recording takes, by budget; paces where they are known."""

    audio_seconds: float
    budgets: Mapping[str, Planned]
    paces: Mapping[str, Pace | None]


class Planner:
    """Plans for one model. `again` measures its pace even if it is known; `speakers` says that who
    speaks is to be found out."""

    def __init__(
        self, engine: Engine, say: Callable[[str], None], *, again: bool, speakers: bool = False
    ) -> None:
        engines.check(engine)
        self._speakers = speakers
        self._engine = engine
        self._say = say
        self._installed, self.card, reason = _chosen(engine)
        say(f"planning for {self.card.name}{reason}")
        self._paces = None
        if self._installed is not None:
            self._paces = Paces(engine, self._installed, say, again=again)
        self._told = False

    def plan(self, request: ListenRequest, seconds: float) -> Plan:
        """A plan for so many seconds of audio.

        What is wrong with the recording itself is for the caller to find out before.
        """
        from fls_models.planning.plan import planned

        budgets = {name: planned(self.card, self._reads_by(name), name, seconds) for name in NAMES}
        ways = dict.fromkeys(part.reads_by for part in budgets.values())
        if self._speakers and "frames" in ways:
            raise nobody_in_frames(self.card.name)
        paces = {reads_by: self._pace(reads_by, request, seconds) for reads_by in ways}
        by_budget = {name: paces[part.reads_by] for name, part in budgets.items()}
        return Plan(seconds, budgets, by_budget)

    def rows(self, plans: Sequence[Plan]) -> list[Row]:
        """A row for each budget: of one recording, or of several that one command is asked of."""
        from fls_models.planning.plan_flops import plan_flops

        rows = []
        for name in NAMES:
            parts = [plan.budgets[name] for plan in plans]
            flops = [plan_flops(self.card, part) for part in parts]
            pace = plans[-1].paces[name]
            rows.append(
                Row(
                    name,
                    windows=sum(part.windows for part in parts),
                    reads_by=parts[0].reads_by,
                    length=sum(part.length for part in parts),
                    sections=sum(len(part.passes) for part in parts),
                    flops=sum(count or 0 for count in flops) if None not in flops else None,
                    memory_gb=self._memory_gb(),
                    seconds=self._expected(pace, parts),
                )
            )
        return rows

    def _expected(self, pace: Pace | None, parts: Sequence[Planned]) -> float | None:
        return None if pace is None else pace.expected(parts, speakers=self._speakers)

    def _reads_by(self, budget: str) -> ReadsBy:
        from fls_models.pipelines.build import reads_frames
        from fls_models.weights.store import connector

        running = replace(self._engine, budget=budget).running
        # A folder of the user's own has its own, or none.
        connector_folder = (
            connector(self.card) if self._installed is None else self._installed.connector
        )
        return "frames" if reads_frames(self.card, connector_folder, running) else "text"

    def _memory_gb(self) -> float:
        engine = self._engine
        needed = self.card.needed_bytes(engine.dtype, low_memory=engine.low_memory)
        return round(needed / 1e9, 1)

    def _pace(self, reads_by: ReadsBy, request: ListenRequest, seconds: float) -> Pace | None:
        try:
            if self._paces is None:
                raise EnvironmentLacks(
                    f"{self.card.name} is not downloaded; `fls models pull {self.card.name}` "
                    "does that"
                )
            return self._paces.pace(reads_by, request, seconds)
        except FlsError as error:
            if not self._told:
                self._say(f"no seconds are told: {error}")
            # A recording without speech says nothing of the next one.
            self._told = isinstance(error, EnvironmentLacks)
            return None


def _chosen(engine: Engine) -> tuple[Installed | InstalledFrames | None, Card, str]:
    """The weights, if they are there, the card, and why it is this one."""
    from fls_models.pipelines.build import check
    from fls_models.weights.store import store_of

    place = engines.folder_of(engine)
    if place is not None:
        installed = _in_folder(place)
        check(installed.card, engine.running)
        return installed, installed.card, ""
    card, reason = engines.choose(engine)
    store = store_of(card, cache_folder())
    return store.locate(engine.dtype) if store.is_ready(engine.dtype) else None, card, reason


def _in_folder(place: Path) -> Installed | InstalledFrames:
    from fls_models.weights.large import converted_config
    from fls_models.weights.user_folder import from_folder, has_parts

    whole = has_parts(place) or not (place / "config.json").is_file()
    if not whole and converted_config(place) is None:
        raise EnvironmentLacks(
            f"{place} is a checkpoint that has to be converted first, as its first `fls ask` does; "
            "plan with the name of the model that it is (`fls models list`)."
        )
    return from_folder(place, cache_folder())
