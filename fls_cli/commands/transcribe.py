"""`fls transcribe`: what was said, with the times at which it was said."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from fls_cli.console.text import clean
from fls_cli.options import common as options
from fls_cli.options.choices import LargeModel, Manners, Recordings, Results
from fls_cli.options.groups import grouped
from fls_cli.session.job import Job
from fls_cli.session.request import Request
from fls_cli.writers.transcripts.cues import SCREEN, Screen
from fls_cli.writers.transcripts.forms import (
    FORMATS,
    SINGLE,
    parse_forms,
    render,
    transcript_json,
)
from fls_cli.writers.transcripts.texts import sentence_line
from fls_cli.writers.transcripts.writing import Writing
from fls_models.core.budget import Budget
from fls_models.errors import UsageError


@dataclass(frozen=True)
class Form:
    """In which forms, and how wide."""

    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT,...",
            help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}; several with commas, or all, into a "
            "folder. What -o's name ends in unless given, or txt.",
            show_default=False,
            autocompletion=lambda incomplete: [f for f in FORMATS if f.startswith(incomplete)],
        ),
    ] = None
    words: Annotated[
        bool, typer.Option("--words", help="With the time of every word, but in md.")
    ] = False
    max_line_width: Annotated[
        int,
        typer.Option(metavar="N", min=8, max=1000, help="Columns of a subtitle's line at most."),
    ] = SCREEN.columns
    max_line_count: Annotated[
        int, typer.Option(metavar="N", min=1, max=10, help="Lines of a subtitle at most.")
    ] = SCREEN.lines

    def forms(self, output: str | None) -> tuple[str, ...]:
        """Those that are asked for, or that of the file that is written; raises UsageError."""
        suffix = Path(output or "").suffix[1:].lower()
        named = suffix in FORMATS and not Path(output or "").is_dir()
        if self.form is None:
            return (suffix,) if named else ("txt",)
        forms = parse_forms(self.form)
        if named and suffix not in (*forms, "txt"):
            raise UsageError(
                f"{clean(output or '')} would hold {forms[0]}, as --format says; let its name end "
                f"in .{forms[0]}, or leave --format out."
            )
        return forms

    @property
    def screen(self) -> Screen:
        return Screen(self.max_line_width, self.max_line_count)

    def as_json(self, forms: Sequence[str]) -> dict[str, Any]:
        """What results depend on."""
        wish: dict[str, Any] = {"form": ",".join(forms), "words": self.words}
        return wish if self.screen == SCREEN else wish | {"screen": asdict(self.screen)}


@grouped
def transcribe(
    *,
    sources: options.Sources = None,
    form: Form,
    budget: options.Budget = "balanced",
    model: options.Model = "auto",
    read: options.Read = "auto",
    recordings: Recordings,
    large: LargeModel,
    vocabulary: options.CtcVocabulary = None,
    results: Results,
    manners: Manners,
) -> None:
    """Write down what is said. Text appears sentence by sentence, as it is understood.

    With --speakers, when all is heard: who says what is known only then.

    Example: fls transcribe talk.mp4 --format srt -o talk.srt
    """
    forms = form.forms(results.output)
    request = Request(
        command="transcribe",
        engine=large.engine(model, read, vocabulary=vocabulary),
        budget=budget,
        audio_range=recordings.audio_range,
        wish=form.as_json(forms),
        suffix=f".{forms[0]}",
        as_json=forms == ("json",),
        speakers=recordings.voices.wish,
        more_suffixes=tuple(f".{more}" for more in forms[1:]),
    )
    with manners.session(
        output=results.output, keep=recordings.keep, as_json=request.as_json
    ) as session:
        Budget(budget)
        runner = results.runner(session, ahead=recordings.jobs)
        task = partial(_write, forms=forms, form=form)
        runner.run(sources or [], recordings.from_file, request, task)
        session.finish()


def _write(job: Job, forms: Sequence[str], form: Form) -> None:
    """Writes down one recording; plain text as it comes."""
    alone = not job.many or job.output is not None
    if len(forms) > 1 and job.output is None:
        folder = Path(job.session.output or "texts").with_suffix("").name
        raise UsageError(f"Several formats are several files; write them to a folder: -o {folder}/")
    if not alone and forms[0] in SINGLE:
        raise UsageError(
            f"One {forms[0]} file holds one recording; write them to a folder: -o subtitles/"
        )
    if forms == ("txt",) and not form.words and not job.names_speakers:
        if not _write_as_it_comes(job):
            job.say_silent()
        return
    writing = Writing(
        job.transcript(),
        job.source.name,
        words=form.words,
        screen=form.screen,
        flaws=job.flaws,
        turns=job.turns,
        date=job.source.date,
    )
    for place, name in enumerate(forms):
        if place:
            job.write_beside(f".{name}", render(writing, name))
        elif name == "json":
            job.write_json(transcript_json(writing), indent=2 if alone else None)
        else:
            job.write(render(writing, name))
    if not writing.sentences:
        job.say_silent()


def _write_as_it_comes(job: Job) -> bool:
    """Whether anything was said."""
    before = None
    for sentence in job.listen():
        job.write(sentence_line(sentence, before))
        before = sentence
    if before is None:
        job.write("")
    return before is not None
