"""What a search found as clips: the passages cut out of their recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fls_cli.library.index import WHOLE
from fls_cli.library.search import Hit
from fls_cli.media.clips.clips import STAMP, clip_place, save_clip
from fls_cli.media.source import Source
from fls_cli.session.output_tree import place_all
from fls_cli.session.request import ListenRequest
from fls_cli.session.session import Session
from fls_cli.storage.files import check_folder
from fls_models.core.progress import ignore
from fls_models.core.results import Span
from fls_models.errors import InputError, UsageError


def cut_hits(
    session: Session, sources: Sequence[Source], hits: Sequence[Hit[Source]], folder: Path
) -> None:
    """Writes a clip of each passage, in a tree that mirrors that of all sources.

    What is wrong with one is said, and the others are written.
    """
    places = place_all(sources, folder, STAMP)
    for hit in hits:
        span = Span(hit.passage.start, hit.passage.end)
        audio_range = replace(WHOLE, start=span.start, end=span.end)
        clip = clip_place(places[hit.source], span)
        try:
            check_folder(clip.parent)
            blocks = ListenRequest(hit.source, audio_range, "balanced").decode(ignore)
            save_clip(blocks, clip)
        except (InputError, UsageError) as error:
            session.blame(hit.source, InputError(str(error)))
        else:
            session.say(f"wrote {clip}")
