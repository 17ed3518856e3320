"""From what was typed to a model: what is refused, and which of the two kinds is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from fls_cli.session.engine import Engine, check, start
from fls_cli.session.request import AudioRange, Request
from fls_models import load
from fls_models.core.cache import NULL_CACHE
from fls_models.core.progress import ignore
from fls_models.errors import EnvironmentLacks, UsageError, WeightsMissing
from fls_models.pipelines.cascade import CascadeModel
from fls_models.pipelines.large import LargeFrameModel
from fls_models.pipelines.mini import MiniFrameModel
from fls_models.weights import card, devices
from fls_models.weights import store as weights
from fls_models.weights import user_folder as given_folders
from fls_models.weights.card import FrameCard, TextCard
from fls_models.weights.devices import Choice
from fls_models.weights.large import InstalledFrames, folder
from fls_models.weights.store import Installed

GB = 10**9
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache on a machine without a GPU."""
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(devices, "_DRIVERS", ())
    return tmp_path / "cache"


@pytest.fixture
def pulled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
    """What was fetched: names and dtypes. Nothing really is."""
    found: list[tuple[str, str]] = []

    def pull(
        store: weights.Store[object], progress: object = None, dtype: str = "nf4"
    ) -> Installed | InstalledFrames:
        wanted = store.card
        found.append((wanted.name, dtype))
        if isinstance(wanted, FrameCard):
            return InstalledFrames(wanted, converted(folder(wanted, store.cache, dtype)), dtype)
        assert isinstance(wanted, TextCard)
        return Installed(wanted, tmp_path, tmp_path)

    monkeypatch.setattr(weights.Store, "pull", pull)
    return found


def converted(place: Path, tokens: int | None = 10) -> Path:
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps({"ctc_tokens": tokens}))
    return place


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A machine whose CUDA devices have so many GB free, for whoever asks `devices`."""

    def there(*free: float) -> None:
        told = {f"cuda:{number}": round(one * GB) for number, one in enumerate(free)}
        for name in ("place", "choose"):
            how = getattr(devices, name).__kwdefaults__
            monkeypatch.setitem(how, "devices", lambda: len(told))
            monkeypatch.setitem(how, "free", lambda device: told[device])

    return there


class Started:
    """What came of starting an engine."""

    def __init__(self, engine: Engine, *, offline: bool = False) -> None:
        self.said: list[str] = []
        self.model: Any = start(
            engine, offline=offline, memory=NULL_CACHE, say=self.said.append, progress=ignore
        )


# What is refused


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:3"])
@pytest.mark.parametrize("dtype", ["nf4", "int8", "bf16", "float32"])
def test_what_may_be_asked_for(device: str, dtype: str, tmp_path: Path) -> None:
    file = tmp_path / "head.safetensors"
    file.touch()
    check(Engine("mini", device, dtype, True, file, file, False))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device": "gpu"}, "--device takes auto, cpu, cuda or cuda:N, not 'gpu'."),
        ({"device": "cuda:"}, "--device takes auto, cpu, cuda or cuda:N, not 'cuda:'."),
        ({"dtype": "fp16"}, "--dtype takes nf4, int8, bf16, float32, not 'fp16'."),
        ({"read": "sound"}, "--read takes auto, frames or text, not 'sound'."),
        ({"head": Path("gone.st")}, "--head: there is no file gone.st."),
        ({"vocabulary": Path("gone.model")}, "--ctc-vocab: there is no file gone.model."),
        ({"head": Path("/")}, "--head: there is no file /."),
    ],
)
def test_what_no_model_can_be_asked_for(
    changes: dict[str, Any], said: str, pulled: list[tuple[str, str]]
) -> None:
    engine = Engine(**changes)
    for way in (check, Started):
        with pytest.raises(UsageError) as raised:
            way(engine)
        assert str(raised.value) == said
    assert pulled == []


# What results depend on


def test_all_but_the_device_is_told_of_as_json(tmp_path: Path) -> None:
    engine = Engine("mini", "cpu", "int8", True, tmp_path / "head", tmp_path / "pieces", False)
    told = engine.as_json()
    assert json.loads(json.dumps(told)) == told
    assert set(told) == {one.name for one in fields(Engine)} - {"device", "llm", "ears"}
    assert replace(engine, device="cuda:1").as_json() == told
    others: dict[str, Any] = {
        "model": "small",
        "dtype": "nf4",
        "low_memory": False,
        "head": None,
        "vocabulary": tmp_path / "others",
        "compress": True,
        "read": "frames",
        "budget": "fast",
    }
    assert set(others) == set(told)
    for name, value in others.items():
        assert replace(engine, **{name: value}).as_json() != told
    # Results from before there were any are still known.
    for part in ("llm", "ears"):
        assert replace(engine, **{part: "file"}).as_json() == {**told, part: "file"}


def test_a_finished_result_is_known_wherever_it_was_made() -> None:
    def key(engine: Engine) -> str:
        return Request(
            "ask", engine, "fast", AudioRange(None, 0, None, None), {}, ".txt", False
        ).key

    assert key(Engine(device="cuda:0")) == key(Engine(device="cpu"))
    assert key(Engine(compress=False)) != key(Engine())


# Models that read text


def test_a_text_model_is_fetched_and_started(pulled: list[tuple[str, str]]) -> None:
    started = Started(Engine("mini"))
    assert isinstance(started.model, CascadeModel)
    assert pulled == [("mini", "nf4")]
    assert started.said == ["downloading mini: 642 MB, once"]


def test_auto_is_mini_without_a_gpu(pulled: list[tuple[str, str]]) -> None:
    started = Started(Engine())
    assert isinstance(started.model, CascadeModel)
    assert started.model.card.name == "mini"
    assert started.said[0] == "using mini, the model that runs on any CPU"


def test_offline_nothing_is_fetched(pulled: list[tuple[str, str]]) -> None:
    for name in ("mini", "auto"):
        with pytest.raises(WeightsMissing, match="fls models pull mini"):
            Started(Engine(name), offline=True)
    with pytest.raises(WeightsMissing, match="fls models pull fastlongspeech --dtype int8"):
        Started(Engine("fastlongspeech", "cpu", "int8"), offline=True)
    assert pulled == []


@pytest.mark.parametrize("name", ["mini", "small", "auto"])
def test_what_only_large_models_can_be_asked_for(
    name: str, pulled: list[tuple[str, str]], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    asked: dict[str, dict[str, Any]] = {
        "--device": {"device": "cuda"},
        "--low-memory": {"low_memory": True},
        "--head": {"head": file},
        "--ctc-vocab": {"vocabulary": file},
        "--no-compress": {"compress": False},
    }
    for option, changes in asked.items():
        with pytest.raises(UsageError, match=rf"^{option}: \w+ reads a transcript on the CPU;"):
            Started(Engine(name, **changes))
    together = {field: value for changes in asked.values() for field, value in changes.items()}
    with pytest.raises(UsageError) as raised:
        Started(Engine(name, **together))
    assert str(raised.value).startswith(f"{', '.join(asked)}: ")
    assert pulled == []


def test_a_folder_with_a_text_model(tmp_path: Path, pulled: list[tuple[str, str]]) -> None:
    place = tmp_path / "mine"
    for name in given_folders._FILES:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    started = Started(Engine(str(place)))
    assert isinstance(started.model, CascadeModel)
    assert started.model.card.name == "mine"
    with pytest.raises(UsageError, match="--no-compress: mine reads a transcript"):
        Started(Engine(str(place), compress=False))
    assert pulled == []


# Models that can read both


@pytest.fixture
def connector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A place where a connector lies; nothing is read of it."""
    place = tmp_path / "connector"
    place.mkdir()

    def pull(store: weights.PartStore, progress: object = None, dtype: str = "nf4") -> Installed:
        return Installed(store.card, tmp_path, tmp_path, place)

    monkeypatch.setattr(weights.Store, "pull", pull)
    return place


def test_mini_reads_text_unless_told_otherwise(connector: Path) -> None:
    for engine in (Engine("mini"), Engine("mini", budget="fast"), Engine("mini", read="text")):
        assert isinstance(Started(engine).model, CascadeModel)
    started = Started(Engine("mini", read="frames", compress=False))
    assert isinstance(started.model, MiniFrameModel)
    assert (started.model.reads_by, started.model.compress) == ("frames", False)
    # Which model that is, is left to `auto` all the same.
    assert isinstance(Started(Engine(read="frames")).model, MiniFrameModel)


def test_auto_goes_by_what_was_measured(connector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mini = card.load("mini")
    assert isinstance(mini, TextCard)
    assert mini.frames is not None
    accuracy = {"fast": (0.6, 0.5), "balanced": (0.6, 0.6), "accurate": (0.6, 0.7)}
    found = replace(mini, frames=replace(mini.frames, accuracy=accuracy))
    monkeypatch.setattr(card, "load", lambda name: found)
    kinds = {
        budget: type(Started(Engine("mini", budget=budget)).model)
        for budget in ("fast", "balanced", "accurate", None)
    }
    assert kinds == {
        "fast": MiniFrameModel,
        "balanced": CascadeModel,
        "accurate": CascadeModel,
        None: CascadeModel,
    }
    assert isinstance(Started(Engine("mini", read="text", budget="fast")).model, CascadeModel)
    connector.rmdir()
    parent = connector.parent
    monkeypatch.setattr(
        weights.Store, "pull", lambda store, *_: Installed(store.card, parent, parent)
    )
    assert isinstance(Started(Engine("mini", budget="fast")).model, CascadeModel)


def test_frames_without_a_connector(pulled: list[tuple[str, str]]) -> None:
    with pytest.raises(UsageError) as raised:
        Started(Engine("small", read="frames"))
    assert str(raised.value) == (
        "--read frames: small has no connector and reads transcripts only; frames are read by "
        "mini, fastlongspeech, qwen2-audio, qwen2.5-omni-3b, qwen2.5-omni-7b."
    )
    assert pulled == []
    # The weights that are fetched come without one.
    with pytest.raises(WeightsMissing, match="did not come with this fls"):
        Started(Engine("mini", read="frames"))


@pytest.mark.parametrize("model", ["mini", "auto"])
def test_what_only_large_models_take_for_frames(model: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError) as raised:
        Started(Engine(model, low_memory=True, head=file, compress=False, read="frames"))
    assert str(raised.value) == (
        "--low-memory, --head: mini reads frames by its own connector on the CPU; that is for "
        "large models (`fls models list`)."
    )


def test_text_is_not_read_by_a_model_that_hears(
    pulled: list[tuple[str, str]], cache: Path, gpu: Callable[..., None]
) -> None:
    with pytest.raises(UsageError, match="--read text: fastlongspeech hears by itself"):
        Started(Engine("fastlongspeech", "cpu", read="text"))
    assert pulled == []
    gpu(80)
    wanted = card.load("fastlongspeech")
    assert isinstance(wanted, FrameCard)
    converted(folder(wanted, cache, "nf4"))
    assert isinstance(Started(Engine(read="frames")).model, LargeFrameModel)
    started = Started(Engine(read="text"))
    assert started.model.card.name == "mini"
    assert started.said[0] == "using mini, the model that runs on any CPU"


# Models that hear by themselves


def test_a_large_model_is_fetched_for_the_cpu_when_asked_for(
    pulled: list[tuple[str, str]], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    engine = Engine("fastlongspeech", "cpu", "int8", True, file, file, False)
    started = Started(engine)
    assert isinstance(started.model, LargeFrameModel)
    assert pulled == [("fastlongspeech", "int8")]
    running = started.model.running
    assert (running.device, running.low_memory, running.compress) == ("cpu", True, False)
    assert (running.head, running.vocabulary) == (file, file)
    assert started.said == [
        "downloading fastlongspeech: 17.6 GB, once",
        "using fastlongspeech in int8 on cpu",
    ]


def test_what_is_there_is_not_fetched(cache: Path, pulled: list[tuple[str, str]]) -> None:
    wanted = card.load("qwen2-audio")
    assert isinstance(wanted, FrameCard)
    converted(folder(wanted, cache, "bf16"))
    started = Started(Engine("qwen2-audio", "cpu", "bf16"))
    assert isinstance(started.model, LargeFrameModel)
    assert started.said == ["using qwen2-audio in bf16 on cpu"]
    assert pulled == []


def test_a_model_without_a_head_says_so(cache: Path, tmp_path: Path) -> None:
    wanted = card.load("qwen2.5-omni-3b")
    assert isinstance(wanted, FrameCard)
    converted(folder(wanted, cache, "nf4"), tokens=None)
    started = Started(Engine("qwen2.5-omni-3b", "cpu"))
    assert started.said[1:] == [
        "qwen2.5-omni-3b has no CTC head: frames are fused by likeness alone; see --head"
    ]
    (tmp_path / "head").touch()
    started = Started(Engine("qwen2.5-omni-3b", "cpu", head=tmp_path / "head"))
    assert len(started.said) == 1


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0"])
def test_nothing_is_fetched_for_a_device_that_is_not_there(
    device: str, pulled: list[tuple[str, str]]
) -> None:
    with pytest.raises(EnvironmentLacks, match="needs an NVIDIA GPU"):
        Started(Engine("fastlongspeech", device))
    assert pulled == []


def test_nothing_is_fetched_for_a_device_that_is_too_small(
    gpu: Callable[..., None], pulled: list[tuple[str, str]]
) -> None:
    gpu(9, 8)
    with pytest.raises(EnvironmentLacks, match=r"cuda:0 has 9\.0 GB free; --low-memory takes"):
        Started(Engine("fastlongspeech"))
    assert pulled == []
    assert Started(Engine("fastlongspeech", low_memory=True)).model.running.device == "cuda:0"


def test_auto_never_downloads_the_large_model(
    gpu: Callable[..., None], pulled: list[tuple[str, str]], cache: Path
) -> None:
    gpu(12, 80)
    started = Started(Engine())
    assert isinstance(started.model, CascadeModel)
    assert pulled == [("mini", "nf4")]
    assert started.said[0] == (
        "using mini, as fastlongspeech is not downloaded; `fls models pull fastlongspeech` fetches "
        "about 17.6 GB for cuda:1"
    )
    # Once somebody has fetched it, it is what is used.
    wanted = card.load("fastlongspeech")
    assert isinstance(wanted, FrameCard)
    converted(folder(wanted, cache, "nf4"))
    started = Started(Engine())
    assert isinstance(started.model, LargeFrameModel)
    assert started.said == ["using fastlongspeech in nf4 on cuda:1, as cuda:1 has 80.0 GB free"]
    assert started.model.running.device == "cuda:1"
    assert pulled == [("mini", "nf4")]


def test_auto_passes_on_how_it_is_to_run(
    monkeypatch: pytest.MonkeyPatch, pulled: list[tuple[str, str]], cache: Path
) -> None:
    asked: list[tuple[Any, ...]] = []

    def choose(place: Path, device: str, dtype: str, *, low_memory: bool) -> Choice:
        asked.append((place, device, dtype, low_memory))
        return Choice("small", "because")

    monkeypatch.setattr(devices, "choose", choose)
    Started(Engine("auto", "cpu", "int8"))
    assert asked == [(cache, "cpu", "int8", False)]
    assert pulled == [("small", "int8")]


def test_a_folder_with_a_large_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pulled: list[tuple[str, str]], cache: Path
) -> None:
    asked: list[tuple[Any, ...]] = []
    wanted = card.load("fastlongspeech")
    assert isinstance(wanted, FrameCard)
    made = InstalledFrames(replace(wanted, name="mine"), converted(tmp_path / "made"), "bf16")

    def from_folder(*given: Any) -> InstalledFrames:
        asked.append(given)
        return made

    monkeypatch.setattr(given_folders, "from_folder", from_folder)
    (tmp_path / "mine").mkdir()
    started = Started(Engine(str(tmp_path / "mine"), "cpu", "nf4"))
    assert [given[:4] for given in asked] == [(tmp_path / "mine", cache, ignore, "nf4")]
    assert isinstance(started.model, LargeFrameModel)
    # A converted folder has the dtype that it has.
    assert started.said == ["using mine in bf16 on cpu"]
    assert pulled == []


def test_a_name_that_no_model_has(pulled: list[tuple[str, str]], tmp_path: Path) -> None:
    for name in ("huge", str(tmp_path / "nowhere"), ""):
        with pytest.raises(UsageError, match="There is no model"):
            Started(Engine(name))
    assert pulled == []


def test_a_folder_with_a_models_name_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pulled: list[tuple[str, str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mini", "auto"):
        (tmp_path / name).mkdir()
        assert Started(Engine(name)).model.card.name == "mini"
        with pytest.raises(UsageError, match="holds no model"):
            Started(Engine(f"./{name}"))
    assert len(pulled) == 2


def test_what_is_asked_for_is_checked_without_torch() -> None:
    # Transcribing with a model that reads text needs none, and it takes seconds to import.
    code = (
        "import sys; from fls_cli.session.engine import Engine, check; check(Engine()); "
        "import fls_models.pipelines.large, fls_models.pipelines.mini, fls_models.weights.store; "
        "print('torch' in sys.modules)"
    )
    road = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "models")))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=road, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


# The library's front door


@pytest.mark.parametrize(
    ("name", "accuracy", "reads_by"),
    [("mini", (0.6, 0.5), "frames"), ("mini", (0.5, 0.6), "text"), ("small", (0.6, 0.5), "text")],
)
def test_the_library_gives_what_the_command_gives(
    name: str,
    accuracy: tuple[float, float],
    reads_by: str,
    connector: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mini = card.load("mini")
    assert isinstance(mini, TextCard)
    assert mini.frames is not None
    frames = replace(mini.frames, accuracy={"balanced": accuracy})
    found = {"mini": replace(mini, frames=frames), "small": card.load("small")}
    monkeypatch.setattr(card, "load", found.__getitem__)
    loaded, started = load(name, cache), Started(Engine(name, budget="balanced")).model
    assert type(loaded) is type(started)
    assert loaded.reads_by == reads_by


def test_the_library_refuses_what_the_command_refuses(
    pulled: list[tuple[str, str]], cache: Path
) -> None:
    with pytest.raises(UsageError) as raised:
        load("mini", cache, device="cuda")
    with pytest.raises(UsageError) as said:
        Started(Engine("mini", "cuda"))
    assert str(raised.value) == str(said.value)
    with pytest.raises(EnvironmentLacks, match="needs an NVIDIA GPU"):
        load("qwen2-audio", cache)
    assert pulled == []
    model = load("qwen2-audio", cache, device="cpu", dtype="bf16")
    assert isinstance(model, LargeFrameModel)
    assert model.running.device == "cpu"
    assert pulled == [("qwen2-audio", "bf16")]
