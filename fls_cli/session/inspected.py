"""What the extractor of a model makes of a source: for `fls inspect`, and for pages of answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from fls_cli.media.flaws import Flaw
from fls_cli.session.request import ListenRequest

if TYPE_CHECKING:
    from fls_models.answering.model import FrameExtractor
    from fls_models.core.progress import Progress
    from fls_models.extractor.inspection.inspection import Inspection


def inspected(
    model: FrameExtractor,
    wanted: ListenRequest,
    total: float | None,
    *,
    warn: Callable[[Flaw], None],
    progress: Progress,
) -> Inspection:
    """The recording as the model hears it for a question; heard now, whatever is kept of it.

    `total` is what `wanted.seconds` told. Raises what `media.stream` and
    `fls_models.pipelines.inspect.inspect` do.
    """
    from fls_models.pipelines.inspect import inspect

    with closing(wanted.decode(warn)) as blocks:
        return inspect(
            model,
            blocks,
            wanted.paid,
            start=wanted.stretch.start,
            total=total,
            progress=progress,
        )
