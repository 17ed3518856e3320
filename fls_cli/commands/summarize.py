"""`fls summarize`: recordings in short."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.options import common as options
from fls_cli.options.choices import LargeModel, Manners, Reading, Recordings, Results, Sampling
from fls_cli.options.groups import grouped
from fls_cli.session.evidence_files import Showing
from fls_cli.session.job import Job
from fls_cli.session.request import Request
from fls_cli.sources.prompts import parse_prompt
from fls_cli.writers.results import ffmetadata, summary_json, summary_text
from fls_models.core.results import STYLES, WORDED, Summary
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.answering.generation import GenerationConfig
    from fls_models.core.budget import Budget

_FFMETADATA = "ffmetadata"
_STYLES = (*STYLES, _FFMETADATA)


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
            help="brief, bullets, chapters with their start times, quotes word for word, actions "
            "(who has to do what), or ffmetadata: chapters as ffmpeg takes them.",
            autocompletion=lambda incomplete: [s for s in _STYLES if s.startswith(incomplete)],
        ),
    ] = "brief",
    length: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Sentences at most; topics are put together for fewer."
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Ask this of each topic instead: a name in \\[prompts] of the file of settings.",
        ),
    ] = None,
    prompt_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ask what this file says of each topic instead."),
    ] = None,
    reading: Reading,
    recordings: Recordings,
    as_json: options.Json = False,
    evidence: options.Evidence = None,
    clips: options.Clips = None,
    report: options.Report = None,
    results: Results,
    large: LargeModel,
    sampling: _Brief,
    manners: Manners,
) -> None:
    """Summarize recordings, topic by topic.

    Example: fls summarize podcasts/ --style chapters -o notes/
    """
    if style not in _STYLES:
        raise UsageError(f"There is no style {style!r}; there are: {', '.join(_STYLES)}.")
    if style == _FFMETADATA and as_json:
        raise UsageError("--style ffmetadata is a form of its own; leave --json out.")
    showing = Showing.parse(evidence, clips, report, as_json=as_json)
    wish = parse_prompt(prompt, prompt_file)
    if wish and style in (*WORDED, _FFMETADATA):
        raise UsageError(f"--style {style} has nothing to ask; leave --prompt or --style out.")
    request = Request(
        command="summarize",
        engine=reading.engine(large),
        budget=reading.budget,
        audio_range=recordings.audio_range,
        wish={
            "style": style,
            "manner": sampling.as_json(),
            "length": length,
            "prompt": wish,
            "showing": showing.as_json(),
        },
        suffix=_suffix(style, as_json=as_json),
        as_json=as_json,
        target_length=reading.target_length,
        speakers=recordings.voices.wish,
    )
    with manners.session(output=results.output, keep=recordings.keep, as_json=as_json) as session:
        task = _Task(style, length, wish, showing, reading.paid, sampling.config)
        runner = results.runner(session, ahead=recordings.jobs)
        runner.run(sources or [], recordings.from_file, request, task)
        session.finish()


@dataclass(frozen=True)
class _Task:
    """Summarises one recording, and shows what was asked for besides."""

    style: str
    length: int | None
    wish: str
    showing: Showing
    paid: Budget
    generation: GenerationConfig

    def __call__(self, job: Job) -> None:
        from fls_models.answering.summaries.summarize import summarise

        self.showing.check(job)
        hearing = job.hear()
        if not hearing.recording.speaks:
            job.say_silent(in_result=True)
        summary = summarise(
            job.model,
            job.source.name,
            hearing.recording,
            heard_in=hearing.seconds,
            style="chapters" if self.style == _FFMETADATA else self.style,
            budget=self.paid,
            generation=self.generation,
            length=self.length,
            wish=self.wish,
            progress=job.session.bars,
        )
        self._write(job, summary)
        self.showing.show(job, summary)
        told = len(summary.statements)
        if self.length is not None and 0 < told < self.length:
            job.session.say(
                f"{job.source.name}: there is matter for {told} of {self.length} sentences"
            )

    def _write(self, job: Job, summary: Summary) -> None:
        if job.request.as_json:
            job.write_json(summary_json(summary, self.style, job.flaws))
        elif self.style == _FFMETADATA:
            if job.many and job.output is None:
                raise UsageError(
                    "One ffmetadata file holds one recording; write them to a folder: -o notes/"
                )
            job.write(ffmetadata(summary.chapters))
        else:
            shown = self.showing.evidence if self.showing.printed else 0
            # A reply to the user's own prompt may be a list.
            form = "lines" if self.wish and self.style == "brief" else self.style
            job.write(summary_text(summary, form, shown))


def _suffix(style: str, *, as_json: bool) -> str:
    if style == _FFMETADATA:
        return ".ffmetadata"
    return ".summary.json" if as_json else ".md"
