"""`fls summarize`: recordings in short."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fls_cli import options
from fls_cli.desk import Stretch, open_desk
from fls_cli.writers import summary_json, summary_text
from fls_models.errors import UsageError
from fls_models.results import STYLES


def summarize(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Files, folders, http(s) addresses or - for a pipe.",
            show_default=False,
        ),
    ],
    style: Annotated[
        str,
        typer.Option(
            "--style",
            help="brief, bullets, or chapters with their start times.",
            autocompletion=lambda incomplete: [s for s in STYLES if s.startswith(incomplete)],
        ),
    ] = "brief",
    budget: options.Budget = "balanced",
    target_length: options.TargetLength = None,
    model: options.Model = "auto",
    language: options.Language = None,
    track: options.Track = None,
    start: options.Start = None,
    end: options.End = None,
    as_json: options.Json = False,
    output: options.Output = None,
    max_tokens: options.MaxTokens = 160,
    temperature: options.Temperature = 0.0,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    offline: options.Offline = False,
) -> None:
    """Summarize recordings, topic by topic.

    Example: fls summarize podcasts/ --style chapters
    """
    if style not in STYLES:
        raise UsageError(f"There is no style {style!r}; there are: {', '.join(STYLES)}.")
    stretch = Stretch.parse(track, start, end, language)
    with open_desk(quiet=quiet, offline=offline, output=output) as desk:
        from fls_models.budget import Budget

        paid = Budget(budget, target_length)
        for source, count in desk.each(sources):
            with desk.attempt(source.name):
                loaded = desk.model(model)
                from fls_models.asking import Manner
                from fls_models.summarising import summarise

                listening = desk.listen(loaded, source, stretch, budget)
                summary = summarise(
                    loaded,
                    source.name,
                    listening.transcript(),
                    heard_in=listening.clock.seconds,
                    style=style,
                    budget=paid,
                    manner=Manner(max_tokens, temperature, seed),
                    progress=desk.bars,
                )
                if as_json:
                    found = summary_json(summary, style)
                    desk.show(json.dumps(found, ensure_ascii=False) + "\n")
                    continue
                if count > 1:
                    desk.show(f"==> {source.name} <==\n")
                desk.show(summary_text(summary, style))
        desk.finish()
