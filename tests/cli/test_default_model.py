"""Which model `auto` is, of those that read text: by the machine, by what is here, by paces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fls_cli.session import default_model
from fls_cli.session.default_model import text_model
from fls_cli.storage.paces import keep_pace
from fls_cli.storage.resources import instructions
from fls_models.core.machine.memory import Memory
from fls_models.planning.plan import Pace
from fls_models.weights import card
from fls_models.weights.store import folder, store_of

MINI, SMALL = "mini", "small"
BETTER = "which answers better than mini and suits this machine"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLS_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this machine another one; at first it suits `small`."""

    def make(
        names: tuple[str, ...] = ("avx2", "avx512_bf16"), cores: int = 2, gb: float | None = 7.8
    ) -> None:
        monkeypatch.setattr(default_model, "instructions", lambda: frozenset(names))
        monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
        memory = None if gb is None else Memory(10**9, round(gb * 1e9))
        monkeypatch.setattr(default_model, "memory", lambda: memory)

    make()
    return make


def install(cache: Path, *names: str) -> None:
    for name in names:
        for part in card.load(name).parts:
            place = folder(part, cache)
            place.mkdir(parents=True, exist_ok=True)
            (place / "model.bin").write_text(part.name)


def chosen(cache: Path, *, frames: bool = False) -> tuple[str, str]:
    found, reason = text_model(cache, "auto", frames=frames, low_memory=False)
    return found.name, reason


def test_a_first_download_is_of_the_better_one_for_this_machine(
    cache: Path, machine: Callable[..., None]
) -> None:
    assert chosen(cache) == (SMALL, BETTER)
    machine(("avx2", "fma"))
    assert chosen(cache) == (MINI, "the model that runs on any CPU")


@pytest.mark.parametrize(
    "lacks", [{"names": ("avx512f",)}, {"cores": 1}, {"gb": 7.5}, {"gb": None}], ids=str
)
def test_the_better_one_wants_all_of_it(
    cache: Path, machine: Callable[..., None], lacks: dict[str, object]
) -> None:
    install(cache, MINI, SMALL)
    assert chosen(cache)[0] == SMALL
    machine(**lacks)
    assert chosen(cache)[0] == MINI


@pytest.mark.usefixtures("machine")
def test_a_second_one_is_not_downloaded_to_choose(cache: Path) -> None:
    install(cache, MINI)
    assert chosen(cache) == (MINI, "the model that runs on any CPU")


def test_what_is_here_is_used_before_anything_is_fetched(
    cache: Path, machine: Callable[..., None]
) -> None:
    install(cache, SMALL)
    machine(("avx2",))
    assert chosen(cache) == (SMALL, "as mini is not downloaded")


@pytest.mark.usefixtures("machine")
def test_frames_are_read_by_one_that_reads_them(cache: Path) -> None:
    install(cache, MINI, SMALL)
    assert chosen(cache, frames=True)[0] == MINI


@pytest.mark.parametrize(("reading", "name"), [(0.015, SMALL), (0.05, MINI)])
def test_measured_paces_count_more_than_what_the_machine_is(
    cache: Path, machine: Callable[..., None], reading: float, name: str
) -> None:
    install(cache, MINI, SMALL)
    for model, read in ((MINI, 0.002), (SMALL, reading)):
        pace = Pace(
            start=1.0, load=1.0, begin=0.1, hear=dict.fromkeys(("fast", "balanced"), 0.05),
            speakers=0.02, read=read, first=1.0, following=1.0, check=0.1, answer=1.0, note=50,
            audio_seconds=60.0,
        )  # fmt: skip
        folders = store_of(card.load(model), cache).locate().folders()
        keep_pace(pace, folders, reads_by="text", device="auto", low_memory=False)
        # What one of them takes says nothing.
        assert chosen(cache)[0] == (SMALL if model == MINI else name)
    machine(("avx2",))
    assert chosen(cache)[0] == name


def test_instructions_are_those_of_the_first_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    assert instructions(tmp_path) == frozenset()
    (tmp_path / "proc").mkdir()
    text = (
        "processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16 amx_bf16\n\nprocessor\t: 1\nflags\t: x\n"
    )
    (tmp_path / "proc/cpuinfo").write_text(text)
    assert instructions(tmp_path) == {"fpu", "avx2", "avx512_bf16", "amx_bf16"}
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert instructions(tmp_path) == {"fpu", "avx2"}
