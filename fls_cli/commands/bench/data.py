"""`fls bench longspeech-data`: long recordings with questions about them, from texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli import __version__
from fls_cli.options import common as options
from fls_cli.options.bench import listed
from fls_cli.options.groups import grouped
from fls_cli.session.session import Session, open_session
from fls_cli.storage.files import check_folder
from fls_cli.training.options import Seed, Voices
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.bench.dataset.plan import Plan
    from fls_models.bench.dataset.recordings import RecordingsFolder
    from fls_models.training.data.documents import Document

# Changes when the same texts and seed give other recordings.
_FORM = "longspeech-data-1"


@dataclass(frozen=True)
class _Shape:
    """Of the benchmark: recordings of which length, how many, and what for."""

    seconds: Annotated[float, typer.Option(metavar="MEAN", help="Of a recording, on average.")] = (
        133.0
    )
    longest: Annotated[float, typer.Option(metavar="SECONDS", help="No recording is longer.")] = (
        1000.0
    )
    tasks: Annotated[
        str,
        typer.Option(
            metavar="TASK,...", help="qa, dialogue, asr, summary: the last two of all recordings."
        ),
    ] = "qa,dialogue"
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only so many recordings.")
    ] = None
    distort: Annotated[
        bool, typer.Option("--distort", help="Rooms, noise and telephones, as in training data.")
    ] = False

    def check(self) -> None:
        """Raises UsageError for what is no task or length."""
        from fls_models.bench.dataset.plan import TASKS

        names = self.tasks_named
        if not names or any(name not in TASKS for name in names):
            raise UsageError(f"--tasks takes {', '.join(TASKS)}, with commas, not {self.tasks!r}.")
        if not 0 < self.seconds <= self.longest < inf:
            raise UsageError(
                "--seconds takes a number above 0, --longest one that is not below it."
            )

    @property
    def tasks_named(self) -> list[str]:
        return list(dict.fromkeys(listed(self.tasks)))

    @property
    def asks(self) -> bool:
        """Whether any task is to answer questions."""
        from fls_models.bench.dataset.plan import ASKING

        return any(task in ASKING for task in self.tasks_named)

    @property
    def recipe(self) -> dict[str, object]:
        """What recordings depend on."""
        lengths = {"seconds": self.seconds, "longest": self.longest}
        return {**lengths, "asks": self.asks, "distort": self.distort}

    def plan(self, documents: Sequence[Document], seed: int) -> Plan:
        """The recordings to be made of documents."""
        from fls_models.bench.dataset.plan import Plan, plan

        lengths = {"mean": self.seconds, "max_seconds": self.longest}
        whole_plan = plan(documents, **lengths, asks=self.asks, seed=seed)
        return Plan(whole_plan.recordings[: self.limit], whole_plan.left_out)

    def check_questions(self, documents: Sequence[Document]) -> None:
        """Raises UsageError where there are none, and some are to be asked."""
        if self.asks and not any(document.questions for document in documents):
            raise UsageError(
                "These texts come without questions, so that there is nothing to ask; give JSON "
                "lines with questions, or --tasks asr."
            )


@grouped
def longspeech_data(
    *,
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
    shape: _Shape,
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
    shape.check()
    check_folder(output)
    with open_session(quiet=quiet, offline=True) as session:
        from fls_cli.media.clips.flac import save_flac
        from fls_cli.media.ffmpeg.locate import find_ffmpeg
        from fls_cli.training import voices as speaking
        from fls_models.bench.dataset import recordings
        from fls_models.training.data.documents import digest, read_documents

        documents = read_documents(texts)
        shape.check_questions(documents)
        # Better known now than after the first recording was spoken.
        find_ffmpeg()
        systems = speaking.find(voices)
        recordings_plan = shape.plan(documents, seed)
        recipe = {
            "form": _FORM,
            "texts": digest(documents),
            "voices": [f"{system.name}: {', '.join(system.speakers)}" for system in systems],
            **shape.recipe,
            "seed": seed,
        }
        speaking.say_texts(session, documents)
        speakers = ", ".join(system.name for system in systems)
        session.say(f"{len(recordings_plan.recordings)} recordings to be spoken by {speakers}")
        folder = recordings.open_recordings(output, recipe, fresh=fresh)
        with _telling(session, folder, recordings_plan):
            records = folder.make(
                recordings_plan,
                speaking.cast(systems),
                save_flac,
                seed=seed,
                max_seconds=shape.longest,
                distorts=shape.distort,
                progress=session.bars,
            )
        lines = folder.write_manifest(recordings_plan, records, shape.tasks_named)
        facts = recordings.facts_of(recordings_plan, documents, records, lines)
        versions = {"fls": __version__, **speaking.versions()}
        recordings.write_facts(output, recipe, versions, facts)
        _say(session, facts, len(lines), output)
        session.show(f"{output / recordings.MANIFEST}\n")
        session.finish()


def _say(session: Session, facts: Mapping[str, object], lines: int, output: Path) -> None:
    """What was made."""
    session.say(
        f"{facts['recordings']} recordings, {facts['mean_seconds']} s on average, "
        f"{facts['longest_seconds']} s at most; {lines} lines"
    )
    if facts["questions_not_put"]:
        session.say(f"questions not put: {facts['questions_not_put']}; see {output}/README.md")


@contextmanager
def _telling(session: Session, folder: RecordingsFolder, plan: Plan) -> Iterator[None]:
    """Says what is there before, and what to do after Ctrl-C."""

    def count() -> int:
        return sum(folder.record(number + 1) is not None for number in range(len(plan.recordings)))

    if before := count():
        session.say(f"{before} of {len(plan.recordings)} recordings are there")
    try:
        yield
    except KeyboardInterrupt:
        session.say(
            f"interrupted; {count()} of {len(plan.recordings)} recordings are in {folder.place}, "
            "and the same command goes on"
        )
        raise
