"""What the commands of `fls train` share: the model, what it hears, how it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fls_cli.media.ffmpeg.locate import decoder_parts
from fls_cli.options.choices import Manners
from fls_cli.session.engine import fetched
from fls_cli.sources.decode import decode
from fls_cli.storage.paths import cache_folder
from fls_models.errors import UsageError
from fls_models.training.core.distributed import joined
from fls_models.weights import card

if TYPE_CHECKING:
    from fls_cli.session.engine import Engine
    from fls_cli.session.session import Session
    from fls_models.extractor.encoder import SpeechEncoder
    from fls_models.pipelines.large import LargeFrameModel
    from fls_models.training.core.distributed import Processes
    from fls_models.training.core.encoded_dataset import Encoded
    from fls_models.training.core.run import Run
    from fls_models.training.core.trainer import Plan, Step
    from fls_models.training.ctc.vocabulary import Vocabulary
    from fls_models.training.data.manifests import Spoken, Utterance
    from fls_models.weights.store import Installed


_REPORT_EVERY = 10
_Item = TypeVar("_Item", bound="Utterance | Spoken")


class StepReporter(AbstractContextManager["StepReporter"]):
    """Says how training goes: each time it was evaluated, a few times before, and interrupted."""

    def __init__(self, session: Session, output: Path) -> None:
        self._session = session
        self._output = output
        self._any = False

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyboardInterrupt) and self._any:
            self._session.say(
                f"interrupted; a checkpoint is in {self._output}, and the same command goes on"
            )

    def step(self, step: Step, evaluated: Callable[[float], str], more: str = "") -> None:
        """One update was made; `evaluated` puts its evaluation into words, `more` follows them."""
        self._any = True
        if step.value is None and step.number % _REPORT_EVERY:
            return
        line = f"step {step.number} of {step.steps}: loss {step.loss:.3f}"
        if step.value is not None:
            line += f", {evaluated(step.value)}" + ", the best" * step.best + more
        self._session.say(line)


@dataclass(frozen=True)
class _Training(Generic[_Item]):
    """What is to be trained on, how long, and where that is told."""

    session: Session
    train: list[_Item]
    dev: list[_Item]
    plan: Plan
    output: Path
    batch: int
    fresh: bool
    reporter: StepReporter
    processes: Processes

    @property
    def recordings(self) -> list[Path]:
        return [item.audio for item in [*self.train, *self.dev]]

    def run(self, encoded: Encoded) -> Run[_Item]:
        """It, once all is encoded."""
        from fls_models.training.core.run import Run

        reporting = self.processes, self.session.bars, self.report
        return Run(self.train, self.dev, self.plan, self.output, encoded, self.batch, *reporting)

    def report(self, step: Step, *more: Any) -> None:
        """One update was made."""
        raise NotImplementedError

    def forget(self) -> None:
        """Begins anew, if that is wanted."""
        from fls_models.training.core import checkpoints

        if self.fresh:
            self.processes.once(lambda: checkpoints.forget(self.output))


class HeadTraining(_Training["Utterance"]):
    """A CTC head that is to be trained, whatever model it is for."""

    def begin(self, encoded: Encoded, vocabulary: Vocabulary) -> None:
        """All is encoded: says what cannot be trained on, and forgets what is to be forgotten."""
        from fls_models.training.ctc.train_head import usable

        for utterance in usable(self.train, encoded, vocabulary)[1]:
            self.session.say(
                f"{utterance.audio} is left out: it is too short for its text, or none of that is "
                "known"
            )
        self.forget()

    def report(self, step: Step, *more: Any) -> None:
        self.reporter.step(step, rated_by_words)


@dataclass(frozen=True)
class AnswerTraining(_Training["Spoken"]):
    """A model that is to be trained on questions and answers, whatever of it."""

    lengths: tuple[int, ...]

    def report(self, step: Step, *arguments: Any) -> None:
        [losses] = arguments
        more = f" ({by_length(losses)})"
        self.reporter.step(step, lambda value: f"held out {value:.3f}", more=more)


@contextmanager
def training(
    device: str, manners: Manners, output: Path
) -> Iterator[tuple[Session, StepReporter, Processes]]:
    """A session of each process that trains, the first of which says how it goes."""
    with joined(device) as processes:
        manners = replace(manners, quiet=manners.quiet or not processes.is_first)
        with manners.session() as session, StepReporter(session, output) as reporter:
            yield session, reporter, processes


def by_length(losses: Mapping[int, float]) -> str:
    return ", ".join(f"{length}: {loss:.2f}" for length, loss in losses.items())


def rated_by_words(rate: float) -> str:
    return f"word error rate {100 * rate:.1f} %"


def is_connected(name: str) -> bool:
    """Whether a model reads frames by a connector; else it is a large one.

    Refuses all others, which have nothing to train, before anything is fetched.
    """
    from fls_models.weights.user_folder import has_parts

    # A folder that bears a model's name is given as ./mini.
    if name not in ("", "auto", *card.names()) and Path(name).is_dir():
        return has_parts(Path(name))
    trainable = card.that_read_frames()
    if name in ("", "auto") or name not in trainable:
        if name not in ("", "auto"):
            # Says which there are, where there is none of that name.
            card.load(name)
        raise UsageError(
            f"Only models that read frames can be trained; --model takes one of "
            f"{', '.join(trainable)}, or a folder, not {name!r}."
        )
    return card.load(name).reads_text


def refuse(options: Mapping[str, object], why: str) -> None:
    """Refuses options that were given (are not None) and do not go with the model."""
    if names := [name for name, value in options.items() if value is not None]:
        raise UsageError(f"{', '.join(names)}: {why}")


def load_large(session: Session, engine: Engine, processes: Processes) -> LargeFrameModel:
    """The model that was checked."""
    from fls_models.pipelines.large import LargeFrameModel

    # The first fetches and converts it.
    with processes.first_ahead():
        loaded = session.model(engine)
    if not isinstance(loaded, LargeFrameModel):
        raise UsageError(f"{engine.model} reads text; only models that read frames are trained.")
    return loaded


def find_parts(session: Session, name: str, processes: Processes) -> Installed:
    """What a model with a connector is made of, fetched first if need be; nothing is loaded."""
    from fls_models.weights.store import store_of
    from fls_models.weights.user_folder import from_parts

    # The first fetches it.
    with processes.first_ahead():
        if name not in card.names():
            return from_parts(Path(name))
        model_card = card.load(name)
        assert isinstance(model_card, card.TextCard), "others have no connector"
        store, offline = store_of(model_card, cache_folder()), session.offline
        return fetched(store, "nf4", offline=offline, say=session.say, progress=session.bars)


def encode_all(
    task: HeadTraining | AnswerTraining, encoder: SpeechEncoder, identity: str
) -> Encoded:
    """What an encoder makes of all recordings; what is wrong with some of them is said."""
    from fls_models.training.core.encoded_dataset import encode

    session, recordings = task.session, task.recordings
    session.source_count = len(set(recordings))
    # The others find on disk what the first encodes.
    with task.processes.first_ahead():
        encoded = encode(
            encoder,
            recordings,
            decode,
            task.output / "encoded",
            # Recordings are known by their bytes there, too.
            identity=identity + "".join(decoder_parts().values()),
            progress=session.bars,
        )
    for path, error in encoded.failed.items():
        session.fail(str(path), error)
    for path in encoded.too_long:
        session.say(f"{path} is left out: it lasts longer than 30 s; cut it at pauses first")
    return encoded
