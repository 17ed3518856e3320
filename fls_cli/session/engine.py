"""Which model answers, and how it is run: from what the user typed to a model that is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fls_cli.storage.paths import cache_folder
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.core.cache import Cache
    from fls_models.core.progress import Progress
    from fls_models.pipelines.base import Pipeline
    from fls_models.weights.card import Card, FrameCard, TextCard
    from fls_models.weights.store import Installed, InstalledFrames

DEVICES = "auto, cpu, cuda or cuda:N"
READERS = ("auto", "frames", "text")


@dataclass(frozen=True)
class Engine:
    """A model by name (or a folder, or `auto`), and for those that hear by themselves how to run
    them: see `fls_models.pipelines.large.RuntimeConfig`.

    `read` is for models that can read both frames and text. `auto` takes what was measured to be
    better at `budget`; text, where that is None: for words, or for an amount nobody measured.
    """

    model: str = "auto"
    device: str = "auto"
    dtype: str = "nf4"
    low_memory: bool = False
    head: Path | None = None
    vocabulary: Path | None = None
    compress: bool = True
    read: str = "auto"
    budget: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What results depend on: where it runs is not part of that."""
        told = {name: value for name, value in asdict(self).items() if name != "device"}
        return {name: str(one) if isinstance(one, Path) else one for name, one in told.items()}


def check(engine: Engine) -> None:
    """Raises UsageError for what no model can be asked for."""
    from fls_models.weights.conversion.formats import DTYPES
    from fls_models.weights.devices import is_device

    if not is_device(engine.device):
        raise UsageError(f"--device takes {DEVICES}, not {engine.device!r}.")
    if engine.read not in READERS:
        raise UsageError(f"--read takes auto, frames or text, not {engine.read!r}.")
    if engine.dtype not in DTYPES:
        raise UsageError(f"--dtype takes {', '.join(DTYPES)}, not {engine.dtype!r}.")
    for option, file in (("--head", engine.head), ("--ctc-vocab", engine.vocabulary)):
        if file is not None and not file.is_file():
            raise UsageError(f"{option}: there is no file {file}.")


def start(
    engine: Engine,
    *,
    offline: bool,
    memory: Cache,
    say: Callable[[str], None],
    progress: Progress,
) -> Pipeline:
    """The model, its weights fetched first if need be. Heavy imports happen here.

    Raises what `fls_models.weights.store.pull` and `fls_models.weights.devices.place` do.
    """
    check(engine)
    found, reason = _installed(engine, offline=offline, say=say, progress=progress)
    from fls_models.pipelines.cascade import CascadeModel
    from fls_models.pipelines.large import LargeFrameModel, RuntimeConfig
    from fls_models.weights.store import Installed

    if isinstance(found, Installed):
        _check_text(engine, found.card)
        if reads_frames(engine, found.card, found.connector):
            from fls_models.pipelines.mini import MiniFrameModel

            return MiniFrameModel(found, memory, compress=engine.compress)
        return CascadeModel(found, memory)
    _check_large(engine, found.card.name)
    from fls_models.weights import devices
    from fls_models.weights.conversion.install import has_head

    device = devices.place(found.card, engine.device, found.dtype, low_memory=engine.low_memory)
    say(f"using {found.card.name} in {found.dtype} on {device}{reason}")
    if engine.head is None and not has_head(found.folder):
        say(f"{found.card.name} has no CTC head: frames are fused by likeness alone; see --head")
    running = RuntimeConfig(
        device, engine.low_memory, engine.head, engine.vocabulary, engine.compress
    )
    return LargeFrameModel(found, memory, running)


def _installed(
    engine: Engine, *, offline: bool, say: Callable[[str], None], progress: Progress
) -> tuple[Installed | InstalledFrames, str]:
    """The weights, and why it is these, if the choice was not the user's."""
    from fls_models.weights import card
    from fls_models.weights import store as weights

    def check(card: FrameCard) -> None:
        # Before gigabytes are fetched or converted for a device that is not there.
        from fls_models.weights import devices

        devices.place(card, engine.device, engine.dtype, low_memory=engine.low_memory)

    cache = cache_folder()
    if (place := folder_of(engine)) is not None:
        return weights.from_folder(place, cache, progress, engine.dtype, check), ""
    wanted, reason = choose(engine)
    name = wanted.name
    if isinstance(wanted, card.FrameCard):
        check(wanted)
    ready = weights.is_ready(wanted, cache, engine.dtype)
    # What is neither here nor to be fetched is not used: `locate` raises how it comes here.
    if reason and not isinstance(wanted, card.FrameCard) and (ready or not offline):
        say(f"using {name}{reason}")
    if ready or offline:
        return weights.locate(wanted, cache, engine.dtype), reason
    size = weights.bytes_to_fetch(wanted, cache, engine.dtype)
    told = f"{size / 1e9:.1f} GB" if size >= 10**10 else f"{size / 1e6:.0f} MB"
    say(f"downloading {name}: {told}, once")
    return weights.pull(wanted, cache, progress, engine.dtype), reason


def is_here(engine: Engine) -> bool:
    """Whether the weights are on this machine; raises what `choose` does."""
    from fls_models.weights import store as weights

    if folder_of(engine) is not None:
        return True
    return weights.is_ready(choose(engine)[0], cache_folder(), engine.dtype)


def folder_of(engine: Engine) -> Path | None:
    """The folder that the model lies in, if it is given by one."""
    from fls_models.weights import card

    # A folder that bears a model's name is given as ./mini.
    known = engine.model in ("", "auto", *card.names())
    return Path(engine.model) if not known and Path(engine.model).is_dir() else None


def choose(engine: Engine) -> tuple[Card, str]:
    """The card of a model that is given by name or as `auto`, and why it is that.

    The reason continues a sentence; it is empty where the choice was the user's. Raises UsageError
    for a model that there is not, and for what this one cannot be asked for.
    """
    from fls_models.weights import card

    name, reason = engine.model, ""
    if name == "auto" and engine.read == "text":
        # Others hear by themselves.
        name, reason = card.names()[0], ", which reads text on any CPU"
    elif name == "auto":
        from fls_models.weights import devices

        cache = cache_folder()
        choice = devices.choose(cache, engine.device, engine.dtype, low_memory=engine.low_memory)
        name, reason = choice.name, f", {choice.reason}"
    wanted = card.load(name)
    check_card(engine, wanted)
    return wanted, reason


def check_card(engine: Engine, card: Card) -> None:
    """Raises UsageError for what a model with that card cannot be asked for."""
    from fls_models.weights.card import TextCard

    if isinstance(card, TextCard):
        _check_text(engine, card)
    else:
        _check_large(engine, card.name)


def reads_frames(engine: Engine, card: TextCard, connector: Path | None) -> bool:
    """Whether a model that reads text is to read frames instead, by the connector it has."""
    if engine.read != "auto":
        return engine.read == "frames"
    # Without a connector nothing is refused that was not asked for.
    return connector is not None and card.frames is not None and card.frames.favoured(engine.budget)


def _check_large(engine: Engine, name: str) -> None:
    if engine.read == "text":
        raise UsageError(
            f"--read text: {name} hears by itself and reads frames; leave it out, or take a model "
            "that reads transcripts (`fls models list`)."
        )


def _check_text(engine: Engine, card: TextCard) -> None:
    """Refuses what only a model that hears by itself can be asked for, before it is fetched."""
    if engine.read == "frames":
        from fls_models.weights.card import frames_of

        frames_of(card)
    asked = {
        "--device": engine.device not in ("auto", "cpu"),
        "--low-memory": engine.low_memory,
        "--head": engine.head is not None,
        "--ctc-vocab": engine.vocabulary is not None,
        "--no-compress": not engine.compress and engine.read != "frames",
    }
    if refused := [option for option, wanted in asked.items() if wanted]:
        does, others = "reads a transcript", "models that read frames"
        if engine.read == "frames":
            does, others = "reads frames by its own connector", "large models"
        raise UsageError(
            f"{', '.join(refused)}: {card.name} {does} on the CPU; that is for {others} "
            "(`fls models list`)."
        )
