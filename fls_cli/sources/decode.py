"""A recording by its name, as the models take it: for Python, benches and training."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from fls_cli.console.text import printable
from fls_cli.media.stream import stream
from fls_cli.sources.resolve import open_sources
from fls_models.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def decode(
    location: str | Path,
    *,
    track: int | None = None,
    start: float = 0.0,
    end: float | None = None,
) -> Generator[NDArray[np.float32], None, None]:
    """Blocks of 16 kHz mono float32 of one file or http(s) address; otherwise as `stream`.

    A path is of a file, whatever it looks like.
    """
    name = str(location.absolute()) if isinstance(location, Path) else location
    with open_sources([name]) as sources:
        if len(sources) != 1:
            raise UsageError(f"{printable(name)}: name one recording, not a folder of them.")
        yield from stream(sources[0], track=track, start=start, end=end)
