"""A model for Python programs: it is loaded by its name, and listens to recordings by theirs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fls_cli.session import engine as engines
from fls_cli.session.engine import Engine
from fls_cli.session.own_models import find_own_cards
from fls_cli.sources.decode import decode
from fls_models.core.cache import NULL_CACHE
from fls_models.core.progress import ignore

if TYPE_CHECKING:
    from fls_models.pipelines.base import Pipeline
    from fls_models.pipelines.recording import Recording


@dataclass(frozen=True)
class LoadedModel:
    """`model` listens to blocks of samples, this one to files and addresses."""

    model: Pipeline
    budget: str

    def listen(
        self,
        location: str | Path,
        *,
        track: int | None = None,
        start: float = 0.0,
        end: float | None = None,
        language: str | None = None,
    ) -> Recording:
        """Listens to one recording, from `start` to `end` in seconds, to ask about it.

        Raises what `fls_cli.media.stream.stream` does for a recording, and UsageError for a
        language that there is none of.
        """
        blocks = decode(location, track=track, start=start, end=end)
        return self.model.listen(blocks, name=str(location), language=language, budget=self.budget)


def load(
    name: str = "auto", *, budget: str = "balanced", device: str = "auto", dtype: str = "nf4"
) -> LoadedModel:
    """The model of a name or in a folder, its weights fetched first if need be; says nothing.

    `budget` is how much is heard and read. Raises what `fls_cli.session.engine.start` does.
    """
    find_own_cards()
    engine = Engine(name, device, dtype, budget=budget)
    model = engines.start(engine, offline=False, memory=NULL_CACHE, say=ignore, progress=ignore)
    return LoadedModel(model, budget)
