"""What the commands of `fls train` share: which model it is, what it hears in the recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fls_models.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fls_cli.desk import Desk
    from fls_cli.engines import Engine
    from fls_models.models import FrameModel
    from fls_models.training.encoded import Encoded


def complete_large(incomplete: str) -> list[str]:
    """Names of large models that begin so."""
    return [name for name in _large() if name.startswith(incomplete)]


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
