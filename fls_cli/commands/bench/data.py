"""`fls bench longspeech-data`: long recordings with questions about them, from texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli import __version__
from fls_cli.options import common as options
from fls_cli.session.session import Session, open_session
from fls_cli.storage.files import check_folder
from fls_cli.training.common import Seed
from fls_cli.training.documents import Voices, say_texts
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.bench.dataset.plan import Plan
    from fls_models.bench.dataset.recordings import RecordingsFolder

# Changes when the same texts and seed give other recordings.
_FORM = "longspeech-data-1"


def longspeech_data(
    texts: Annotated[
        list[Path],
        typer.Argument(
            metavar="TEXTS...",
            help='English texts with questions: JSON lines {"turns": [{"speaker", "text"}]} or '
            '{"text": ...}, with "question", "choices", "answer", or "questions": '
            '[{"question", "answer"}]; texts without any fill up.',
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="For recordings, manifest.jsonl and a README."
        ),
    ],
    voices: Voices = "auto",
    seconds: Annotated[
        float,
        typer.Option("--seconds", metavar="MEAN", help="Of a recording, on average."),
    ] = 133.0,
    longest: Annotated[
        float, typer.Option("--longest", metavar="SECONDS", help="No recording is longer.")
    ] = 1000.0,
    tasks: Annotated[
        str,
        typer.Option(
            "--tasks",
            metavar="TASK,...",
            help="qa, dialogue, asr, summary: the last two of all recordings.",
        ),
    ] = "qa,dialogue",
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Only so many recordings.")
    ] = None,
    distort: Annotated[
        bool, typer.Option("--distort", help="Rooms, noise and telephones, as in training data.")
    ] = False,
    seed: Seed = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make all recordings in DIR anew.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a benchmark of long recordings from texts with questions.

    Synthetic voices read them. Documents are joined to recordings as long as those of
    LongSpeech-Eval. Prints the manifest, for fls bench longspeech-eval. Interrupted, the
    same command goes on.

    Example: fls bench longspeech-data spiral.jsonl -o long/
    """
    wanted = _tasks(tasks)
    if not (isfinite(seconds) and isfinite(longest) and 0 < seconds <= longest):
        raise UsageError("--seconds takes a number above 0, --longest one that is not below it.")
    check_folder(output)
    with open_session(quiet=quiet, offline=True) as session:
        from fls_cli.media.clips.flac import save_flac
        from fls_cli.media.ffmpeg.locate import find_ffmpeg
        from fls_cli.training import voices as speaking
        from fls_models.bench.dataset.plan import ASKING, Plan, plan
        from fls_models.bench.dataset.recordings import (
            MANIFEST,
            facts_of,
            open_recordings,
            write_facts,
        )
        from fls_models.training.data.documents import digest, read_documents

        documents = read_documents(texts)
        asks = any(task in ASKING for task in wanted)
        if asks and not any(one.questions for one in documents):
            raise UsageError(
                "These texts come without questions, so that there is nothing to ask; give JSON "
                "lines with questions, or --tasks asr."
            )
        # Better known now than after the first recording was spoken.
        find_ffmpeg()
        systems = speaking.find(voices)
        planned = plan(documents, mean=seconds, longest=longest, asks=asks, seed=seed)
        planned = Plan(planned.recordings[:limit], planned.left_out)
        recipe = {
            "form": _FORM,
            "texts": digest(documents),
            "voices": [f"{one.name}: {', '.join(one.speakers)}" for one in systems],
            "seconds": seconds,
            "longest": longest,
            "asks": asks,
            "distort": distort,
            "seed": seed,
        }
        say_texts(session, documents)
        spoken_by = ", ".join(one.name for one in systems)
        session.say(f"{len(planned.recordings)} recordings to be spoken by {spoken_by}")
        folder = open_recordings(output, recipe, fresh=fresh)
        with _telling(session, folder, planned):
            made = folder.make(
                planned,
                speaking.cast(systems),
                save_flac,
                seed=seed,
                longest=longest,
                distorts=distort,
                progress=session.bars,
            )
        lines = folder.write_manifest(planned, made, wanted)
        facts = facts_of(planned, documents, made, lines)
        write_facts(output, recipe, {"fls": __version__, **speaking.versions()}, facts)
        session.say(
            f"{facts['recordings']} recordings, {facts['mean_seconds']} s on average, "
            f"{facts['longest_seconds']} s at most; {len(lines)} lines"
        )
        if facts["questions_not_put"]:
            session.say(f"questions not put: {facts['questions_not_put']}; see {output}/README.md")
        session.show(f"{output / MANIFEST}\n")
        session.finish()


@contextmanager
def _telling(session: Session, folder: RecordingsFolder, plan: Plan) -> Iterator[None]:
    """Says what is there before, and what to do after Ctrl-C."""

    def there() -> int:
        return sum(folder.told(number + 1) is not None for number in range(len(plan.recordings)))

    if before := there():
        session.say(f"{before} of {len(plan.recordings)} recordings are there")
    try:
        yield
    except KeyboardInterrupt:
        session.say(
            f"interrupted; {there()} of {len(plan.recordings)} recordings are in {folder.place}, "
            "and the same command goes on"
        )
        raise


def _tasks(given: str) -> list[str]:
    from fls_models.bench.dataset.plan import TASKS

    names = list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    if not names or any(name not in TASKS for name in names):
        raise UsageError(f"--tasks takes {', '.join(TASKS)}, with commas, not {given!r}.")
    return names
