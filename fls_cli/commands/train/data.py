"""`fls train data`: synthetic speech to train on, from texts."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli import __version__
from fls_cli.options import common as options
from fls_cli.session.engine import Engine
from fls_cli.session.session import Session, open_session
from fls_cli.storage.files import check_folder
from fls_cli.training.common import Seed
from fls_cli.training.documents import Voices, say_texts
from fls_models.errors import UsageError
from fls_models.weights import card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fls_models.training.data.documents import Document
    from fls_models.training.data.instructions import Request
    from fls_models.training.data.schedule import Made, Order
    from fls_models.training.data.write_manifests import Answer

# Changes when the same texts and seed give other clips.
_FORM = "clips-1"
# Minutes of speech between two lines that say how it goes.
_TOLD_EVERY = 10


def data(
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
    hours: Annotated[
        float | None,
        typer.Option(
            "--hours",
            metavar="H",
            help="Stop at this much speech; texts are spoken again, by other voices, until then. "
            "Without it, each text once.",
        ),
    ] = None,
    voices: Voices = "auto",
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out",
            metavar="SHARE",
            help="Of the speech, for the dev manifests; whole documents. 0 for none.",
        ),
    ] = 0.05,
    answers: Annotated[
        str,
        typer.Option(
            "--answers",
            metavar="none|MODEL",
            help="A model that reads text, mini or small: its own answers about the transcripts "
            "are trained on, too.",
        ),
    ] = "none",
    seed: Seed = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make all clips in FOLDER anew.")] = False,
    quiet: options.Quiet = False,
    offline: options.Offline = False,
) -> None:
    """Make training data from texts, read by synthetic voices.

    It is for those who have no recordings. Clips of at most 30 s, in rooms and noise of all kinds,
    and questions about them. Prints the manifests for `fls train ctc` and `fls train compress`.
    Interrupted, the same command goes on.

    Example: fls train data notes/*.txt --hours 2 -o data/
    """
    _check(hours, held_out, answers)
    check_folder(output)
    with open_session(quiet=quiet, offline=offline) as session:
        from fls_cli.training import voices as speaking
        from fls_models.training.data.clip_folder import open_folder
        from fls_models.training.data.documents import digest, read_documents
        from fls_models.training.data.write_manifests import write_facts, write_manifests

        documents = read_documents(texts)
        order = _order(documents, held_out, hours, seed)
        systems = speaking.find(voices)
        say_texts(session, documents)
        session.say(f"spoken by {', '.join(one.name for one in systems)}")
        recipe = {
            "form": _FORM,
            "texts": digest(documents),
            "voices": [f"{one.name}: {', '.join(one.speakers)}" for one in systems],
            "seed": seed,
            "held_out": held_out,
        }
        with open_folder(output, recipe, fresh=fresh) as folder, _Telling(session, output) as told:
            told.begin(folder.made)
            made = folder.make(
                order, speaking.cast(systems), progress=session.bars, report=told.clip
            )
            answer = (
                None if answers == "none" else told.counting(_answers(session, answers, output))
            )
            written = write_manifests(output, made, documents, seed, answer)
            about = {"answers": answers, "versions": {"fls": __version__, **speaking.versions()}}
            write_facts(output, made, documents, recipe, about)
        skipped = sum(one.skipped for one in made)
        if skipped:
            session.say(f"no voice could say {skipped} of the sentences; they are left out")
        session.show("".join(f"{place}\n" for place in written))
        session.finish()


class _Telling:
    """Says how it goes, and what to do after Ctrl-C."""

    def __init__(self, session: Session, output: Path) -> None:
        self._session = session
        self._output = output
        self._clips = 0
        self._seconds = 0.0
        self._told = 0.0

    def __enter__(self) -> _Telling:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyboardInterrupt) and self._clips:
            self._session.say(
                f"interrupted; {self._clips} clips are in {self._output}, and the same command "
                "goes on"
            )

    def begin(self, made: Sequence[Made]) -> None:
        """These are there already."""
        for one in made:
            self._count(one)
        self._told = self._seconds
        if self._clips:
            self._session.say(f"{self._clips} clips, {self._seconds / 60:.0f} minutes, are there")

    def clip(self, made: Made) -> None:
        """One more was made."""
        self._count(made)
        if self._seconds >= self._told + 60 * _TOLD_EVERY:
            self._told = self._seconds
            self._session.say(f"{self._clips} clips, {self._seconds / 60:.0f} minutes")

    def counting(self, answer: Answer) -> Answer:
        """The same, and the bar moves."""
        done = 0

        def counted(transcript: str, request: Request) -> str:
            nonlocal done
            self._session.bars("answer", done, self._clips)
            said = answer(transcript, request)
            done += 1
            return said

        return counted

    def _count(self, made: Made) -> None:
        self._clips += made.audio is not None
        self._seconds += made.seconds


def _check(hours: float | None, held_out: float, answers: str) -> None:
    if hours is not None and not (isfinite(hours) and hours > 0):
        raise UsageError(f"--hours takes a number above 0, not {hours:g}.")
    if not 0 <= held_out < 1:
        raise UsageError(f"--held-out takes a share from 0 to below 1, not {held_out:g}.")
    if answers == "none" or Path(answers).is_dir():
        return
    readers = [name for name in card.names() if card.load(name).reads_text]
    if answers not in readers:
        raise UsageError(
            f"--answers takes none or a model that reads text ({', '.join(readers)}), not "
            f"{answers!r}."
        )


def _order(documents: Sequence[Document], share: float, hours: float | None, seed: int) -> Order:
    """Which documents are held out: the same ones however many hours are made."""
    from fls_models.training.data.clips import stretches
    from fls_models.training.data.manifests import split
    from fls_models.training.data.schedule import Order

    parts = stretches(documents)
    if not share:
        return Order(parts, [], 0.0, hours, seed)
    if len(documents) < 2:
        raise UsageError(
            "There is one document only, and what is held out must be of others; give more texts, "
            "or --held-out 0."
        )
    train, held = split(parts, share, seed)
    return Order(train, held, share, hours, seed)


def _answers(session: Session, name: str, output: Path) -> Answer:
    from fls_models.training.data.distillation import OwnAnswers

    model = session.model(Engine(name))
    if model.reads_by != "text":
        raise UsageError(f"--answers takes a model that reads text, not {name}.")
    return OwnAnswers(model, f"{model.card.name} {model.ear}", output).answer
