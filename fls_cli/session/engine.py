"""Which model answers, and how it is run: from what the user typed to a model that is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fls_cli.session.default_model import text_model
from fls_cli.session.own_models import check_memory, given_card
from fls_cli.storage.paths import cache_folder
from fls_models.errors import UsageError
from fls_models.weights import card, devices

if TYPE_CHECKING:
    from fls_models.core.cache import Cache
    from fls_models.core.progress import Progress
    from fls_models.pipelines.base import Pipeline
    from fls_models.pipelines.large import RuntimeConfig
    from fls_models.weights.base import Store, Weights
    from fls_models.weights.card import Card
    from fls_models.weights.store import Installed, InstalledFrames

DEVICES = "auto, cpu, cuda or cuda:N"
_PARTS = ("llm", "ears")
READERS = ("auto", "frames", "text")


@dataclass(frozen=True)
class Engine:
    """A model by name (or a folder, or `auto`), and for those that hear by themselves how to run
    them: see `fls_models.pipelines.large.RuntimeConfig`.

    `llm` and `ears` stand in the place of its parts: see `fls_models.weights.own`.
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
    llm: str | None = None
    ears: str | None = None

    @property
    def running(self) -> RuntimeConfig:
        """All but which model it is."""
        from fls_models.pipelines.large import RuntimeConfig

        names = [field.name for field in fields(RuntimeConfig)]
        return RuntimeConfig(**{name: getattr(self, name) for name in names})

    def as_json(self) -> dict[str, Any]:
        """What results depend on: where it runs is not part of that."""
        fields = asdict(self)
        del fields["device"]
        # As it was before there were any.
        fields = {name: x for name, x in fields.items() if name not in _PARTS or x is not None}
        return {name: str(x) if isinstance(x, Path) else x for name, x in fields.items()}


def check(engine: Engine) -> None:
    """Raises UsageError for what no model can be asked for."""
    from fls_models.weights.conversion.formats import DTYPES

    if not devices.is_device(engine.device):
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

    Raises what `fls_models.weights.base.Store.pull` and `fls_models.pipelines.build.build` do.
    """
    check(engine)
    installed, reason = _installed(engine, offline=offline, say=say, progress=progress)
    from fls_models.pipelines.build import build

    return build(installed, engine.running, memory, say=say, reason=reason)


def _installed(
    engine: Engine, *, offline: bool, say: Callable[[str], None], progress: Progress
) -> tuple[Installed | InstalledFrames, str]:
    """The weights, and why it is these, if the choice was not the user's."""
    from fls_models.weights.store import store_of
    from fls_models.weights.user_folder import from_folder

    def check(model_card: Card) -> None:
        # Before gigabytes are fetched or converted for a device that is not there.
        devices.place(model_card, engine.device, engine.dtype, low_memory=engine.low_memory)

    cache = cache_folder()
    if (place := folder_of(engine)) is not None:
        if engine.llm or engine.ears:
            raise UsageError("--llm and --ears go with a model's name; a folder has its own parts.")
        return from_folder(place, cache, progress, engine.dtype, check), ""
    model_card, reason = choose(engine)
    check(model_card)
    store = store_of(model_card, cache)
    # What is neither here nor to be fetched is not used: `locate` raises how it comes here.
    if reason and model_card.reads_text and (store.is_ready() or not offline):
        say(f"using {model_card.name}{reason}")
    return fetched(store, engine.dtype, offline=offline, say=say, progress=progress), reason


def fetched(
    store: Store[Weights],
    dtype: str,
    *,
    offline: bool,
    say: Callable[[str], None],
    progress: Progress,
) -> Weights:
    """The weights of a card, downloaded and converted first if need be; not when `offline`."""
    size = 0 if store.is_ready(dtype) else store.bytes_to_fetch(dtype)
    if store.is_ready(dtype) or (offline and size):
        return store.locate(dtype)
    check_memory(store)
    if size:
        size_label = f"{size / 1e9:.1f} GB" if size >= 10**10 else f"{size / 1e6:.0f} MB"
        say(f"downloading {store.card.name}: {size_label}, once")
    else:
        say(f"converting {store.card.name} to 8 bits, once")
    return store.pull(progress, dtype)


def is_here(engine: Engine) -> bool:
    """Whether the weights are on this machine; raises what `choose` does."""
    from fls_models.weights.store import store_of

    if folder_of(engine) is not None:
        return True
    return store_of(choose(engine)[0], cache_folder()).is_ready(engine.dtype)


def folder_of(engine: Engine) -> Path | None:
    """The folder that the model lies in, if it is given by one."""
    # A folder that bears a model's name is given as ./mini.
    is_name = engine.model in ("", "auto", *card.names())
    return Path(engine.model) if not is_name and Path(engine.model).is_dir() else None


def choose(engine: Engine) -> tuple[Card, str]:
    """The card of a model that is given by name or as `auto`, and why it is that.

    The reason continues a sentence; it is empty where the choice was the user's. Raises UsageError
    for a model that there is not, and for what this one cannot be asked for.
    """
    name, reason = engine.model, ""
    if name == "auto" and (engine.llm or engine.ears):
        # Whose ears `mini` has, and `small`, too.
        name = card.names()[0]
    elif name == "auto":
        name, reason = _automatic(engine)
        reason = f", {reason}"
    model_card = card.load(name)
    if engine.llm or engine.ears:
        model_card = given_card(model_card, engine.llm, engine.ears)
        reason = ""
    from fls_models.pipelines.build import check

    check(model_card, engine.running)
    return model_card, reason


def _automatic(engine: Engine) -> tuple[str, str]:
    """What `auto` stands for, and why."""
    cache, low_memory = cache_folder(), engine.low_memory
    choice = devices.Choice(None, "")
    # Those for a GPU hear by themselves.
    if engine.read != "text":
        choice = devices.choose(cache, engine.device, engine.dtype, low_memory=low_memory)
    if choice.name is not None:
        return choice.name, choice.reason
    frames = engine.read == "frames"
    text, why = text_model(cache, engine.device, frames=frames, low_memory=low_memory)
    return text.name, choice.reason or why
