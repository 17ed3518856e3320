"""`fls inspect`: what the extractor made of a recording, to look at."""

from __future__ import annotations

import shutil
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.console.text import clean, printable
from fls_cli.media.source import Source, check_readable
from fls_cli.options import common as options
from fls_cli.options.choices import LargeModel, Manners, Passage
from fls_cli.options.groups import grouped
from fls_cli.session.engine import Engine
from fls_cli.session.request import ListenRequest
from fls_cli.session.session import Session
from fls_cli.sources.resolve import open_sources
from fls_cli.storage.files import check_place, write_atomically
from fls_cli.writers.exact_names import json_line
from fls_cli.writers.inspection_json import inspection_json
from fls_cli.writers.inspection_text import alphabet_for, inspection_lines, is_overview
from fls_models.core.optional import optional
from fls_models.core.progress import ignore
from fls_models.errors import InputError, UsageError

if TYPE_CHECKING:
    from fls_models.extractor.inspection.inspection import Inspection

PICTURES = (".png", ".svg")
PAGES = (".html",)


@grouped
def inspect_(
    *,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A recording: a file, an http(s) address or - for a pipe.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Draw it (.png, .svg), or make a page of it that also plays the sound (.html).",
            rich_help_panel="Output",
        ),
    ] = None,
    budget: options.Budget = "balanced",
    target_length: options.TargetFrames = None,
    model: options.Model = "auto",
    passage: Passage,
    as_json: options.Json = False,
    large: LargeModel,
    vocabulary: options.CtcVocabulary = None,
    manners: Manners,
) -> None:
    """Show what is heard, and which frames are fused.

    Over the time: the sound, how much each frame says, how many frames became one in each round of
    fusion, and the words that the CTC head reads. A model that reads frames is looked at.

    Example: fls inspect lecture.mp3 -o lecture.png
    """
    suffix = _suffix(output, as_json=as_json)
    engine = large.engine(model, "frames", vocabulary=vocabulary)
    audio_range = passage.audio_range(None)
    with manners.session(as_json=as_json, drawn=output is not None) as session:
        from fls_models.core.budget import Budget

        Budget(budget, target_length)
        try:
            with open_sources([file], note=session.say, progress=session.bars) as sources:
                if len(sources) != 1:
                    raise UsageError(f"{printable(file)}: name one recording, not several.")
                [source] = sources
                try:
                    check_readable(source)
                    request = ListenRequest(source, audio_range, budget, target_length)
                    inspection = _inspected(session, engine, request)
                    if output is not None:
                        write_atomically(output, _drawn(inspection, request, suffix))
                    else:
                        _show(session, inspection, source, as_json=as_json)
                    session.is_whole(source)
                except InputError as error:
                    session.blame(source, error)
        except InputError as error:
            session.fail(file, error)
        session.finish()


def _suffix(output: Path | None, *, as_json: bool) -> str:
    """What kind of file is wanted; UsageError where there is none such, or no place for it."""
    if output is None:
        return ""
    suffix = output.suffix.lower()
    if suffix not in PICTURES + PAGES:
        raise UsageError(
            f"-o {printable(str(output))}: its name ends in none of "
            f"{', '.join(PICTURES + PAGES)}; without -o it is drawn in the terminal."
        )
    if as_json:
        raise UsageError("--json prints numbers and -o draws them; leave one of them out.")
    check_place(output)
    if suffix in PICTURES:
        # Not after minutes of listening.
        optional("matplotlib", "A picture", otherwise="; a page (-o x.html) does without")
    return suffix


def _inspected(session: Session, engine: Engine, request: ListenRequest) -> Inspection:
    """The recording as the model hears it for a question."""
    # A file that is none is told before a model is loaded.
    total = request.seconds()
    model = session.model_for(engine, request)
    from fls_models.pipelines.frames import FrameModel

    assert isinstance(model, FrameModel), "an engine that reads frames"
    warn = partial(session.warn, request.source)
    return request.inspect(model, total, warn=warn, progress=session.bars)


def _drawn(inspection: Inspection, request: ListenRequest, suffix: str) -> str | bytes:
    """What goes into the file."""
    name = request.source.name
    if suffix in PICTURES:
        from fls_models.extractor.inspection.picture import picture

        return picture(inspection, clean(name), suffix)
    from fls_cli.writers.pages.inspection_page import inspection_page
    from fls_cli.writers.pages.page_audio import page_audio

    # Decoded again: samples of hours are not kept. What is wrong with them was said before.
    with closing(request.decode(ignore)) as blocks:
        return inspection_page(inspection, name=name, audio=page_audio(blocks))


def _show(session: Session, inspection: Inspection, source: Source, *, as_json: bool) -> None:
    if as_json:
        payload = inspection_json(inspection, source.name)
        session.show(json_line(payload, {source.name: source.location}))
        return
    width = shutil.get_terminal_size().columns
    alphabet = alphabet_for(sys.stdout.encoding)
    session.show("\n".join(inspection_lines(inspection, source.name, width, alphabet)) + "\n")
    if is_overview(inspection, width):
        session.say("an overview; --start and --end show a minute of it word by word")
