"""`fls transcribe`: what was said, with the times at which it was said."""

from functools import partial
from typing import Annotated

import typer

from fls_cli.options import common as options
from fls_cli.options.choices import LargeModel, Manners, Recordings, Results
from fls_cli.options.groups import grouped
from fls_cli.session.job import Job
from fls_cli.session.request import Request
from fls_cli.session.runner import Runner
from fls_cli.writers.results import FORMATS, render, sentence_line, transcript_json, txt
from fls_models.core.budget import Budget
from fls_models.errors import UsageError


@grouped
def transcribe(
    *,
    sources: options.Sources = None,
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
    if form not in FORMATS:
        raise UsageError(f"There is no format {form!r}; there are: {', '.join(FORMATS)}.")
    request = Request(
        command="transcribe",
        engine=large.engine(model, read, vocabulary=vocabulary),
        budget=budget,
        audio_range=recordings.audio_range,
        wish={"form": form, "words": words},
        suffix=f".{form}",
        as_json=form == "json",
        speakers=recordings.voices.wish,
    )
    with manners.session(
        output=results.output, keep=recordings.keep, as_json=request.as_json
    ) as session:
        Budget(budget)
        runner = Runner(session, ahead=recordings.jobs, force=results.force)
        task = partial(_write, form=form, words=words)
        runner.run(sources or [], recordings.from_file, request, task)
        session.finish()


def _write(job: Job, form: str, *, words: bool) -> None:
    """Writes down one recording; plain text as it comes."""
    alone = not job.many or job.output is not None
    if form in ("srt", "vtt") and not alone:
        raise UsageError(
            f"One {form} file holds one recording; write them to a folder: -o subtitles/"
        )
    if form == "txt" and not words and job.request.speakers is None:
        if not _write_as_it_comes(job):
            job.say_silent()
        return
    name, transcript = job.source.name, job.transcript()
    if form == "json":
        payload = transcript_json(transcript, name, words=words, flaws=job.flaws, turns=job.turns)
        job.write_json(payload, indent=2 if alone else None)
    else:
        job.write(render(transcript, name, form, words=words, flaws=job.flaws))
    if not txt(transcript):
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
