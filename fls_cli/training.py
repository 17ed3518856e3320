"""What the commands of `fls train` share: options, the model, what it hears, how it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from fls_models.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fls_cli.desk import Desk
    from fls_cli.engines import Engine
    from fls_models.models import FrameModel
    from fls_models.training.encoded import Encoded
    from fls_models.training.loop import Step


_TOLD_EVERY = 10


def _complete(incomplete: str) -> list[str]:
    """Names of large models that begin so."""
    return [name for name in _large() if name.startswith(incomplete)]


LargeModel = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|FOLDER",
        help="A large model (fls models list), or the folder of one.",
        autocompletion=_complete,
    ),
]
Steps = Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Updates.")]
Every = Annotated[
    int, typer.Option("--every", metavar="N", min=1, help="Steps between checkpoints.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget the run in FOLDER and begin anew.")]


class Telling:
    """Says how training goes: each time it was evaluated, a few times before, and interrupted."""

    def __init__(self, desk: Desk, output: Path) -> None:
        self._desk = desk
        self._output = output
        self._any = False

    def __enter__(self) -> Telling:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt) and self._any:
            self._desk.say(
                f"interrupted; a checkpoint is in {self._output}, and the same command goes on"
            )

    def step(self, step: Step, evaluated: Callable[[float], str], more: str = "") -> None:
        """One update was made; `evaluated` puts its evaluation into words, `more` follows them."""
        self._any = True
        if step.value is None and step.number % _TOLD_EVERY:
            return
        line = f"step {step.number} of {step.steps}: loss {step.loss:.3f}"
        if step.value is not None:
            line += f", {evaluated(step.value)}" + ", the best" * step.best + more
        self._desk.say(line)


def check_model(name: str) -> None:
    """Refuses what has no encoder of its own to train for, before anything is fetched."""
    from fls_models import card

    # A folder that bears a model's name is given as ./mini.
    if name not in ("", "auto", *card.names()) and Path(name).is_dir():
        return
    if name in ("", "auto") or not isinstance(card.load(name), card.FrameCard):
        raise UsageError(
            f"Only a large model can be trained; --model takes one of {', '.join(_large())}, or a "
            f"folder, not {name!r}."
        )


def load_large(desk: Desk, engine: Engine) -> FrameModel:
    """The model that was checked."""
    from fls_models.models import FrameModel

    loaded = desk.model(engine)
    if not isinstance(loaded, FrameModel):
        raise UsageError(f"{engine.model} reads text; only models that read frames are trained.")
    return loaded


def encode_all(desk: Desk, loaded: FrameModel, recordings: Sequence[Path], output: Path) -> Encoded:
    """What the model's encoder makes of all recordings; what is wrong with some of them is said."""
    from fls_models.training.encoded import encode

    desk.asked = len(set(recordings))
    encoded = encode(
        loaded.language_model,
        recordings,
        _decode,
        output / "encoded",
        identity=loaded.ear,
        progress=desk.bars,
    )
    for path, error in encoded.failed.items():
        desk.fail(str(path), error, as_json=False)
    for path in encoded.too_long:
        desk.say(f"{path} is left out: it lasts longer than 30 s; cut it at pauses first")
    return encoded


def _large() -> list[str]:
    from fls_models import card

    return [name for name in card.names() if isinstance(card.load(name), card.FrameCard)]


def _decode(audio: Path) -> Iterator[NDArray[np.float32]]:
    """A media file as the models take it."""
    from fls_cli import media
    from fls_cli.inputs import open_sources

    # Absolute, so that no name is taken for an option, an address or a pipe.
    with open_sources([str(audio.absolute())]) as sources:
        for source in sources:
            yield from media.stream(source)
