"""`fls transcribe`: what was said, with the times at which it was said."""

from __future__ import annotations

from typing import Annotated

import typer

from fls_cli.options import common as options
from fls_cli.options.choices import LargeModel, Manners, Passage
from fls_cli.options.groups import grouped
from fls_cli.session.engine import Engine
from fls_cli.session.job import Job
from fls_cli.session.request import Request
from fls_cli.session.runner import Runner
from fls_cli.session.session import open_session
from fls_cli.writers.results import FORMATS, render, sentence_line, transcript_json, txt
from fls_models.errors import UsageError


@grouped
def transcribe(
    *,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="Files, folders, patterns, http(s) addresses or - for a pipe.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="txt, srt, vtt or json.",
            autocompletion=lambda incomplete: [f for f in FORMATS if f.startswith(incomplete)],
        ),
    ] = "txt",
    words: Annotated[bool, typer.Option("--words", help="With the time of every word.")] = False,
    budget: options.Budget = "balanced",
    model: options.Model = "auto",
    read: options.Read = "auto",
    language: options.Language = None,
    from_file: options.FromFile = None,
    passage: Passage,
    jobs: options.Jobs = 1,
    keep: options.Cache = True,
    large: LargeModel,
    vocabulary: options.Vocabulary = None,
    output: options.Output = None,
    force: options.Force = False,
    manners: Manners,
) -> None:
    """Write down what is said. Text appears sentence by sentence, as it is understood.

    Example: fls transcribe talk.mp4 --format srt -o talk.srt
    """
    if form not in FORMATS:
        raise UsageError(f"There is no format {form!r}; there are: {', '.join(FORMATS)}.")
    request = Request(
        command="transcribe",
        engine=Engine(
            model, large.device, large.dtype, large.low_memory, large.head, vocabulary, read=read
        ),
        budget=budget,
        stretch=passage.stretch(language),
        wish={"form": form, "words": words},
        suffix=f".{form}",
        as_json=form == "json",
    )
    with open_session(
        quiet=manners.quiet, offline=manners.offline, output=output, keep=keep
    ) as session:
        from fls_models.core.budget import Budget

        Budget(budget)

        def task(job: Job) -> None:
            alone = not job.many or job.output is not None
            if form in ("srt", "vtt") and not alone:
                raise UsageError(
                    f"One {form} file holds one recording; write them to a folder: -o subtitles/"
                )
            listening = job.listen()
            name = job.source.name
            spoken = False
            if form == "txt" and not words:
                before = None
                for sentence in listening:
                    job.write(sentence_line(sentence, before))
                    before, spoken = sentence, True
                if not spoken:
                    job.write("")
            else:
                heard = listening.transcript()
                spoken = bool(txt(heard))
                if form == "json":
                    told = transcript_json(heard, name, words=words, flaws=job.flaws)
                    job.write(job.json_line(told, indent=2 if alone else None))
                else:
                    job.write(render(heard, name, form, words=words, flaws=job.flaws))
            if not spoken:
                job.say_silent()

        Runner(session, ahead=jobs, force=force).run(sources or [], from_file, request, task)
        session.finish()
