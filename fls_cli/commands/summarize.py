"""`fls summarize`: recordings in short."""

from __future__ import annotations

from typing import Annotated

import typer

from fls_cli.options import common as options
from fls_cli.options.choices import LargeModel, Manners, Passage, Sampling
from fls_cli.options.groups import grouped
from fls_cli.session.engine import Engine
from fls_cli.session.job import Job
from fls_cli.session.request import Request
from fls_cli.session.runner import Runner
from fls_cli.session.session import open_session
from fls_cli.writers.results import summary_json, summary_text
from fls_models.core.results import STYLES
from fls_models.errors import UsageError


@grouped
def summarize(
    *,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="Files, folders, patterns, http(s) addresses or - for a pipe.",
            show_default=False,
        ),
    ] = None,
    style: Annotated[
        str,
        typer.Option(
            "--style",
            metavar="STYLE",
            help="brief, bullets, or chapters with their start times.",
            autocompletion=lambda incomplete: [s for s in STYLES if s.startswith(incomplete)],
        ),
    ] = "brief",
    budget: options.Budget = "balanced",
    target_length: options.TargetLength = None,
    model: options.Model = "auto",
    read: options.Read = "auto",
    language: options.Language = None,
    from_file: options.FromFile = None,
    passage: Passage,
    jobs: options.Jobs = 1,
    keep: options.Cache = True,
    as_json: options.Json = False,
    output: options.Output = None,
    force: options.Force = False,
    large: LargeModel,
    max_tokens: options.MaxTokens = 160,
    sampling: Sampling,
    manners: Manners,
) -> None:
    """Summarize recordings, topic by topic.

    Example: fls summarize podcasts/ --style chapters -o notes/
    """
    if style not in STYLES:
        raise UsageError(f"There is no style {style!r}; there are: {', '.join(STYLES)}.")
    request = Request(
        command="summarize",
        engine=Engine(
            model,
            large.device,
            large.dtype,
            large.low_memory,
            large.head,
            read=read,
            budget=None if target_length else budget,
        ),
        budget=budget,
        stretch=passage.stretch(language),
        wish={
            "style": style,
            "manner": [max_tokens, sampling.temperature, sampling.seed],
        },
        suffix=".summary.json" if as_json else ".md",
        as_json=as_json,
        target_length=target_length,
    )
    with open_session(
        quiet=manners.quiet, offline=manners.offline, output=output, keep=keep
    ) as session:
        from fls_models.core.budget import Budget

        paid = Budget(budget, target_length)

        def task(job: Job) -> None:
            from fls_models.answering.answerer import GenerationConfig
            from fls_models.answering.summarize import summarise

            hearing = job.hear()
            if not hearing.heard.speaks:
                job.say_silent(in_result=True)
            summary = summarise(
                job.model,
                job.source.name,
                hearing.heard,
                heard_in=hearing.seconds,
                style=style,
                budget=paid,
                manner=GenerationConfig(max_tokens, sampling.temperature, sampling.seed),
                progress=session.bars,
            )
            if as_json:
                job.write(job.json_line(summary_json(summary, style, job.flaws)))
            else:
                job.write(summary_text(summary, style))

        Runner(session, ahead=jobs, force=force).run(sources or [], from_file, request, task)
        session.finish()
