"""`fls transcribe`: what was said, with the times at which it was said."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fls_cli import options
from fls_cli.desk import Stretch, open_desk
from fls_cli.writers import FORMATS, render, sentence_line, transcript_json
from fls_models.errors import UsageError


def transcribe(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Files, folders, http(s) addresses or - for a pipe.",
            show_default=False,
        ),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="txt, srt, vtt or json.",
            autocompletion=lambda incomplete: [f for f in FORMATS if f.startswith(incomplete)],
        ),
    ] = "txt",
    words: Annotated[bool, typer.Option("--words", help="With the time of every word.")] = False,
    budget: options.Budget = "balanced",
    model: options.Model = "auto",
    language: options.Language = None,
    track: options.Track = None,
    start: options.Start = None,
    end: options.End = None,
    output: options.Output = None,
    quiet: options.Quiet = False,
    offline: options.Offline = False,
) -> None:
    """Write down what is said. Text appears sentence by sentence, as it is understood.

    Example: fls transcribe talk.mp4 --format srt -o talk.srt
    """
    if form not in FORMATS:
        raise UsageError(f"There is no format {form!r}; there are: {', '.join(FORMATS)}.")
    stretch = Stretch.parse(track, start, end, language)
    with open_desk(quiet=quiet, offline=offline, output=output) as desk:
        from fls_models.budget import Budget

        Budget(budget)
        for source, count in desk.each(sources):
            with desk.attempt(source.name):
                loaded = desk.model(model)
                if form in ("srt", "vtt") and count > 1:
                    raise UsageError(
                        f"One {form} file holds one recording; name one source, or use a loop."
                    )
                listening = desk.listen(loaded, source, stretch, budget)
                if form == "json" and count > 1:
                    found = transcript_json(listening.transcript(), source.name, words=words)
                    desk.show(json.dumps(found, ensure_ascii=False) + "\n")
                    continue
                if form != "txt" or words:
                    desk.show(render(listening.transcript(), source.name, form, words=words))
                    continue
                heading = f"==> {source.name} <==\n" if count > 1 else ""
                before = None
                for sentence in listening:
                    desk.show(heading + sentence_line(sentence, before))
                    heading, before = "", sentence
                if before is None:
                    desk.show(heading)
                    desk.say(f"{source.name}: no speech was found in it")
        desk.finish()
