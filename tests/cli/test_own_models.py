"""Models of the user's own: `--llm`, `--ears`, and `fls models add`, `calibrate`, `remove`."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_model import play

from fls_cli.session.own_models import find_own_cards
from fls_models.answering import calibration
from fls_models.weights import card, downloads

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "models"))

import fake_hub  # noqa: E402
import tiny_architectures  # noqa: E402
import tiny_whisper  # noqa: E402

Capture = pytest.CaptureFixture[str]
FAST = ["--no-cache", "--budget", "fast"]
ASKED = ["Who?", "--max-tokens", "2", *FAST]


@pytest.fixture(scope="module")
def ears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ears") / "tiny-ears"
    tiny_whisper.write_tiny_whisper(place, words=tiny_whisper.TIMED_WORDS, sharpness=3.0)
    return place


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("llm") / "tiny-llama.gguf"
    tiny_architectures.write_architecture(file, "llama", fields={"general.license": "mit"})
    return file


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where cards of added models lie."""
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("FLS_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("FLS_MODEL", "auto")
    yield tmp_path / "models"
    card._own.clear()


def test_other_parts_are_given_with_a_question(
    talk: Path, llm: Path, ears: Path, capfd: Capture
) -> None:
    parts = ["--llm", str(llm), "--ears", str(ears)]
    first = play(capfd, "ask", str(talk), *ASKED, "--json", *parts)
    assert first.code == 0, first.err
    assert "converting tiny-llama+tiny-ears to 8 bits, once" in first.err
    assert json.loads(first.out)["usage"]["model"] == "tiny-llama+tiny-ears"
    again = play(capfd, "ask", str(talk), *ASKED, *parts)
    assert (again.code, again.err) == (0, "")
    assert again.out.strip() == json.loads(first.out)["answer"]
    # Nothing is known of it: it says no to nothing.
    assert "does not say" not in again.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--llm", "gone.gguf"], "gone.gguf is no file"),
        (["--llm", "{talk}"], "is no GGUF file"),
        (["--ears", "gone"], "gone is no folder"),
        (["--ears", "{folder}"], "holds no Whisper"),
        (["--llm", "{llm}", "--model", "fastlongspeech"], "fastlongspeech hears by itself"),
        (["--llm", "{llm}", "--model", "{folder}"], "a folder has its own parts"),
        (["--llm", "hf:somebody"], "names no repository"),
        (["--llm", "hf:some/body"], "names no GGUF file"),
    ],
)
def test_what_is_no_part_is_one_sentence(
    options: list[str], says: str, talk: Path, llm: Path, tmp_path: Path, capfd: Capture
) -> None:
    places = {"talk": str(talk), "llm": str(llm), "folder": str(tmp_path)}
    played = play(capfd, "ask", str(talk), *ASKED, *(option.format(**places) for option in options))
    assert played.code in (2, 3)
    assert says in played.err
    assert len(played.err.splitlines()) == 1


def test_a_model_that_is_too_large_is_not_begun(
    talk: Path, llm: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fls_models.core.machine.memory import Memory

    monkeypatch.setattr("fls_cli.session.own_models.memory", lambda: Memory(10**9, 2 * 10**9))
    played = play(capfd, "ask", str(talk), *ASKED, "--llm", str(llm))
    assert played.code == 3
    assert "takes 1.2 GB of memory in 8 bits, and 1.0 GB are free" in played.err


def test_an_added_model_is_taken_by_its_name(
    talk: Path,
    llm: Path,
    ears: Path,
    folders: Path,
    capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = list(calibration.sections())[:3]
    monkeypatch.setattr(calibration, "sections", lambda: iter(some))
    added = play(capfd, "models", "add", "mine", "--llm", str(llm), "--ears", str(ears))
    assert added.code == 0, added.err
    assert f"tiny: licence mit; from {llm}" in added.err
    assert "`fls models calibrate mine` lets it say no" in added.err
    assert "Whisper and tiny, 8-bit." in play(capfd, "models", "list").out
    page = play(capfd, "models", "show", "mine").out
    assert "says no:   never: not calibrated" in page
    assert str(ears) in page
    asked = play(capfd, "ask", str(talk), *ASKED, "--model", "mine")
    assert (asked.code, asked.err) == (0, "fls: converting mine to 8 bits, once\n")
    found = play(capfd, "models", "calibrate", "mine", "--quiet")
    assert found.code == 0, found.err
    assert "of 6 questions that a text answers are answered" in found.err
    # Random weights tell nothing apart.
    assert "mine cannot tell them apart" in found.err
    items = str(HERE.parents[1] / "examples" / "qa-sample" / "sample.jsonl")
    few = ["--limit", "1", "--budgets", "none", "--free", "1"]
    measured = play(capfd, "bench", "qa", items, "--model", "mine", *few)
    assert measured.code == 0, measured.err
    page = play(capfd, "models", "show", "mine").out
    assert "limits:    Measured by `fls bench qa` on 1 questions of sample.jsonl: right" in page
    assert "is there already" in play(capfd, "models", "add", "mine", "--llm", str(llm)).err
    gone = play(capfd, "models", "remove", "mine")
    assert gone.err.startswith("Removed mine: ")
    assert list(folders.iterdir()) == []
    assert ears.is_dir()
    assert llm.is_file()
    assert "There is no model 'mine'" in play(capfd, "ask", str(talk), *ASKED, "-m", "mine").err


def test_what_cannot_be_added(llm: Path, folders: Path, capfd: Capture) -> None:
    for options, says in (
        (["mine"], "What is to be added?"),
        (["mini", "--llm", str(llm)], "mini is a model of fls itself"),
        (["a/b", "--llm", str(llm)], "is no name for a model"),
        (["mine", "--llm", __file__], "is no GGUF file"),
    ):
        played = play(capfd, "models", "add", *options)
        assert played.code in (2, 3)
        assert says in played.err
    assert not folders.exists()
    assert "this is for added models" in play(capfd, "models", "calibrate", "mini").err
    folders.mkdir()
    (folders / "odd.json").write_text('{"schema": "other"}')
    odd = play(capfd, "models", "show", "odd")
    assert odd.code == 2
    assert "odd.json is no card of a model" in odd.err
    listed = play(capfd, "models", "list")
    assert (listed.code, listed.err) == (0, odd.err)
    assert listed.out.startswith("mini ")


@pytest.fixture
def hub(
    llm: Path, ears: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[fake_hub.FakeHub]:
    files = {"q4/tiny.gguf": llm.read_bytes(), "README.md": b"---\nlicense: mit\n---\n"}
    files |= fake_hub.folder_files(ears)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    downloads.hub_answers.cache_clear()
    with fake_hub.serve("some/body", files) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served
    downloads.hub_answers.cache_clear()


def test_a_model_from_the_hub_is_pinned_and_fetched(
    talk: Path, hub: fake_hub.FakeHub, folders: Path, capfd: Capture
) -> None:
    source = "hf:some/body/q4/tiny.gguf"
    added = play(capfd, "models", "add", "far", "--llm", source, "--ears", "hf:some/body")
    assert added.code == 0, added.err
    assert "tiny: licence apache-2.0" in added.err
    assert hub.fetched == []
    kept = json.loads((folders / "far.json").read_text())
    digest = hashlib.sha256(hub.files["q4/tiny.gguf"]).hexdigest()
    assert kept["llm"]["files"][0]["sha256"] == digest
    assert kept["llm"]["commit"] == fake_hub.COMMIT
    asked = play(capfd, "ask", str(talk), *ASKED, "-m", "far")
    assert asked.code == 0, asked.err
    assert "fls: downloading far" in asked.err
    # What the hub has by now is another file: what was pinned is not to be had.
    play(capfd, "models", "remove", "far")
    play(capfd, "models", "add", "far", "--llm", source)
    hub.served["q4/tiny.gguf"] = bytes(len(hub.files["q4/tiny.gguf"]))
    other = play(capfd, "models", "pull", "far", "--quiet")
    assert other.code == 3
    assert "is not the file that" in other.err
    missing = play(capfd, "models", "add", "x", "--llm", "hf:some/body/q8/tiny.gguf")
    assert "hf:some/body has no q8/tiny.gguf; it has q4/tiny.gguf" in missing.err
    assert "is not there" in play(capfd, "models", "add", "x", "--ears", "hf:no/body").err


@pytest.mark.parametrize("bins", [80, 128])
def test_ears_as_transformers_keeps_them(
    talk: Path, tmp_path: Path, llm: Path, bins: int, capfd: Capture
) -> None:
    place = tmp_path / "whisper"
    model: Any = tiny_whisper.write_tiny_whisper(
        place, words=tiny_whisper.TIMED_WORDS, sharpness=3.0, bins=bins
    )
    # From version 3 on, Whisper hears more of the pitch.
    (place / "preprocessor_config.json").write_text(json.dumps({"feature_size": bins}))
    (place / "model.bin").unlink()
    model.save_pretrained(place)
    parts = ["--ears", str(place), "--llm", str(llm)]
    played = play(capfd, "transcribe", str(talk), *parts, *FAST)
    assert played.code == 0, played.err
    (place / "model.safetensors").unlink()
    (place / "config.json").write_text('{"model_type": "whisper"}')
    broken = play(capfd, "transcribe", str(talk), *parts, *FAST)
    assert broken.code == 3
    assert "holds no whole Whisper" in broken.err


def test_cards_are_found_by_programs(folders: Path, llm: Path, ears: Path, capfd: Capture) -> None:
    play(capfd, "models", "add", "mine", "--llm", str(llm), "--ears", str(ears))
    card._own.clear()
    assert "mine" not in card.names()
    find_own_cards()
    assert card.names()[-1] == "mine"


def test_what_is_converted_needs_its_file_no_more(
    talk: Path, llm: Path, ears: Path, tmp_path: Path, capfd: Capture
) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(llm.read_bytes())
    play(capfd, "models", "add", "mine", "--llm", str(copy), "--ears", str(ears))
    assert play(capfd, "models", "pull", "mine", "--quiet").code == 0
    copy.unlink()
    again = play(capfd, "models", "pull", "mine", "--quiet")
    assert (again.code, again.err) == (0, "")
    assert play(capfd, "ask", str(talk), *ASKED, "-m", "mine").code == 0
