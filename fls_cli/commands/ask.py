"""`fls ask`: questions about recordings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fls_cli.console.text import clean, printable
from fls_cli.library.choosing import Choosing
from fls_cli.media.flaws import Flaw
from fls_cli.media.source import Source
from fls_cli.options import common as options
from fls_cli.options.choices import LargeModel, Manners, Reading, Recordings, Results, Sampling
from fls_cli.options.groups import grouped
from fls_cli.session.evidence_files import Showing
from fls_cli.session.job import Job
from fls_cli.session.request import Request
from fls_cli.sources.patterns import is_pattern, matches
from fls_cli.writers.exact_names import json_line
from fls_cli.writers.results import answer_json, answer_text, evidence_text
from fls_models.core.results import NOT_SAID
from fls_models.core.timestamps import clock_time
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.answering.answerer import Answerer
    from fls_models.answering.generation import GenerationConfig
    from fls_models.core.budget import Budget
    from fls_models.core.results import Answer


@grouped
def ask(
    *,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE... QUESTION",
            help="Files, folders, patterns, http(s) addresses or - for a pipe; the question comes "
            "last.",
            show_default=False,
        ),
    ] = None,
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
    reading: Reading,
    recordings: Recordings,
    as_json: options.Json = False,
    evidence: options.Evidence = None,
    clips: options.Clips = None,
    report: options.Report = None,
    results: Results,
    large: LargeModel,
    no_compress: options.Compress = False,
    rope: options.Rope = "ntk",
    sampling: Sampling,
    every: Annotated[
        bool, typer.Option("--all", help="Read every recording, also of more than ten.")
    ] = False,
    manners: Manners,
) -> None:
    """Answer questions about recordings. Each recording is heard once for all of them.

    Several recordings are asked one by one and then put together; of more than ten, those in which
    most words of the question were said.

    Example: fls ask lecture.mp3 "What is the main argument?"
    """
    if rope != "ntk":
        raise UsageError(f"--rope takes ntk, not {rope!r}.")
    showing = Showing.parse(evidence, clips, report, as_json=as_json)
    listed = recordings.from_file is not None
    sources, questions = _split(arguments or [], question or [], listed=listed)
    request = Request(
        command="ask",
        engine=reading.engine(large, compress=not no_compress),
        budget=reading.budget,
        audio_range=recordings.audio_range,
        wish={
            "questions": questions,
            "manner": sampling.as_json(),
            "showing": showing.as_json(),
        },
        suffix=".answers.jsonl" if as_json else ".answers.txt",
        as_json=as_json,
        target_length=reading.target_length,
        speakers=recordings.voices.wish,
    )
    with manners.session(output=results.output, keep=recordings.keep, as_json=as_json) as session:
        generation = sampling.config
        task = partial(
            _answers, questions=questions, showing=showing, paid=reading.paid, generation=generation
        )
        choosing = Choosing(session, request, questions)
        runner = results.runner(session, ahead=recordings.jobs)
        select = None if every else choosing
        done = runner.run(sources, recordings.from_file, request, task, select)
        if session.source_count > 1 and len(done) > 1 and not results.shard:
            _over_all(choosing, done, generation)
        session.finish()


def _answers(
    job: Job,
    *,
    questions: Sequence[str],
    showing: Showing,
    paid: Budget,
    generation: GenerationConfig,
) -> list[dict[str, Any]]:
    """Puts the questions to one recording, and shows what was asked for besides answers."""
    from fls_models.answering.answerer import Answerer

    showing.check(job)
    hearing = job.hear()
    if not hearing.recording.speaks:
        job.say_silent(in_result=True)
    answerer = Answerer(
        job.model,
        job.source.name,
        hearing.recording,
        heard_in=hearing.seconds,
        budget=paid,
        generation=generation,
        evidence=showing.evidence,
        progress=job.session.bars,
    )
    headed, quoted = len(questions) > 1, showing.printed
    answers = [_put(answerer, text, job, headed=headed, quoted=quoted) for text in questions]
    showing.show(job, answers)
    return [_kept(answer) for answer in answers]


def _put(answerer: Answerer, question: str, job: Job, *, headed: bool, quoted: bool) -> Answer:
    """Writes the answer to one question, with a heading and its evidence if they are wanted."""
    as_json = job.request.as_json
    if headed and not as_json:
        job.write(f"> {question}\n")
    ending = next((flaw for flaw in job.flaws if flaw.kind == "cut off"), None)
    if job.streams and not as_json and ending is None:
        answer = answerer.answer(question, lambda piece: job.write(clean(piece)))
        job.write("\n")
    else:
        answer = answerer.answer(question)
        if ending is not None and answer.answer == NOT_SAID:
            answer = replace(answer, answer=_not_said_until(ending))
        if as_json:
            job.write_json(answer_json(answer, job.flaws))
        else:
            job.write(answer_text(answer))
    if quoted and not as_json:
        job.write(evidence_text(answer))
    return answer


def _not_said_until(ending: Flaw) -> str:
    at = "" if ending.start is None else f" at {clock_time(ending.start)}"
    return f"The recording is cut off{at}; up to there it does not say."


def _kept(answer: Answer) -> dict[str, Any]:
    """What of an answer is needed to put recordings together."""
    return {
        "answered": answer.answered,
        "answer": answer_text(answer).strip(),
        "strength": answer.strength,
        "evidence": answer_json(answer)["evidence"],
    }


def _over_all(
    choosing: Choosing, done: Sequence[tuple[Source, Any]], generation: GenerationConfig
) -> None:
    """Shows one answer from all recordings, or those that were chosen, to each question."""
    from fls_models.answering.across_recordings import RecordingAnswer, gather

    session, request, questions = choosing.session, choosing.request, choosing.questions
    if not request.as_json:
        session.show("==> all recordings <==\n")
    for turn, text in enumerate(questions):
        answers = {source.name: parts[turn] for source, parts in done}
        if len(questions) > 1 and not request.as_json:
            session.show(f"> {text}\n")
        voices = [
            RecordingAnswer(name, answer["answered"], answer["answer"], answer["strength"])
            for name, answer in answers.items()
        ]
        summary = gather(lambda: session.model(request.engine), text, voices, generation=generation)
        if request.as_json:
            evidence = [
                {"source": name, **passage}
                for name in summary.sources
                for passage in answers[name]["evidence"]
            ]
            texts: dict[str, Any] = {"answer": clean(summary.answer).strip(), "evidence": evidence}
            if choosing.of is not None:
                texts["recordings"] = {"read": choosing.read, "of": choosing.of}
            locations = {source.name: source.location for source, _ in done}
            session.show(json_line({**summary.as_json(), **texts}, locations))
            continue
        session.show(clean(summary.answer).strip() + "\n")
        for name in summary.sources:
            session.show(f"- {name}\n")


def _split(
    arguments: list[str], questions: list[str], *, listed: bool
) -> tuple[list[str], list[str]]:
    if not questions:
        if len(arguments) < (1 if listed else 2):
            raise UsageError(
                'A recording and a question are needed: fls ask lecture.mp3 "What is it about?"'
            )
        arguments, questions = arguments[:-1], arguments[-1:]
        if os.path.exists(questions[0]):
            raise UsageError(
                f"The question comes last, but {printable(questions[0])} is a recording to read; "
                "is the question missing?"
            )
    for text in arguments:
        if _may_be_question(text):
            raise UsageError(
                f"There is no recording {printable(text)!r}; if it is a question, give each of "
                'several with -q: fls ask lecture.mp3 -q "Who speaks?" -q "What about?"'
            )
    # Arguments may hold anything, even bytes that no text encoding knows.
    questions = [clean(text) for text in questions]
    if not all(text.strip() for text in questions):
        raise UsageError("The question is empty.")
    return arguments, questions


def _may_be_question(text: str) -> bool:
    """Whether an argument in the place of a source reads like a sentence, and names nothing."""
    asks = text.rstrip().endswith(("?", "？", "؟"))
    if len(text.split()) < 2 or not (asks or ("/" not in text and not PurePath(text).suffix)):
        return False
    return not os.path.lexists(text) and not (is_pattern(text) and matches(text))
