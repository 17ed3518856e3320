"""`fls train data`: synthetic speech to train on, from texts."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli import __version__
from fls_cli.options.choices import Manners
from fls_cli.options.groups import grouped
from fls_cli.session.engine import Engine
from fls_cli.session.session import Session
from fls_cli.storage.files import check_folder
from fls_cli.training.options import Seed, Voices, check_above_0
from fls_models.errors import UsageError
from fls_models.weights import card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fls_models.training.data.documents import Document
    from fls_models.training.data.instructions import Request
    from fls_models.training.data.schedule import JournalEntry, Order
    from fls_models.training.data.write_manifests import Answer

# Changes when the same texts and seed give other clips.
_FORM = "clips-1"
# Minutes of speech between two lines that say how it goes.
_REPORT_EVERY = 10


@dataclass(frozen=True)
class _Speech:
    """How much is spoken and by whom, and what becomes of it."""

    hours: Annotated[
        float | None,
        typer.Option(
            metavar="H",
            help="Stop at this much speech; texts are spoken again, by other voices, until then. "
            "Without it, each text once.",
        ),
    ] = None
    voices: Voices = "auto"
    held_out: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Of the speech, for the dev manifests; whole documents. 0 for none.",
        ),
    ] = 0.05
    answers: Annotated[
        str,
        typer.Option(
            metavar="none|MODEL",
            help="A model that reads text, mini or small: its own answers about the transcripts "
            "are trained on, too.",
        ),
    ] = "none"

    def check(self) -> None:
        """Raises UsageError for what there is not."""
        check_above_0("--hours", self.hours)
        if not 0 <= self.held_out < 1:
            raise UsageError(f"--held-out takes a share from 0 to below 1, not {self.held_out:g}.")
        if self.answers == "none" or Path(self.answers).is_dir():
            return
        readers = [name for name in card.names() if card.load(name).reads_text]
        if self.answers not in readers:
            raise UsageError(
                f"--answers takes none or a model that reads text ({', '.join(readers)}), not "
                f"{self.answers!r}."
            )

    def order(self, documents: Sequence[Document], seed: int) -> Order:
        """Which documents are held out: the same ones however many hours are made."""
        from fls_models.training.data.clips import text_spans
        from fls_models.training.data.manifests import split
        from fls_models.training.data.schedule import Order

        parts = text_spans(documents)
        if not self.held_out:
            return Order(parts, [], 0.0, self.hours, seed)
        if len(documents) < 2:
            raise UsageError(
                "There is one document only, and what is held out must be of others; give more "
                "texts, or --held-out 0."
            )
        train, dev = split(parts, self.held_out, seed)
        return Order(train, dev, self.held_out, self.hours, seed)


@grouped
def data(
    *,
    texts: Annotated[
        list[Path],
        typer.Argument(
            metavar="TEXTS...",
            help='English texts: files, folders, or JSON lines {"text": ...} or {"turns": '
            '[{"speaker", "text"}]}, with "questions": [{"question", "answer"}] where there are '
            "any.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="For the clips, manifests and a README."
        ),
    ],
    speech: _Speech,
    seed: Seed = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make all clips in FOLDER anew.")] = False,
    manners: Manners,
) -> None:
    """Make training data from texts, read by synthetic voices.

    It is for those who have no recordings. Clips of at most 30 s, in rooms and noise of all kinds,
    and questions about them. Prints the manifests for `fls train ctc` and `fls train compress`.
    Interrupted, the same command goes on.

    Example: fls train data notes/*.txt --hours 2 -o data/
    """
    speech.check()
    check_folder(output)
    with manners.session() as session:
        from fls_cli.training import voices as speaking
        from fls_models.training.data.clip_folder import open_folder
        from fls_models.training.data.documents import digest, read_documents
        from fls_models.training.data.write_manifests import write_facts, write_manifests

        documents = read_documents(texts)
        order = speech.order(documents, seed)
        systems = speaking.find(speech.voices)
        speaking.say_texts(session, documents)
        session.say(f"spoken by {', '.join(system.name for system in systems)}")
        recipe = {
            "form": _FORM,
            "texts": digest(documents),
            "voices": [f"{system.name}: {', '.join(system.speakers)}" for system in systems],
            "seed": seed,
            "held_out": speech.held_out,
        }
        reporting = _ClipReporter(session, output)
        with open_folder(output, recipe, fresh=fresh) as folder, reporting as reporter:
            reporter.begin(folder.entries)
            entries = folder.make(
                order, speaking.cast(systems), progress=session.bars, report=reporter.clip
            )
            answer = None
            if speech.answers != "none":
                answer = reporter.counting(_answers(session, speech.answers, output))
            manifests = write_manifests(output, entries, documents, seed, answer)
            versions = {"fls": __version__, **speaking.versions()}
            about = {"answers": speech.answers, "versions": versions}
            write_facts(output, entries, documents, recipe, about)
        skipped = sum(entry.skipped for entry in entries)
        if skipped:
            session.say(f"no voice could say {skipped} of the sentences; they are left out")
        session.show("".join(f"{manifest}\n" for manifest in manifests))
        session.finish()


class _ClipReporter(AbstractContextManager["_ClipReporter"]):
    """Says how it goes, and what to do after Ctrl-C."""

    def __init__(self, session: Session, output: Path) -> None:
        self._session = session
        self._output = output
        self._clips = 0
        self._seconds = 0.0
        self._reported_seconds = 0.0

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyboardInterrupt) and self._clips:
            self._session.say(
                f"interrupted; {self._clips} clips are in {self._output}, and the same command "
                "goes on"
            )

    def begin(self, entries: Sequence[JournalEntry]) -> None:
        """These are there already."""
        for entry in entries:
            self._count(entry)
        self._reported_seconds = self._seconds
        if self._clips:
            self._session.say(f"{self._clips} clips, {self._seconds / 60:.0f} minutes, are there")

    def clip(self, entry: JournalEntry) -> None:
        """One more was made."""
        self._count(entry)
        if self._seconds >= self._reported_seconds + 60 * _REPORT_EVERY:
            self._reported_seconds = self._seconds
            self._session.say(f"{self._clips} clips, {self._seconds / 60:.0f} minutes")

    def counting(self, answer: Answer) -> Answer:
        """The same, and the bar moves."""
        count = 0

        def counted(transcript: str, request: Request) -> str:
            nonlocal count
            self._session.bars("answer", count, self._clips)
            text = answer(transcript, request)
            count += 1
            return text

        return counted

    def _count(self, entry: JournalEntry) -> None:
        self._clips += entry.audio is not None
        self._seconds += entry.seconds


def _answers(session: Session, name: str, output: Path) -> Answer:
    from fls_models.training.data.distillation import OwnAnswers

    model = session.model(Engine(name))
    if model.reads_by != "text":
        raise UsageError(f"--answers takes a model that reads text, not {name}.")
    return OwnAnswers(model, f"{model.card.name} {model.encoder_fingerprint}", output).answer
