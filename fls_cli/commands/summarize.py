"""`fls summarize`: recordings in short."""

from dataclasses import dataclass
from typing import Annotated

import typer

from fls_cli.options import common as options
from fls_cli.options.choices import LargeModel, Manners, Reading, Recordings, Results, Sampling
from fls_cli.options.groups import grouped
from fls_cli.session.job import Job
from fls_cli.session.request import Request
from fls_cli.session.runner import Runner
from fls_cli.writers.results import summary_json, summary_text
from fls_models.core.results import STYLES
from fls_models.errors import UsageError


@dataclass(frozen=True)
class _Brief(Sampling):
    max_tokens: options.MaxTokens = 160


@grouped
def summarize(
    *,
    sources: options.Sources = None,
    style: Annotated[
        str,
        typer.Option(
            metavar="STYLE",
            help="brief, bullets, or chapters with their start times.",
            autocompletion=lambda incomplete: [s for s in STYLES if s.startswith(incomplete)],
        ),
    ] = "brief",
    reading: Reading,
    recordings: Recordings,
    as_json: options.Json = False,
    results: Results,
    large: LargeModel,
    sampling: _Brief,
    manners: Manners,
) -> None:
    """Summarize recordings, topic by topic.

    Example: fls summarize podcasts/ --style chapters -o notes/
    """
    if style not in STYLES:
        raise UsageError(f"There is no style {style!r}; there are: {', '.join(STYLES)}.")
    request = Request(
        command="summarize",
        engine=reading.engine(large),
        budget=reading.budget,
        audio_range=recordings.audio_range,
        wish={"style": style, "manner": sampling.as_json()},
        suffix=".summary.json" if as_json else ".md",
        as_json=as_json,
        target_length=reading.target_length,
        speakers=recordings.voices.wish,
    )
    with manners.session(output=results.output, keep=recordings.keep, as_json=as_json) as session:
        paid = reading.paid

        def task(job: Job) -> None:
            from fls_models.answering.summarize import summarise

            hearing = job.hear()
            if not hearing.recording.speaks:
                job.say_silent(in_result=True)
            summary = summarise(
                job.model,
                job.source.name,
                hearing.recording,
                heard_in=hearing.seconds,
                style=style,
                budget=paid,
                generation=sampling.config,
                progress=session.bars,
            )
            if as_json:
                job.write_json(summary_json(summary, style, job.flaws))
            else:
                job.write(summary_text(summary, style))

        runner = Runner(session, ahead=recordings.jobs, force=results.force)
        runner.run(sources or [], recordings.from_file, request, task)
        session.finish()
