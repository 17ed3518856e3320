"""`fls models`, with two small cards that share a part and a hub that is a dictionary.

A third one is large; what is downloaded and converted for it is `test_released_weights`' affair.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
from typer.testing import CliRunner, Result

from fls_cli.commands.setup.models import app
from fls_models.core.budget import PAPER
from fls_models.errors import DiskFull, UsageError, WeightsMissing
from fls_models.weights import card, downloads
from fls_models.weights import large as released_weights
from fls_models.weights import store as weights
from fls_models.weights.card import Card, FrameCard, HubFile, Part, TextCard, WeightFile

DATA = {"speech.bin": bytes(3_000_000), "a.bin": bytes(2_000_000), "b.bin": bytes(5_000_000)}
TRANSCRIBE = "to transcribe 200, 400, 750"
BUDGETS = f"frames of 750 in 30 s; to ask 100, 200, 400; {TRANSCRIBE}: from the paper, not measured"


def part(name: str) -> Part:
    data = DATA[f"{name}.bin"]
    digest = hashlib.sha256(data).hexdigest()
    file = WeightFile(f"{name}.bin", len(data), digest, HubFile("some/repo", f"{name}.bin"), ())
    return Part(
        name, f"what {name} is", "MIT", f"https://example.org/{name}", "ctranslate2", (file,)
    )


@pytest.fixture(autouse=True)
def cards(monkeypatch: pytest.MonkeyPatch) -> dict[str, Card]:
    mini, big = card.load("mini"), card.load("fastlongspeech")
    assert isinstance(mini, TextCard)
    assert mini.frames is not None
    unmeasured = replace(mini.frames, budgets=PAPER, accuracy={})
    found: dict[str, Card] = {
        name: replace(
            mini,
            name=name,
            summary=f"Card {name}.",
            speech=part("speech"),
            llm=part(llm),
            frames=unmeasured,
        )
        for name, llm in (("mini", "a"), ("small", "b"))
    }

    found["big"] = replace(big, name="big", summary="Card big.")

    def load(name: str) -> Card:
        if name not in found:
            raise UsageError(f"There is no model {name!r}; there are: mini, small, big.")
        return found[name]

    monkeypatch.setattr(card, "load", load)
    monkeypatch.setattr(card, "names", lambda: list(found))
    return found


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def download(repo: str, file: str, *, local_dir: Path) -> str:
        local_dir.mkdir(parents=True, exist_ok=True)
        (local_dir / file).write_bytes(DATA[file])
        return str(local_dir / file)

    monkeypatch.setattr(downloads, "hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setenv("FLS_CACHE", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_list_says_what_is_here_and_what_is_to_download() -> None:
    assert run("list").stdout.splitlines() == [
        "mini   5 MB to download           Card mini.",
        "small  8 MB to download           Card small.",
        "big    about 17.6 GB to download  Card big.",
    ]
    run("pull", "mini")
    assert run("list").stdout.splitlines() == [
        "mini   installed                  Card mini.",
        "small  5 MB to download           Card small.",
        "big    about 17.6 GB to download  Card big.",
    ]


def test_list_is_as_wide_as_the_terminal(
    cards: dict[str, Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = "Hears and reads " + "very " * 30 + "well."
    monkeypatch.setitem(cards, "mini", replace(cards["mini"], summary=summary))
    for columns in (60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = run("list").stdout.splitlines()
        assert all(len(line) <= columns for line in lines)
        text = " ".join(line[len("small  about 17.6 GB to download  ") :] for line in lines[:-2])
        assert text == summary


def test_a_large_model_is_installed_in_any_dtype(big: Path) -> None:
    run("pull", "big", "--dtype", "int8")
    assert run("list").stdout.splitlines()[-1] == "big    installed            Card big."
    assert json.loads(run("list", "--json").stdout)[-1]["bytes_to_download"] == 0


def test_list_as_json() -> None:
    run("pull", "mini")
    found = json.loads(run("list", "--json").stdout)
    assert [(row["name"], row["installed"], row["bytes_to_download"]) for row in found] == [
        ("mini", True, 0),
        ("small", False, 5_000_000),
        ("big", False, 17_600_000_000),
    ]
    assert set(found[0]) >= {"summary", "runs_on", "memory_gb"}


def test_show_tells_everything_on_the_card(cards: dict[str, Card], cache: Path) -> None:
    run("pull", "mini")
    text = run("show", "small").stdout
    found = cards["small"]
    assert isinstance(found, TextCard)
    for fact in (found.summary, found.limits, found.runs_on, str(found.max_frames)):
        assert fact in text
    for piece in found.parts:
        for fact in (
            piece.name,
            piece.what,
            piece.licence,
            piece.origin,
            piece.files[0].sha256,
        ):
            assert fact in text
    assert f"lies in  {cache / 'weights' / 'speech'}" in text
    assert "lies in  not here; 5 MB to download" in text


def test_show_tells_of_the_connector(
    cards: dict[str, Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = run("show", "mini").stdout
    for fact in ("connector:  mini: for --read frames", "measured no; --read auto reads text"):
        assert fact in text
    found = cards["mini"]
    assert isinstance(found, TextCard)
    assert found.frames is not None
    assert f"at most {found.frames.max_frames} frames in {found.frames.window} positions" in text
    assert f"\n  budgets  {BUDGETS}\n" in text
    place = tmp_path / "connector"
    monkeypatch.setattr(weights, "connector", lambda card: None)
    assert "lies in  not here; --read frames needs" in run("show", "mini").stdout
    place.mkdir()
    (place / "connector.safetensors").write_bytes(b"weights")
    (place / "README.md").write_text("A card of its own.")
    monkeypatch.setattr(weights, "connector", lambda card: place)
    rates = replace(PAPER, source="measured", ask={"fast": 1, "balanced": 2, "accurate": 3})
    cards["mini"] = replace(
        found, frames=replace(found.frames, accuracy={"fast": (0.625, 0.5)}, budgets=rates)
    )
    cards["small"] = replace(cards["small"], frames=None)  # type: ignore[call-arg]
    text = run("show", "mini").stdout
    assert f"  budgets  frames of 750 in 30 s; to ask 1, 2, 3; {TRANSCRIBE}: measured\n" in text
    assert "fast     62.5% right by frames, 50.0% by text" in text
    assert f"lies in  {place}\n  connector.safetensors  7 bytes\n    sha256  " in text
    assert hashlib.sha256(b"weights").hexdigest() in text
    assert "README" not in text
    assert "connector:" not in run("show", "small").stdout


@pytest.fixture
def big(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where weights go; those of `big` appear without being downloaded or converted."""

    def fetch(
        store: released_weights.LargeStore, dtype: str, progress: object, source: Path | None
    ) -> None:
        found = store.card
        place = released_weights.folder(found, cache, dtype)
        place.mkdir(parents=True, exist_ok=True)
        files = [{"path": "model.safetensors", "bytes": 7, "sha256": "5a5a", "blob": None}]
        told = {"repository": found.repo, "commit": "c0ffee", "files": files}
        (place / "source.json").write_text(json.dumps({"folder": str(source)} if source else told))

    monkeypatch.setattr(released_weights.LargeStore, "_fetch", fetch)
    return cache / "weights"


def test_show_tells_everything_of_a_large_model(cards: dict[str, Card], big: Path) -> None:
    found = cards["big"]
    assert isinstance(found, FrameCard)
    text = run("show", "big").stdout
    facts = (
        *(found.summary, found.limits, found.runs_on, found.repo, found.origin, found.licence),
        *(found.architecture, f"{found.max_frames} frames", f"{found.window} positions"),
        *(
            "nf4 7.28 GB, int8 10.41 GB, bf16 16.89 GB",
            f"{found.memory_gb:g} GB of memory of the device",
            "with its LoRA",
        ),
        *("--low-memory keeps 2.55 GB", "says no:   never: not calibrated"),
    )
    for fact in facts:
        assert fact in text
    assert f"\nbudgets:   {BUDGETS}\n" in text
    assert "lies in  not here; about 17.6 GB to download" in text
    run("pull", "big")
    run("pull", "big", "--dtype", "bf16", "--from", "/some/where")
    text = run("show", "big").stdout
    assert "not here" not in text
    assert f"lies in  {big / 'big-nf4-1'}\n    commit c0ffee, SHA-256 as the hub stated it" in text
    assert "model.safetensors  7 bytes" in text
    assert "sha256  5a5a" in text
    assert f"lies in  {big / 'big-bf16-1'}\n    from   /some/where" in text


def test_pull_takes_the_dtype_of_a_large_model(big: Path) -> None:
    result = run("pull", "big")
    assert result.stderr == "Downloading big: about 17.6 GB, once.\n"
    assert result.stdout == f"{big / 'big-nf4-1'}\n"
    assert run("pull", "big", "--dtype", "nf4").stderr == ""
    assert run("pull", "big", "--dtype", "int8").stdout == f"{big / 'big-int8-1'}\n"
    from_folder = run("pull", "big", "--dtype", "bf16", "--from", "/some/where")
    assert from_folder.stderr == "Converting /some/where, once.\n"
    with pytest.raises(UsageError, match="--dtype takes nf4, int8, bf16, not 'q4'"):
        run("pull", "big", "--dtype", "q4")
    assert run("remove", "big").stderr.startswith("Removed big: 0 MB freed.")


@pytest.mark.parametrize("flag", ["--dtype", "--from"])
def test_what_is_for_large_models_is_refused_for_others(flag: str) -> None:
    with pytest.raises(UsageError, match=f"{flag} is for large models; mini is none"):
        run("pull", "mini", flag, "nf4")


def test_pull_says_how_much_first_and_where_last(cache: Path) -> None:
    result = run("pull", "mini")
    folders = [str(cache / "weights" / name) for name in ("speech", "a")]
    assert result.stderr == "Downloading mini: 5 MB, once.\n"
    assert result.stdout.splitlines() == folders
    again = run("pull", "mini")
    assert (again.stderr, again.stdout) == ("", result.stdout)


def test_remove_says_how_much_and_keeps_what_others_need(cache: Path) -> None:
    run("pull", "mini")
    run("pull", "small")
    removed = run("remove", "mini")
    assert removed.stdout == ""
    assert removed.stderr == "Removed mini: 2 MB freed. Kept for small: speech.\n"
    assert run("remove", "small").stderr == "Removed small: 8 MB freed.\n"
    assert run("remove", "small").stderr == "Nothing of small to remove.\n"
    assert not [entry for entry in (cache / "weights").iterdir() if entry.is_dir()]


@pytest.mark.parametrize("command", ["show", "pull", "remove"])
def test_an_unknown_model_is_a_usage_error(command: str) -> None:
    with pytest.raises(UsageError, match="there are: mini, small, big"):
        run(command, "tiny")


def test_failures_to_fetch_reach_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    for failure in (DiskFull("full"), WeightsMissing("offline")):

        def fail(*_: object, failure: Exception = failure) -> None:
            raise failure

        monkeypatch.setattr(weights.Store, "pull", fail)
        with pytest.raises(type(failure)):
            run("pull", "mini")


@pytest.mark.parametrize("command", ["list", "show", "pull", "remove"])
def test_help_has_an_example(command: str) -> None:
    assert f"Example: fls models {command}" in run(command, "--help").stdout


def test_listing_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from fls_cli.commands.setup.models import app\n"
        "app(['list'], standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'numpy', 'tqdm', 'huggingface_hub'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    command = [sys.executable, "-c", code]
    env = {"FLS_CACHE": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert "mini" in done.stdout
