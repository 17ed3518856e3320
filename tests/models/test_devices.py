"""Where a model is put and what is said where it cannot be, on machines that are made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fls_models.errors import EnvironmentLacks
from fls_models.weights import card as cards
from fls_models.weights import devices
from fls_models.weights import store as weights
from fls_models.weights.card import FrameCard
from fls_models.weights.devices import Choice, choose, is_device, place
from fls_models.weights.large import folder

GB = 10**9


def large(name: str = "fastlongspeech") -> FrameCard:
    card = cards.load(name)
    assert isinstance(card, FrameCard)
    return card


def machine(*free: float) -> dict[str, Callable[..., int]]:
    """A machine whose CUDA devices have so many GB free."""
    told = {f"cuda:{number}": round(one * GB) for number, one in enumerate(free)}
    return {"devices": lambda: len(told), "free": lambda device: told[device]}


def nothing_asked(*_: object) -> int:
    raise AssertionError("nobody asks for a GPU")


@pytest.mark.parametrize("text", ["auto", "cpu", "cuda", "cuda:0", "cuda:11"])
def test_what_is_a_device(text: str) -> None:
    assert is_device(text)


@pytest.mark.parametrize("text", ["", "gpu", "cuda:", "cuda:x", "CUDA", "cpu:0", "mps", "cuda:0 "])
def test_what_is_none(text: str) -> None:
    assert not is_device(text)


def test_what_a_model_takes_added_up_by_hand() -> None:
    # 7.28 GB in nf4; 3000 positions of 32 layers x 2 x 4096 x 2 bytes; 1.2 GB to work in.
    passed = 3000 * 32 * 2 * 4096 * 2
    card = large()
    assert card.needed_bytes("nf4", low_memory=False) == 7_280_000_000 + passed + 1_200_000_000
    assert card.needed_bytes("nf4", low_memory=True) == 4_730_000_000 + passed + 1_200_000_000
    assert card.needed_bytes("int8", low_memory=False) == 10_410_000_000 + passed + 1_200_000_000
    # Twice 16.89 GB, and keys and values of 32 bits.
    assert card.needed_bytes("float32", low_memory=False) == pytest.approx(
        33_780_000_000 + 2 * passed + 1_200_000_000, abs=1
    )


def test_cards_say_what_is_needed_by_default() -> None:
    for name in cards.names():
        card = cards.load(name)
        if isinstance(card, FrameCard):
            needed = card.needed_bytes("nf4", low_memory=False)
            assert needed / GB == pytest.approx(card.memory_gb, abs=0.051)


def test_the_cpu_is_not_asked_how_much_it_has() -> None:
    found = place(
        large(), "cpu", "bf16", low_memory=False, devices=nothing_asked, free=nothing_asked
    )
    assert found == "cpu"


@pytest.mark.parametrize(
    ("device", "placed"),
    [("auto", "cuda:1"), ("cuda", "cuda:0"), ("cuda:2", "cuda:2"), ("cuda:1", "cuda:1")],
)
def test_auto_takes_the_device_with_most_free_memory(device: str, placed: str) -> None:
    assert place(large(), device, "nf4", low_memory=False, **machine(11, 24, 12)) == placed


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0"])
def test_without_a_gpu_it_is_said_what_runs_without(device: str) -> None:
    with pytest.raises(EnvironmentLacks) as raised:
        place(large(), device, "nf4", low_memory=False, **machine())
    assert str(raised.value) == (
        "fastlongspeech needs an NVIDIA GPU, and PyTorch finds none; `fls doctor` says more. "
        "--model mini runs on any CPU, and --device cpu runs this one there, slowly."
    )
    assert raised.value.exit_code == 3


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(EnvironmentLacks) as raised:
        place(large(), "cuda:2", "nf4", low_memory=False, **machine(80, 80))
    assert str(raised.value) == "There is no cuda:2; there are 2, from cuda:0."


@pytest.mark.parametrize(
    ("name", "dtype", "low_memory", "free", "said"),
    [
        # fastlongspeech takes 10.05 GB in nf4, 7.50 with --low-memory; 13.18 and 10.63 in int8.
        ("fastlongspeech", "bf16", False, 11, "--dtype nf4 takes 10.1 GB."),
        ("fastlongspeech", "bf16", False, 9, "--dtype nf4 --low-memory takes 7.5 GB."),
        ("fastlongspeech", "nf4", False, 9, "--low-memory takes 7.5 GB."),
        ("fastlongspeech", "int8", True, 9, "--dtype nf4 takes 7.5 GB."),
        ("fastlongspeech", "nf4", True, 6, "--model qwen2.5-omni-3b --low-memory takes 3.4 GB."),
        (
            "fastlongspeech",
            "int8",
            False,
            4,
            "--model qwen2.5-omni-3b --dtype nf4 --low-memory takes 3.4 GB.",
        ),
        ("qwen2.5-omni-7b", "nf4", False, 7, "--low-memory takes 5.9 GB."),
        ("fastlongspeech", "nf4", False, 3, "--model mini runs on the CPU."),
        ("qwen2.5-omni-3b", "nf4", False, 3.4, "--model mini runs on the CPU."),
        ("fastlongspeech", "nf4", True, 3, "--model mini runs on the CPU."),
    ],
)
def test_too_little_memory_says_what_would_fit(
    name: str, dtype: str, low_memory: bool, free: float, said: str
) -> None:
    with pytest.raises(EnvironmentLacks) as raised:
        place(large(name), "cuda", dtype, low_memory=low_memory, **machine(free))
    told = str(raised.value)
    assert told.startswith(f"{name} in {dtype} takes ")
    assert f"and cuda:0 has {free:.1f} GB free; " in told
    assert told.endswith(said)


def test_what_is_said_to_fit_does() -> None:
    """The options that a refusal names are taken back by no second refusal."""
    for name in ("fastlongspeech", "qwen2-audio", "qwen2.5-omni-7b", "qwen2.5-omni-3b"):
        for dtype in ("nf4", "int8", "bf16"):
            for low in (False, True):
                for free in range(1, 24):
                    there = machine(free)
                    try:
                        place(large(name), "cuda", dtype, low_memory=low, **there)
                        continue
                    except EnvironmentLacks as refused:
                        words = str(refused).partition("free; ")[2].split()
                    if "mini" in words:
                        continue
                    tried = words[words.index("--model") + 1] if "--model" in words else name
                    kind = "nf4" if "--dtype" in words else dtype
                    assert place(
                        large(tried),
                        "cuda",
                        kind,
                        low_memory=low or "--low-memory" in words,
                        **there,
                    )


def test_memory_to_the_byte() -> None:
    needed = large().needed_bytes("nf4", low_memory=False)
    for has, fits in ((needed, True), (needed - 1, False)):
        there = {"devices": lambda: 1, "free": lambda device, has=has: has}
        if fits:
            assert place(large(), "auto", "nf4", low_memory=False, **there) == "cuda:0"
        else:
            with pytest.raises(EnvironmentLacks):
                place(large(), "auto", "nf4", low_memory=False, **there)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A cache with fastlongspeech in nf4 only."""
    folder(large(), tmp_path, "nf4").mkdir(parents=True)
    return tmp_path


def test_auto_is_the_large_model_where_it_is_installed_and_fits(installed: Path) -> None:
    found = choose(installed, "auto", "nf4", low_memory=False, **machine(8, 24))
    assert found == Choice("fastlongspeech", "as cuda:1 has 24.0 GB free")


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:1"])
def test_auto_is_no_large_model_without_a_gpu(installed: Path, device: str) -> None:
    found = choose(installed, device, "nf4", low_memory=False, **machine())
    assert found == Choice(None, "")


def test_auto_on_the_cpu_asks_for_no_gpu(installed: Path) -> None:
    found = choose(
        installed, "cpu", "nf4", low_memory=False, devices=nothing_asked, free=nothing_asked
    )
    assert found == Choice(None, "")


def test_auto_is_no_large_model_where_no_gpu_has_room(installed: Path) -> None:
    found = choose(installed, "auto", "nf4", low_memory=False, **machine(10, 9))
    assert found == Choice(None, "as no GPU has the 10.1 GB free for fastlongspeech")
    found = choose(installed, "auto", "nf4", low_memory=True, **machine(10, 9))
    assert found.name == "fastlongspeech"


@pytest.mark.parametrize("dtype", ["nf4", "int8"])
def test_auto_never_downloads_the_large_model(
    tmp_path: Path, installed: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights.Store, "pull", nothing_asked)
    # Installed in nf4, it is not in int8.
    cache = installed if dtype == "int8" else tmp_path / "empty"
    found = choose(cache, "auto", dtype, low_memory=False, **machine(24))
    assert found.name is None
    assert found.reason == (
        "as fastlongspeech is not downloaded; `fls models pull fastlongspeech` fetches about "
        "17.6 GB for cuda:0"
    )


def test_machines_without_a_driver_need_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(devices, "_DRIVERS", (Path("/dev/nothing-here"),))
    # An import of it fails from here on.
    monkeypatch.setitem(sys.modules, "torch", None)
    assert devices.count() == 0


def test_a_model_in_a_folder_goes_by_its_card() -> None:
    own = replace(large(), name="mine")
    with pytest.raises(EnvironmentLacks, match=r"mine in nf4 takes 10\.1 GB"):
        place(own, "auto", "nf4", low_memory=False, **machine(2))
