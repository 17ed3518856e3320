"""Large models brought from a hub on this machine: all of it real but for the weights' size."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import fake_hub
import pytest
import torch
from fake_hub import FakeHub
from safetensors.torch import load_file, save_file
from tiny_checkpoints import write_fastlongspeech, write_omni

from fls_models.core.budget import PAPER
from fls_models.core.progress import Progress
from fls_models.errors import (
    DamagedWeights,
    DiskFull,
    EnvironmentLacks,
    UsageError,
    WeightsMissing,
)
from fls_models.weights import card
from fls_models.weights import large as released_weights
from fls_models.weights import store as weights
from fls_models.weights import user_folder as given_folders
from fls_models.weights.card import FrameCard
from fls_models.weights.conversion import install as installing
from fls_models.weights.conversion import layout as released
from fls_models.weights.conversion import quantization as quantised


def large(name: str) -> FrameCard:
    """A real card, but for a model of a megabyte."""
    found = card.load(name)
    assert isinstance(found, FrameCard)
    sizes = {"nf4": 0.001, "int8": 0.001, "bf16": 0.001}
    return replace(found, download_gb=0.001, weights_gb=sizes)


FLS, BARE = large("fastlongspeech"), large("qwen2-audio")
REPO = "ICTNLP/FastLongSpeech"
ADAPTER = "tuned/adapter_model.safetensors"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "Fast"
    write_fastlongspeech(folder)
    return folder


@pytest.fixture
def hub(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    files = fake_hub.folder_files(checkpoint)
    extra = ("README.md", "stage_one/optimizer.bin", "train.py", "spk_dict.pt", "a/b/c/d.json")
    with fake_hub.serve(REPO, files | dict.fromkeys(extra, b"{}")) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield served


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def names(cache: Path) -> list[str]:
    return sorted(entry.name for entry in (cache / "weights").iterdir())


def paths(hub: FakeHub) -> list[str]:
    return [path for path, _ in hub.fetched]


def test_names_of_forms_and_dtypes_are_those_of_others() -> None:
    assert released_weights.FORM == installing.FORM
    assert released_weights.DTYPES == quantised.DTYPES


@pytest.mark.parametrize("dtype", ["nf4", "int8", "bf16"])
def test_a_model_is_downloaded_checked_and_converted(
    cache: Path, checkpoint: Path, hub: FakeHub, dtype: str, tmp_path: Path
) -> None:
    stages: list[tuple[str, float, float | None]] = []
    found = weights.store_of(FLS, cache).pull(lambda *stage: stages.append(stage), dtype)
    assert found == weights.InstalledFrames(
        FLS, cache / "weights" / f"fastlongspeech-{dtype}-1", dtype
    )
    # The same bytes as from the folder that was served, converted without any of this.
    installing.install(released.find(checkpoint), tmp_path / "expected", dtype=dtype)
    made = fake_hub.folder_files(found.folder)
    assert made.pop("source.json")
    assert made == fake_hub.folder_files(tmp_path / "expected")
    wanted = sum(len(hub.files[path]) for path in set(paths(hub)))
    assert stages[0] == ("download fastlongspeech", 0, wanted)
    assert ("download fastlongspeech", wanted, wanted) in stages
    assert stages[-1][0] == "convert"
    assert all(total and done <= total for _, done, total in stages)
    assert names(cache) == [".fastlongspeech.lock", found.folder.name]
    asked = len(hub.fetched)
    assert (
        weights.store_of(FLS, cache).pull(dtype=dtype)
        == found
        == weights.store_of(FLS, cache).locate(dtype)
    )
    assert len(hub.fetched) == asked, "a second pull does nothing"
    assert weights.store_of(FLS, cache).is_ready()
    assert weights.store_of(FLS, cache).is_ready(dtype)
    assert not weights.store_of(FLS, cache).is_ready("float32")
    assert weights.store_of(FLS, cache).folders() == [found.folder]
    assert weights.store_of(FLS, cache).bytes_to_fetch(dtype) == 0
    assert weights.store_of(FLS, cache).bytes_to_fetch("float32") == 1_000_000


def test_only_settings_texts_and_safetensors_are_fetched(cache: Path, hub: FakeHub) -> None:
    weights.store_of(FLS, cache).pull(dtype="bf16")
    served = set(hub.files)
    left = {"README.md", "stage_one/optimizer.bin", "train.py", "spk_dict.pt", "a/b/c/d.json"}
    assert set(paths(hub)) == served - left
    assert ADAPTER in paths(hub)


@pytest.mark.parametrize("name", ["../out.json", "a/../../out.json", "/tmp/out.json", ".x/o.json"])
def test_names_that_lead_elsewhere_are_passed_over(cache: Path, hub: FakeHub, name: str) -> None:
    hub.files[name] = b"{}"
    weights.store_of(FLS, cache).pull(dtype="bf16")
    assert name not in paths(hub)


def test_where_it_came_from_is_kept(cache: Path, hub: FakeHub) -> None:
    found = weights.store_of(FLS, cache).pull(dtype="bf16")
    told = released_weights.source_of(found.folder)
    assert (told["repository"], told["commit"]) == (REPO, fake_hub.COMMIT)
    sums = {file["path"]: (file["bytes"], file["sha256"]) for file in told["files"]}
    data = hub.files[ADAPTER]
    assert sums[ADAPTER] == (len(data), hashlib.sha256(data).hexdigest())
    assert set(sums) == set(paths(hub))
    assert released_weights.source_of(cache) == {}


def test_without_the_adapter_its_weights_stay_on_the_hub(
    cache: Path, checkpoint: Path, hub: FakeHub
) -> None:
    found = weights.store_of(BARE, cache).pull(dtype="bf16")
    assert ADAPTER not in paths(hub)
    assert "tuned/tokenizer.json" in paths(hub), "the base has no processor of its own"
    tuned = weights.store_of(FLS, cache).pull(dtype="bf16")
    name = "language_model.layers.0.self_attn.q_proj.weight"
    with_it, without = (installing.open_tensors(one.folder)[name] for one in (tuned, found))
    plain = [load_file(file) for file in sorted((checkpoint / "stage_one").glob("*.safetensors"))]
    ends = "layers.0.self_attn.q_proj.weight"
    keys = [(one, key) for one in plain for key in one if key.endswith(ends)]
    [base] = [one[key] for one, key in keys if "audio_tower" not in key]
    assert torch.equal(without, base.to(torch.bfloat16))
    assert not torch.equal(with_it, without)


def test_an_interrupted_file_goes_on_where_it_stopped(
    cache: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    # What is written at once; of a real checkpoint's files, some ten megabytes.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 500)
    path = "stage_one/model-00002-of-00003.safetensors"
    hub.cut[path] = [1000, 1000, 0]
    with pytest.raises(WeightsMissing, match=r"did not answer .*kept.* --from FOLDER"):
        weights.store_of(FLS, cache).pull(dtype="bf16")
    firsts = [first for fetched, first in hub.fetched if fetched == path]
    assert firsts[:3] == [0, 1000, 2000]
    assert not weights.store_of(FLS, cache).is_ready()
    hub.cut.clear()
    hub.fetched.clear()
    weights.store_of(FLS, cache).pull(dtype="int8")
    assert (path, 2000) in hub.fetched
    before = "stage_one/model-00001-of-00003.safetensors"
    assert before not in paths(hub), "what is whole is kept, for any dtype"


def test_a_pull_that_is_interrupted_anywhere_is_taken_up_again(cache: Path, hub: FakeHub) -> None:
    def stopping(at: str) -> Progress:
        def interrupt(stage: str, done: float, total: float | None) -> None:
            here = threading.current_thread() is threading.main_thread()
            if here and stage.startswith(at) and total and done > total / 2:
                raise KeyboardInterrupt

        return interrupt

    for at in ("download", "convert"):
        with pytest.raises(KeyboardInterrupt):
            weights.store_of(FLS, cache).pull(stopping(at), "bf16")
        assert not weights.store_of(FLS, cache).is_ready()
        assert names(cache) == [".fastlongspeech.lock", ".incoming-fastlongspeech"]
    weights.store_of(FLS, cache).pull(dtype="bf16")
    assert len(paths(hub)) == len(set(paths(hub))), "nothing is fetched twice"
    assert names(cache) == [".fastlongspeech.lock", "fastlongspeech-bf16-1"]


def test_what_a_killed_conversion_left_is_made_anew(cache: Path, checkpoint: Path) -> None:
    for left in (".ready-fastlongspeech-bf16", ".installing-.ready-fastlongspeech-bf16"):
        (cache / "weights" / left).mkdir(parents=True)
        (cache / "weights" / left / "config.json").write_text("half")
    found = weights.store_of(FLS, cache).pull(dtype="bf16", source=checkpoint)
    assert json.loads((found.folder / "config.json").read_text())["dtype"] == "bf16"
    assert names(cache) == [".fastlongspeech.lock", "fastlongspeech-bf16-1"]


def test_what_changed_on_the_hub_is_not_mixed_with_what_was_there(
    cache: Path, checkpoint: Path, hub: FakeHub, tmp_path: Path
) -> None:
    path = "stage_one/model-00003-of-00003.safetensors"
    hub.cut[path] = [1000, 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", lambda _: None)
        patch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 500)
        with pytest.raises(WeightsMissing):
            weights.store_of(FLS, cache).pull(dtype="bf16")
    hub.cut = {}
    hub.commit = "f00d" * 10
    write_fastlongspeech(tmp_path / "new", seed=11)
    new = fake_hub.folder_files(tmp_path / "new")
    assert len(new[path]) == len(hub.files[path])
    hub.files = new
    found = weights.store_of(FLS, cache).pull(dtype="bf16")
    installing.install(released.find(tmp_path / "new"), tmp_path / "expected", dtype="bf16")
    made = fake_hub.folder_files(found.folder)
    assert made | fake_hub.folder_files(tmp_path / "expected") == made
    assert released_weights.source_of(found.folder)["commit"] == hub.commit


@pytest.mark.parametrize("path", [ADAPTER, "tuned/tokenizer.json"], ids=["SHA-256", "git"])
def test_other_bytes_than_the_hub_states_are_refused_and_not_kept(
    cache: Path, hub: FakeHub, path: str
) -> None:
    data = hub.files[path]
    hub.served[path] = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(DamagedWeights, match=rf"{path} is not the file .* again"):
        weights.store_of(FLS, cache).pull(dtype="bf16")
    assert not weights.store_of(FLS, cache).is_ready()
    hub.served.clear()
    hub.fetched.clear()
    weights.store_of(FLS, cache).pull(dtype="bf16")
    assert (path, 0) in hub.fetched


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (404, "RepoNotFound", "is not there, or not for everybody"),
        (401, "", "is not there, or not for everybody"),
        (403, "GatedRepo", "agreed to its terms: agree there, set HF_TOKEN"),
        (500, "", "did not answer"),
    ],
)
def test_a_hub_that_refuses_is_a_sentence(
    cache: Path, hub: FakeHub, status: int, code: str, said: str
) -> None:
    hub.refusal = (status, code)
    with pytest.raises(WeightsMissing, match=rf"{said}.*pull fastlongspeech --from FOLDER") as told:
        weights.store_of(FLS, cache).pull(dtype="bf16")
    assert "--model FOLDER" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("offline", [True, False])
def test_no_hub_is_a_sentence(cache: Path, monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    # Nothing listens on the port of a server that is gone.
    with fake_hub.serve(REPO, {}) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    with pytest.raises(WeightsMissing, match=r"did not answer \(.*\)\. Try again .* --from FOLDER"):
        weights.store_of(FLS, cache).pull(dtype="bf16")
    with pytest.raises(WeightsMissing, match=r"`fls models pull fastlongspeech --dtype bf16` down"):
        weights.store_of(FLS, cache).locate("bf16")


def test_a_repository_of_pickles_is_not_used(cache: Path, hub: FakeHub) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    with pytest.raises(WeightsMissing, match=r"holds no weights that can be used \(safetensors\)"):
        weights.store_of(FLS, cache).pull(dtype="bf16")
    assert hub.fetched == []


def test_a_full_disk_is_noticed_before_anything_is_downloaded(
    cache: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights.store_of(FLS, cache).pull(dtype="bf16")
    size = sum(
        file["bytes"]
        for file in released_weights.source_of(released_weights.folder(FLS, cache, "bf16"))["files"]
    )
    weights.store_of(FLS, cache).remove(keep=[])
    hub.fetched.clear()
    needed = size + 1_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - 1))
    with pytest.raises(
        DiskFull, match=rf"{cache} has .* GB free, but downloading and .* FLS_CACHE"
    ):
        weights.store_of(FLS, cache).pull(dtype="bf16")
    assert hub.fetched == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed))
    weights.store_of(FLS, cache).pull(dtype="bf16")


def test_a_converter_that_is_missing_is_noticed_before_anything_is_downloaded(
    cache: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise EnvironmentLacks("no bitsandbytes")

    monkeypatch.setattr(quantised, "bitsandbytes", missing)
    with pytest.raises(EnvironmentLacks, match="no bitsandbytes"):
        weights.store_of(FLS, cache).pull()
    assert hub.fetched == []
    weights.store_of(FLS, cache).pull(dtype="bf16")


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path: Path, hub: FakeHub) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentLacks, match=r"cannot be used for weights .*set FLS_CACHE"):
        weights.store_of(FLS, tmp_path / "file").pull(dtype="bf16")


def test_two_pulls_at_once_download_once(cache: Path, hub: FakeHub) -> None:
    found: list[weights.InstalledFrames] = []
    pulls = [
        threading.Thread(
            target=lambda: found.append(weights.store_of(FLS, cache).pull(dtype="bf16"))
        )
        for _ in range(2)
    ]
    for pull in pulls:
        pull.start()
    for pull in pulls:
        pull.join(60)
    assert found == [weights.store_of(FLS, cache).locate("bf16")] * 2
    assert len(paths(hub)) == len(set(paths(hub)))


def test_removing_takes_all_dtypes_and_what_is_left_over(cache: Path, checkpoint: Path) -> None:
    for dtype in ("bf16", "int8"):
        weights.store_of(FLS, cache).pull(dtype=dtype, source=checkpoint)
    other = weights.store_of(BARE, cache).pull(dtype="bf16", source=checkpoint)
    left = (".incoming-fastlongspeech", ".ready-fastlongspeech-nf4", ".removing-fastlongspeech-x")
    for name in left:
        (cache / "weights" / name).mkdir()
        (cache / "weights" / name / "half").write_bytes(bytes(10))
    there = [fake_hub.folder_files(place) for place in weights.store_of(FLS, cache).folders()]
    sizes = [sum(map(len, files.values())) for files in there]
    assert len(sizes) == 2
    assert weights.store_of(FLS, cache).remove(keep=[BARE]) == sum(sizes) + 30
    assert weights.store_of(FLS, cache).remove(keep=[]) == 0
    kept = [other.folder.name, ".fastlongspeech.lock", ".qwen2-audio.lock"]
    assert names(cache) == sorted(kept)
    assert weights.store_of(FLS, cache / "nowhere").remove(keep=[]) == 0


def test_a_card_is_installed_from_a_folder(cache: Path, checkpoint: Path, tmp_path: Path) -> None:
    found = weights.store_of(FLS, cache).pull(dtype="bf16", source=checkpoint)
    assert found == weights.store_of(FLS, cache).locate("bf16")
    assert released_weights.source_of(found.folder) == {"folder": str(checkpoint)}
    bare = weights.store_of(BARE, cache).pull(dtype="bf16", source=checkpoint)
    with pytest.raises(UsageError, match="is converted already; use it with `--model "):
        weights.store_of(FLS, cache).pull(dtype="int8", source=bare.folder)
    shutil.copytree(checkpoint / "stage_one", tmp_path / "base")
    shutil.copytree(checkpoint / "tuned", tmp_path / "base", dirs_exist_ok=True)
    for file in (tmp_path / "base").glob("adapter*"):
        file.unlink()
    with pytest.raises(UsageError, match="holds qwen2-audio and not fastlongspeech"):
        weights.store_of(FLS, cache).pull(dtype="int8", source=tmp_path / "base")
    with pytest.raises(UsageError, match="nowhere is no folder"):
        weights.store_of(FLS, cache).pull(dtype="int8", source=tmp_path / "nowhere")


def test_a_folder_of_the_users_is_converted_once(
    cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[str] = []
    found = given_folders.from_folder(
        checkpoint, cache, lambda stage, *_: stages.append(stage), "bf16"
    )
    assert isinstance(found, weights.InstalledFrames)
    assert found.card == replace(card.load("fastlongspeech"), name="Fast")
    assert found.folder.name.startswith("local-")
    assert len(found.folder.name) == len("local-0123456789abcdef-bf16-1")
    assert set(stages) == {"convert"}
    monkeypatch.setattr(installing, "install", lambda *_, **__: pytest.fail("converted again"))
    assert given_folders.from_folder(checkpoint, cache, dtype="bf16") == found
    monkeypatch.chdir(checkpoint)
    assert given_folders.from_folder(Path(), cache, dtype="bf16") == found


def test_a_changed_folder_is_converted_anew(cache: Path, checkpoint: Path, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    shutil.copytree(checkpoint, place)
    found = given_folders.from_folder(place, cache, dtype="bf16")
    file = sorted((place / "tuned").glob("adapter_model*"))[0]
    changed = {name: value * 2 for name, value in load_file(file).items()}
    save_file(changed, file, metadata={"format": "pt"})
    other = given_folders.from_folder(place, cache, dtype="bf16")
    assert isinstance(found, weights.InstalledFrames)
    assert isinstance(other, weights.InstalledFrames)
    assert other.folder != found.folder
    assert found.folder.is_dir()


def test_a_converted_folder_is_used_as_it_is(cache: Path, checkpoint: Path, tmp_path: Path) -> None:
    place = tmp_path / "converted"
    installing.install(released.find(checkpoint), place, dtype="int8")
    found = given_folders.from_folder(place, cache, dtype="nf4")
    assert isinstance(found, weights.InstalledFrames)
    own = replace(card.load("fastlongspeech"), name="converted")
    assert (found.card, found.folder, found.dtype) == (own, place, "int8")
    assert not cache.exists()
    settings = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(settings | {"form": 99}))
    with pytest.raises(UsageError, match="converted by another version of fls"):
        given_folders.from_folder(place, cache)


def test_a_folders_budgets_are_the_papers(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = replace(PAPER, source="measured", ask=dict.fromkeys(PAPER.ask, 77))
    known = replace(large("fastlongspeech"), budgets=measured)
    monkeypatch.setattr(released_weights, "load", lambda name: known)
    form = released_weights.FORM
    told = {"form": form, "architecture": "qwen2_audio", "dtype": "nf4", "text_config": {}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    found = given_folders.from_folder(tmp_path, cache)
    assert isinstance(found, weights.InstalledFrames)
    assert found.card.budgets == PAPER


def test_an_omni_is_known_by_its_width(cache: Path, tmp_path: Path) -> None:
    write_omni(tmp_path / "omni")
    found = given_folders.from_folder(tmp_path / "omni", cache, dtype="bf16")
    assert found.card == replace(card.load("qwen2.5-omni-3b"), name="omni")
    for name, width in (("qwen2.5-omni-3b", 2048), ("qwen2.5-omni-7b", 3584)):
        config = {"text_config": {"hidden_size": width}}
        assert released_weights.card_of("qwen2_5_omni", config, adapter=False).name == name
    with pytest.raises(UsageError, match=r"holds qwen2\.5-omni-3b and not qwen2\.5-omni-7b"):
        weights.store_of(large("qwen2.5-omni-7b"), cache).pull(source=tmp_path / "omni")


def test_a_folder_that_is_no_model_says_so(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no model"):
        given_folders.from_folder(tmp_path, cache)
    (tmp_path / "speech").mkdir()
    with pytest.raises(UsageError, match=r"is no model: speech/model\.bin is missing"):
        given_folders.from_folder(tmp_path, cache)
    with pytest.raises(UsageError, match=r"There is no dtype 'int4'; there are: nf4"):
        weights.store_of(FLS, cache).pull(dtype="int4")
