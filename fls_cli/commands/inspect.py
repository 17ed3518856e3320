"""`fls inspect`: what the extractor made of a recording, to look at."""

from __future__ import annotations

import json
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
from fls_cli.session.inspected import inspected
from fls_cli.session.request import ListenRequest
from fls_cli.session.session import Session
from fls_cli.sources.resolve import open_sources
from fls_cli.storage.files import check_place, write_atomically
from fls_cli.writers.exact_names import with_exact_names
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
    vocabulary: options.Vocabulary = None,
    manners: Manners,
) -> None:
    """Show what is heard, and which frames are fused.

    Over the time: the sound, how much each frame says, how many frames became one in each round of
    fusion, and the words that the CTC head reads. A model that reads frames is looked at.

    Example: fls inspect lecture.mp3 -o lecture.png
    """
    suffix = _suffix(output, as_json=as_json)
    engine = large.engine(model, "frames", vocabulary=vocabulary)
    stretch = passage.stretch(None)
    with manners.session(drawn=output is not None) as session:
        from fls_models.core.budget import Budget

        Budget(budget, target_length)
        try:
            with open_sources([file], note=session.say, progress=session.bars) as sources:
                if len(sources) != 1:
                    raise UsageError(f"{printable(file)}: name one recording, not several.")
                [source] = sources
                try:
                    check_readable(source)
                    wanted = ListenRequest(source, stretch, budget, target_length)
                    found = _inspected(session, engine, wanted)
                    if output is not None:
                        write_atomically(output, _drawn(found, wanted, suffix))
                    else:
                        _show(session, found, source, as_json=as_json)
                    session.is_whole(source, as_json=as_json)
                except InputError as error:
                    session.blame(source, error, as_json=as_json)
        except InputError as error:
            session.fail(printable(file), error, as_json=as_json, location=file)
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


def _inspected(session: Session, engine: Engine, wanted: ListenRequest) -> Inspection:
    """The recording as the model hears it for a question."""
    # A file that is none is told before a model is loaded.
    total = wanted.seconds()
    model = session.model_for(engine, wanted)
    from fls_models.pipelines.frames import FrameModel

    assert isinstance(model, FrameModel), "an engine that reads frames"
    warn = partial(session.warn, wanted.source)
    return inspected(model, wanted, total, warn=warn, progress=session.bars)


def _drawn(found: Inspection, wanted: ListenRequest, suffix: str) -> str | bytes:
    """What goes into the file."""
    name = wanted.source.name
    if suffix in PICTURES:
        from fls_models.extractor.inspection.picture import picture

        return picture(found, clean(name), suffix)
    from fls_cli.writers.pages.inspection_page import inspection_page
    from fls_cli.writers.pages.page_audio import page_audio

    # Decoded again: samples of hours are not kept. What is wrong with them was said before.
    with closing(wanted.decode(ignore)) as blocks:
        return inspection_page(found, name=name, audio=page_audio(blocks))


def _show(session: Session, found: Inspection, source: Source, *, as_json: bool) -> None:
    if as_json:
        locations = {source.name: source.location}
        told = with_exact_names(inspection_json(found, source.name), locations)
        session.show(json.dumps(told, ensure_ascii=False) + "\n")
        return
    width = shutil.get_terminal_size().columns
    alphabet = alphabet_for(sys.stdout.encoding)
    session.show("\n".join(inspection_lines(found, source.name, width, alphabet)) + "\n")
    if is_overview(found, width):
        session.say("an overview; --start and --end show a minute of it word by word")
