"""`fls ask`: questions about recordings."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from fls_cli import options
from fls_cli.desk import Stretch, open_desk
from fls_cli.inputs import printable
from fls_cli.output import clean
from fls_cli.writers import answer_text
from fls_models.errors import UsageError


def ask(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE... QUESTION",
            help="Files, folders, http(s) addresses or - for a pipe; the question comes last.",
            show_default=False,
        ),
    ],
    question: Annotated[
        list[str] | None,
        typer.Option(
            "--question",
            "-q",
            metavar="TEXT",
            help="A question; repeat it for several. Then all arguments are sources.",
            show_default=False,
        ),
    ] = None,
    budget: options.Budget = "balanced",
    target_length: options.TargetLength = None,
    model: options.Model = "auto",
    language: options.Language = None,
    track: options.Track = None,
    start: options.Start = None,
    end: options.End = None,
    as_json: options.Json = False,
    output: options.Output = None,
    max_tokens: options.MaxTokens = 256,
    temperature: options.Temperature = 0.0,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    offline: options.Offline = False,
) -> None:
    """Answer questions about recordings. The recording is heard once for all of them.

    Example: fls ask lecture.mp3 "What is the main argument?"
    """
    sources, questions = _split(arguments, question or [])
    stretch = Stretch.parse(track, start, end, language)
    with open_desk(quiet=quiet, offline=offline, output=output) as desk:
        from fls_models.budget import Budget

        paid = Budget(budget, target_length)
        for source, count in desk.each(sources):
            with desk.attempt(source.name):
                loaded = desk.model(model)
                from fls_models.asking import Asking, Manner

                listening = desk.listen(loaded, source, stretch, budget)
                asking = Asking(
                    loaded,
                    source.name,
                    listening.transcript(),
                    heard_in=listening.clock.seconds,
                    budget=paid,
                    manner=Manner(max_tokens, temperature, seed),
                    progress=desk.bars,
                )
                if count > 1 and not as_json:
                    desk.show(f"==> {source.name} <==\n")
                for text in questions:
                    if len(questions) > 1 and not as_json:
                        desk.show(f"> {text}\n")
                    if as_json:
                        answer = asking.answer(text)
                        told = {**answer.as_json(), "answer": answer_text(answer).strip()}
                        desk.show(json.dumps(told, ensure_ascii=False) + "\n")
                    elif desk.streams:
                        asking.answer(text, lambda piece: desk.show(clean(piece)))
                        desk.show("\n")
                    else:
                        desk.show(answer_text(asking.answer(text)))
        desk.finish()


def _split(arguments: list[str], questions: list[str]) -> tuple[list[str], list[str]]:
    if not questions:
        if len(arguments) < 2:
            raise UsageError(
                'A recording and a question are needed: fls ask lecture.mp3 "What is it about?"'
            )
        arguments, questions = arguments[:-1], arguments[-1:]
        if os.path.exists(questions[0]):
            raise UsageError(
                f"The question comes last, but {printable(questions[0])} is a recording to read; "
                "is the question missing?"
            )
    # Arguments may hold anything, even bytes that no text encoding knows.
    questions = [clean(text) for text in questions]
    if not all(text.strip() for text in questions):
        raise UsageError("The question is empty.")
    return arguments, questions
