"""`fls train ctc` and `fls train compress` for `mini`, as they are typed: tiny random parts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from media_files import tone, write_wav
from tiny_model import HERE, Played, play

sys.path.append(str(HERE.parent / "models"))

pytestmark = pytest.mark.usefixtures("one_thread")

Capture = pytest.CaptureFixture[str]

PITCH = {"low": 300, "mid": 800, "high": 2000}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> Path:
    """A folder of the user's with `speech` and `llm`."""
    from tiny_whisper import write_tiny_whisper

    folder = tmp_path_factory.mktemp("tiny-mini")
    write_tiny_whisper(folder / "speech")
    (folder / "llm").symlink_to(tiny_weights)
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `speech.jsonl` and `clips.jsonl`."""
    folder = tmp_path_factory.mktemp("recordings")
    spoken, asked = [], []
    for word, pitch in PITCH.items():
        write_wav(folder / f"{word}.wav", tone(pitch, 1.5))
        spoken.append({"audio": f"{word}.wav", "text": f"The {word}."})
        asked.append({"audio": f"{word}.wav", "question": "How does it sound?", "answer": word})
    for name, lines in (("speech", spoken), ("clips", asked)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    return folder


def train(capfd: Capture, kind: str, manifest: Path, model: object, *more: object) -> Played:
    given = ["train", kind, str(manifest), "--dev", str(manifest), "--model", str(model)]
    few = ["--device", "cpu", "--steps", "2", "--every", "1", "--batch", "2"]
    return play(capfd, *given, *few, *map(str, more))


def test_from_recordings_to_a_connector_that_mini_reads_with(
    capfd: Capture, parts: Path, recordings: Path, tmp_path: Path
) -> None:
    speech, clips = recordings / "speech.jsonl", recordings / "clips.jsonl"
    small = ["--vocab", "80", "--blocks", "1", "--width", "16"]
    first = train(capfd, "ctc", speech, parts, "-o", tmp_path / "one", *small)
    assert first.code == 0, first.err
    connector = tmp_path / "one" / "connector"
    assert first.lines == [str(connector)]
    assert "the best connector is that of step" in first.err
    from fls_models.lslm.mini.connector_weights import read_config

    config = read_config(connector)
    assert (config.shape.blocks, config.shape.width, config.window) == (1, 16, 2048)
    assert config.shape.tokens <= 80
    # Finished: the same again. Gone on with: its size is its own.
    again = train(capfd, "ctc", speech, parts, "-o", tmp_path / "one", *small)
    assert (again.code, again.out) == (0, first.out)
    on = train(capfd, "ctc", speech, parts, "-o", tmp_path / "two", "--init", connector)
    assert on.code == 0, on.err
    assert read_config(tmp_path / "two" / "connector") == config

    every = ["--train", "lora,projector,adapter", "--lengths", "750,50", "--accumulate", "1"]
    asked = ["--connector", connector, "--rank", "2", *every]
    tuned = train(capfd, "compress", clips, parts, "-o", tmp_path / "three", *asked)
    assert tuned.code == 0, tuned.err
    made = tmp_path / "three" / "connector"
    assert tuned.lines == [str(made)]
    assert "750: " in tuned.err
    lora = read_config(made).lora
    assert lora is not None
    assert (lora.rank, lora.alpha) == (2, 4.0)


def test_mini_needs_a_connector_first(
    capfd: Capture, parts: Path, recordings: Path, tmp_path: Path
) -> None:
    played = train(capfd, "compress", recordings / "clips.jsonl", parts, "-o", tmp_path / "out")
    assert played.code == 2
    assert "has no connector yet; `fls train ctc --model" in played.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--train", "lora,ears"], "--train takes some of lora, projector, adapter"),
        (["--head", "head.safetensors"], "--head: "),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_loaded(
    capfd: Capture, parts: Path, recordings: Path, tmp_path: Path, more: list[str], said: str
) -> None:
    clips = recordings / "clips.jsonl"
    played = train(capfd, "compress", clips, parts, "-o", tmp_path / "out", *more)
    assert played.code == 2
    assert said in played.err


def test_a_large_model_has_no_such_parts(capfd: Capture, recordings: Path, tmp_path: Path) -> None:
    clips = recordings / "clips.jsonl"
    more = ["-o", tmp_path / "out", "--train", "projector"]
    played = train(capfd, "compress", clips, "qwen2-audio", *more)
    assert played.code == 2
    assert "--train: of qwen2-audio a LoRA is trained" in played.err
