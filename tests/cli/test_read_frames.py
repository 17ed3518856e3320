"""`--read`: a tiny `mini` with random weights that reads frames as well as text."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from media_files import run_ffmpeg, write_wav
from tiny_model import HERE, Played, play

from fls_models.core.results import NO_SPEECH
from fls_models.weights import store as weights
from fls_models.weights import user_folder as given_folders

if TYPE_CHECKING:
    from fls_models.weights.store import Installed

sys.path.append(str(HERE.parent / "models"))

pytestmark = pytest.mark.usefixtures("one_thread")

Capture = pytest.CaptureFixture[str]
Fls = Callable[..., Played]

ROOT = HERE.parents[1]
WHAT = "What is it about?"
SAID = "the tall trees stand here. they say a thing or two."
SECONDS = 8


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Eight seconds of tones: 200 frames."""
    from tiny_hearing import babble

    return write_wav(tmp_path / "talk.wav", babble(SECONDS))


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows were encoded, call by call."""
    from fls_models.lslm.mini.speech_model import MiniSpeechLM

    found: list[int] = []
    original = MiniSpeechLM.encode

    def encode(self: MiniSpeechLM, features: Any) -> Any:
        found.append(len(features))
        return original(self, features)

    monkeypatch.setattr(MiniSpeechLM, "encode", encode)
    return found


@pytest.fixture
def fls(tiny_mini: Path, capfd: Capture) -> Fls:
    """`fls COMMAND ARGUMENTS` with the tiny model."""

    def played(command: str, *arguments: object, read: str | None = "frames") -> Played:
        options = ["--model", str(tiny_mini), "--quiet"]
        options += ["--read", read] if read else []
        options += [] if command == "transcribe" else ["--max-tokens", "6"]
        return play(capfd, command, *map(str, arguments), *options)

    return played


def refused(played: Played) -> str:
    """What was said instead of a result."""
    assert (played.code, played.out) == (2, "")
    return played.err


# Reading frames


def test_json_names_the_reader(fls: Fls, talk: Path) -> None:
    told = json.loads(fls("ask", talk, WHAT, "--json").out)
    assert (told["schema"], told["source"]) == ("fls.answer/1", str(talk))
    spent = told["usage"]
    assert (spent["model"], spent["reader"]) == ("tiny-mini", "frames")
    assert (spent["frames_before"], spent["frames_after"]) == (200, round(200 * SECONDS / 30))
    assert {"load", "listen"} <= set(spent["seconds"])


def test_budgets_are_frames(fls: Fls, talk: Path) -> None:
    for name, rate in (("fast", 100), ("accurate", 400)):
        spent = json.loads(fls("ask", talk, WHAT, "--json", "-b", name).out)["usage"]
        assert (spent["frames_after"], spent["budget"]) == (round(rate * SECONDS / 30), name)
    spent = json.loads(fls("ask", talk, WHAT, "--json", "--target-length", 20).out)["usage"]
    assert spent["frames_after"] == 20
    spent = json.loads(fls("ask", talk, WHAT, "--json", "--no-compress").out)["usage"]
    assert spent["frames_after"] == 200


def test_summaries_and_conversations_read_frames(
    fls: Fls, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    summary = json.loads(fls("summarize", talk, "--json").out)
    assert (summary["usage"]["reader"], summary["usage"]["frames_after"]) == ("frames", 53)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{WHAT}\n".encode())))
    reply = json.loads(fls("chat", talk, "--json").out)
    assert (reply["question"], reply["usage"]["reader"]) == (WHAT, "frames")


def test_frames_are_kept_for_the_next_question(
    fls: Fls, talk: Path, encoded: list[int], own_cache: Path
) -> None:
    first = json.loads(fls("ask", talk, WHAT, "--json", "--cache").out)
    assert encoded == [1]
    assert len(list((own_cache / "recordings" / "frames").glob("*.fls"))) == 1
    again = json.loads(fls("ask", talk, WHAT, "--json", "--cache").out)
    assert fls("summarize", talk, "--cache").code == 0
    assert encoded == [1]
    assert "listen" in first["usage"].pop("seconds")
    assert "listen" not in again["usage"].pop("seconds")
    assert first == again
    fls("ask", talk, WHAT, "--cache", "-b", "fast")
    assert encoded == [1, 1]
    # What the language model has read is not: frames are soon read anew.
    assert not (own_cache / "recordings" / "states").exists()


def test_frames_are_fused_anew_for_another_card(
    fls: Fls, talk: Path, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fls_models.core.budget import PAPER
    from fls_models.pipelines.mini import MiniFrameModel

    def read() -> int:
        found = json.loads(fls("ask", talk, WHAT, "--json", "--cache", "-b", "fast").out)
        assert found["usage"]["budget"] == "fast"
        count: int = found["usage"]["frames_after"]
        return count

    assert (read(), encoded) == (round(100 * SECONDS / 30), [1])
    # Where a number is the paper's nothing changes, whatever the others are.
    for ask, heard in (({"fast": 100, "balanced": 101, "accurate": 102}, 1), (PAPER.transcribe, 2)):
        monkeypatch.setattr(MiniFrameModel, "rates", replace(PAPER, source="measured", ask=ask))
        for _ in range(2):
            assert read() == round(ask["fast"] * SECONDS / 30)
            assert len(encoded) == heard


def test_silence_is_said(fls: Fls, hush: Path) -> None:
    assert fls("ask", hush, WHAT).out.strip() == NO_SPEECH


def test_transcribing_goes_by_frames_when_told_to(
    fls: Fls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoded: list[int]
) -> None:
    from fls_models.lslm.mini.speech_model import MiniSpeechLM

    # Random weights know no words.
    monkeypatch.setattr(MiniSpeechLM, "generate", lambda *_, **__: iter([SAID]))
    file = tmp_path / "lecture.wav"
    lecture = ROOT / "examples" / "lecture.mp3"
    run_ffmpeg("-i", lecture, "-t", str(SECONDS), "-ac", "1", "-ar", "16000", file)
    played = fls("transcribe", file)
    assert played.code == 0, played.err
    assert " ".join(played.out.split()) == SAID
    assert encoded == [1]


# Which of the two


def test_auto_reads_text_until_frames_were_measured_to_be_better(
    fls: Fls, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def told(budget: str, *options: str, command: str = "ask") -> str:
        """Which of two models was made."""
        from fls_models.pipelines import cascade
        from fls_models.pipelines import mini as mini_frames

        class Made(Exception):
            pass

        def made(reader: str) -> Callable[..., Any]:
            def raises(*_: object, **__: object) -> Any:
                read.append(reader)
                raise Made

            return raises

        with monkeypatch.context() as patch:
            patch.setattr(cascade, "CascadeModel", made("text"))
            patch.setattr(mini_frames, "MiniFrameModel", made("frames"))
            asked = (talk, WHAT) if command == "ask" else (talk,)
            with pytest.raises(Made):
                fls(command, *asked, "-b", budget, *options, read=None)
        return read.pop()

    assert [told(budget) for budget in ("fast", "balanced")] == ["text", "text"]
    measured(monkeypatch, fast=(0.5, 0.4), balanced=(0.5, 0.5))
    assert [told(budget) for budget in ("fast", "balanced", "accurate")] == [
        *("frames", "text", "text")
    ]
    assert told("fast", command="summarize") == "frames"
    # An amount that nobody measured, and words.
    assert told("fast", "--target-length", "50") == "text"
    assert told("fast", command="transcribe") == "text"
    assert told("fast", "--read", "text") == "text"
    assert told("accurate", "--read", "frames") == "frames"


def measured(patch: pytest.MonkeyPatch, **accuracy: tuple[float, float]) -> None:
    """A folder's card tells these numbers, as that of `mini` may."""
    local = given_folders.from_parts

    def told(place: Path) -> weights.Installed:
        found = local(place)
        assert found.card.frames is not None
        frames = replace(found.card.frames, accuracy=accuracy)
        return replace(found, card=replace(found.card, frames=frames))

    patch.setattr(given_folders, "from_parts", told)


def test_readers_are_completed() -> None:
    from fls_cli.options import common as options

    assert options._complete_read("") == ["auto", "frames", "text"]
    assert options._complete_read("f") == ["frames"]


def test_what_is_no_reader(fls: Fls, talk: Path) -> None:
    said = refused(fls("ask", talk, WHAT, read="sound"))
    assert said == "fls: --read takes auto, frames or text, not 'sound'.\n"


def test_what_large_models_take_is_refused(fls: Fls, talk: Path) -> None:
    said = refused(fls("ask", talk, WHAT, "--device", "cuda"))
    assert said == (
        "fls: --device: tiny-mini reads frames by its own connector on the CPU; that is for large "
        "models (`fls models list`).\n"
    )


def test_a_folder_without_a_connector(
    tiny_mini: Path, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for part in ("speech", "llm"):
        (bare / part).symlink_to(tiny_mini / part)
    asked = ["ask", str(talk), WHAT, "--model", str(bare), "--quiet", "--read", "frames"]
    played = play(capfd, *asked)
    assert (played.code, played.out) == (3, "")
    assert "The connector with which bare reads frames did not come with this fls" in played.err


# The real models


@pytest.mark.weights
def test_the_real_mini_reads_frames_by_any_connector(
    mini_weights: Installed, tmp_path: Path
) -> None:
    import tiny_mini

    from fls_models.lslm.mini.connector import Shape
    from fls_models.lslm.mini.connector_weights import write

    tokens = tuple(range(500, 1500))
    shape = Shape(512, 64, 1, 0, 9, 128, len(tokens), 896)
    told = replace(tiny_mini.config(lora=False), shape=shape, tokens=tokens)
    write(tiny_mini.random_connector(shape=shape), told, tmp_path / "connector")
    for name in ("speech", "llm"):
        (tmp_path / name).symlink_to(getattr(mini_weights, name))
    start = "import sys; sys.path.insert(0, 'models'); from fls_cli.app import main; main()"
    asked = ["ask", "examples/lecture.mp3", WHAT, "--end", "0:10", "--max-tokens", "5", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", start, *asked, "--model", str(tmp_path), "--read", "frames"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    spent = json.loads(done.stdout)["usage"]
    assert (spent["reader"], spent["frames_before"], spent["frames_after"]) == ("frames", 250, 67)
