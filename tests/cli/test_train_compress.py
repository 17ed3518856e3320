"""`fls train compress`, as it is typed: a tiny random Qwen2-Audio, four signals, four answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from media_files import tone, write_wav
from tiny_model import HERE, play

sys.path.append(str(HERE.parent / "models"))

pytestmark = pytest.mark.usefixtures("one_thread")

Capture = pytest.CaptureFixture[str]

PITCH = {"low": 300, "mid": 800, "high": 2000, "top": 5000}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fls_models.weights import devices

    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    # These tests are about the CPU on machines with a GPU, too.
    monkeypatch.setattr(devices, "_DRIVERS", ())


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """What stage 1 leaves: a base with its CTC head, in the release's layout."""
    from tiny_checkpoints import write_qwen2_audio

    write_qwen2_audio(tmp_path / "released" / "base", ctc=True)
    return tmp_path / "released"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    lines = []
    for word, pitch in PITCH.items():
        write_wav(tmp_path / f"{word}.wav", tone(pitch, 1.5))
        lines.append({"audio": f"{word}.wav", "question": "How does it sound?", "answer": word})
    file = tmp_path / "clips.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return file


def arguments(clips: Path, released: Path, output: Path, *more: str) -> list[str]:
    few = ["--steps", "6", "--every", "3", "--batch", "2", "--accumulate", "1", "--rank", "4"]
    where = ["--model", str(released), "--device", "cpu", "--dtype", "float32", "-o", str(output)]
    return ["train", "compress", str(clips), "--dev", str(clips), *where, *few, *more]


def test_an_adapter_is_trained_and_can_be_used(
    capfd: Capture, clips: Path, released: Path, tmp_path: Path
) -> None:
    output = tmp_path / "tuned"
    asked = arguments(clips, released, output, "--lr", "0.01", "--lengths", "750,25")
    done = play(capfd, *asked)
    assert done.code == 0, done.err
    [place] = done.lines
    assert Path(place) == output / "adapter"
    assert "750: " in done.err
    assert "25: " in done.err
    # The same command finds everything done.
    again = play(capfd, *asked)
    assert (again.code, again.lines) == (0, done.lines)
    # Beside the base, it is what a user asks.
    Path(place).rename(released / "adapter")
    how = ["--model", str(released), "--device", "cpu", "--dtype", "float32", "--max-tokens", "4"]
    answered = play(capfd, "ask", str(tmp_path / "low.wav"), "How does it sound?", *how, "--json")
    assert answered.code == 0, answered.err
    assert json.loads(answered.out)["usage"]["reader"] == "frames"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--lengths", "750,0", "--lengths takes numbers from 1 up"),
        ("--lengths", "many", "--lengths takes numbers from 1 up"),
        ("--dropout", "1", "--dropout takes a share"),
        ("--lr", "nan", "--lr takes a number above 0"),
        ("--alpha", "0", "--alpha takes a number above 0"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_loaded(
    capfd: Capture, clips: Path, tmp_path: Path, option: str, value: str, said: str
) -> None:
    asked = arguments(clips, tmp_path / "nowhere", tmp_path / "tuned", option, value)
    done = play(capfd, *asked)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("name", "said"),
    [("small", "Only models that read frames"), ("fastlongspeech", "--model qwen2-audio")],
)
def test_models_that_cannot_be_trained(
    capfd: Capture, clips: Path, tmp_path: Path, name: str, said: str
) -> None:
    done = play(
        capfd, "train", "compress", str(clips), "--model", name, "-o", str(tmp_path / "tuned")
    )
    assert done.code == 2
    assert said in done.err
