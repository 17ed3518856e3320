"""An answer needs none of the extras; what needs one names it before any work is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from fls_models.core.optional import _EXTRAS, optional
from fls_models.errors import EnvironmentLacks

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "tests" / "cli"), str(ROOT / "tests" / "models")]

# Starts `fls` where the modules named first cannot be imported.
START = """
import sys
missing = sys.argv[1].split(",")
sys.modules |= dict.fromkeys(missing)
sys.argv = ["fls", *sys.argv[2:]]
from fls_cli.__main__ import run
run()
"""


def extras() -> set[str]:
    """Packages of all extras but dev's own, by their names."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        groups = tomllib.load(file)["project"]["optional-dependencies"]
    named = {
        line.split(">=")[0] for name in ("pictures", "bench", "train") for line in groups[name]
    }
    return {name for name in named if not name.startswith("fls[")}


def modules(packages: set[str]) -> list[str]:
    distributions = packages_distributions().items()
    return [
        module for module, names in distributions if packages & {name.lower() for name in names}
    ]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from media_files import tone, write_wav

    return write_wav(tmp_path_factory.mktemp("talk") / "talk.wav", tone(440, 4))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_mini import write_tiny_mini

    place = tmp_path_factory.mktemp("models") / "tiny-mini"
    place.mkdir()
    write_tiny_mini(place)
    return place


def fls(missing: list[str], *arguments: object) -> subprocess.CompletedProcess[str]:
    road = os.pathsep.join([str(ROOT), str(ROOT / "models")])
    return subprocess.run(
        [sys.executable, "-c", START, ",".join(missing), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": road, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("reader", ["text", "frames"])
def test_an_answer_is_soon_there_without_transformers(talk: Path, tiny: Path, reader: str) -> None:
    answered = fls(["transformers"], "ask", talk, "What?", "--model", tiny, "--read", reader)
    assert answered.returncode == 0, answered.stderr


def test_a_transcript_that_is_known_is_soon_there_without_torch(
    talk: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLS_KEEP", "yes")
    monkeypatch.setenv("FLS_CACHE", str(tmp_path))
    options = "transcribe", talk, "--model", tiny, "--read", "text"
    unknown = fls(["torch"], *options)
    assert unknown.returncode != 0
    heard = fls([], *options)
    assert heard.returncode == 0, heard.stderr
    again = fls(["torch", "transformers", "ctranslate2", "faster_whisper"], *options)
    assert (again.returncode, again.stdout) == (0, heard.stdout), again.stderr


@pytest.mark.parametrize(
    "arguments",
    [["ask", "-q", "What?", "--read", "frames", "--report", "{0}/talk.html"], ["transcribe"]],
    ids=lambda arguments: arguments[0],
)
def test_an_answer_needs_none(arguments: list[str], talk: Path, tiny: Path, tmp_path: Path) -> None:
    missing = modules(extras())
    assert {"matplotlib", "jiwer", "peft"} <= set(missing)
    options = [text.format(tmp_path) for text in arguments]
    done = fls(missing, *options, talk, "--model", tiny)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("missing", "extra", "arguments"),
    [
        ("matplotlib", "pictures", ["inspect", "{talk}", "-o", "{folder}/x.png"]),
        ("matplotlib", "bench", ["bench", "longspeech-eval", "{folder}/x", "-o", "{folder}/out"]),
        ("jiwer", "bench", ["bench", "asr", "{folder}/none.jsonl"]),
        ("jiwer", "train", ["train", "ctc", "{folder}/speech.jsonl", "-o", "{folder}/head"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value[:2]).strip("{}"),
)
def test_what_is_missing_is_named_first(
    missing: str, extra: str, arguments: list[str], talk: Path, tiny: Path, tmp_path: Path
) -> None:
    line = json.dumps({"audio": str(talk), "text": "what is said"})
    (tmp_path / "speech.jsonl").write_text(f"{line}\n{line}\n")
    given = [text.format(talk=talk, folder=tmp_path) for text in arguments]
    done = fls([missing], *given, "--model", tiny)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert f"needs {missing}, which cannot be loaded" in line
    assert f" -m pip install {missing}` brings it" in line
    assert f"`{extra}`" in line
    assert " -m pip install '.[" in line


def test_each_package_names_the_extras_that_have_it() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        groups = tomllib.load(file)["project"]["optional-dependencies"]
    having = {name: {line.split(">=")[0] for line in lines} for name, lines in groups.items()}
    # As pyproject.toml has it: benches come with pictures.
    having["bench"] |= having["pictures"]
    told = {
        package: {name for name in ("pictures", "bench", "train") if package in having[name]}
        for package in extras()
    }
    assert {package: set(names) for package, names in _EXTRAS.items()} == told


def test_a_package_that_breaks_is_as_good_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_library.py").write_text("raise OSError('no such symbol')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    expected = r"no such symbol.* -m pip install broken-library` brings it; walk\.$"
    with pytest.raises(EnvironmentLacks, match=expected):
        optional("broken-library", "Flying", "broken_library", otherwise="; walk")


def test_no_message_sends_people_to_the_package_of_another_project() -> None:
    # The name `fls` in the package index is not this project's.
    for folder in ("fls_cli", "models/fls_models"):
        for file in (ROOT / folder).rglob("*.py"):
            text = file.read_text("utf-8")
            assert "pip install fls" not in text, file
            assert "'fls[" not in text, file
