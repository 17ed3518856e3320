"""`fls plan`: what a question about recordings takes, before it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.options import common as options
from fls_cli.options.choices import LargeModel, Manners, Passage
from fls_cli.options.groups import grouped
from fls_cli.session.hearing.speaker_wish import SpeakerWish
from fls_cli.session.job import Job
from fls_cli.session.request import ListenRequest, Request
from fls_cli.session.runner import Runner
from fls_cli.writers.exact_names import json_line
from fls_cli.writers.plan_table import plan_json, table
from fls_models.errors import InputError

if TYPE_CHECKING:
    from fls_cli.machine.planner import Plan, Planner


@grouped
def plan(
    *,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE...",
            help="Files, folders, patterns, http(s) addresses or - for a pipe.",
            show_default=False,
        ),
    ] = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Measure how fast the model is here, even if that is known, on the first file.",
            rich_help_panel="Model",
        ),
    ] = False,
    model: options.Model = "auto",
    read: options.Read = "auto",
    language: options.Language = None,
    from_file: options.FromFile = None,
    speakers: options.Speakers = None,
    passage: Passage,
    as_json: options.Json = False,
    large: LargeModel,
    manners: Manners,
) -> None:
    """Tell what a question takes, before it is asked.

    At every budget: windows, passes, memory, and the seconds of `fls ask`. They are those of a
    first question about the whole recording. How fast the model is here is measured once, on the
    recording. No model is downloaded, --offline or not.

    Example: fls plan lecture.mp3
    """
    engine = large.engine(model, read)
    request = Request(
        command="plan",
        engine=engine,
        budget="balanced",
        audio_range=passage.audio_range(language),
        wish={},
        suffix=".plan.jsonl",
        as_json=as_json,
    )
    with manners.session(as_json=as_json) as session:
        from fls_cli.machine.planner import Planner

        wish = SpeakerWish.parse(speakers)
        planner = Planner(engine, session.say, again=measure, speakers=wish is not None)

        def task(job: Job) -> Plan:
            plan = planner.plan(job.listen_request, _seconds(job.listen_request))
            locations = {job.source.name: job.source.location}
            job.write(_text(planner, job.source.name, [plan], locations, as_json=as_json))
            return plan

        plans = [plan for _, plan in Runner(session).run(sources or [], from_file, request, task)]
        if session.source_count > 1 and len(plans) > 1:
            if not as_json:
                session.show("==> all recordings <==\n")
            session.show(_text(planner, None, plans, {}, as_json=as_json))
        session.finish()


def _text(
    planner: Planner,
    name: str | None,
    plans: Sequence[Plan],
    locations: Mapping[str, str],
    *,
    as_json: bool,
) -> str:
    rows = planner.rows(plans)
    if not as_json:
        return table(rows)
    seconds = sum(plan.audio_seconds for plan in plans)
    return json_line(plan_json(name, seconds, planner.card.name, rows), locations)


def _seconds(request: ListenRequest) -> float:
    """How long the stretch is that would be heard; the InputError that `fls ask` would raise."""
    request.check()
    seconds = request.seconds()
    if not seconds:
        raise InputError(
            f"{request.source.name}: it does not tell how long it is; say so with --end, or "
            "convert it to a format that does."
        )
    return seconds
