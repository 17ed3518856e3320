"""A media file by its path, as the models take it: for those who listen in benches and training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def decoded(audio: Path) -> Iterator[NDArray[np.float32]]:
    """Blocks of 16 kHz mono float32; raises what `fls_cli.media.stream` does."""
    from fls_cli import media
    from fls_cli.inputs import open_sources

    # Absolute, so that no name is taken for an option, an address or a pipe.
    with open_sources([str(audio.absolute())]) as sources:
        for source in sources:
            yield from media.stream(source)
