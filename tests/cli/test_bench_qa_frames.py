"""`fls bench qa` with models that read frames: a tiny `mini` and a tiny FastLongSpeech."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from media_files import write_wav
from tiny_model import HERE, Played, play

sys.path.append(str(HERE.parent / "models"))

pytestmark = pytest.mark.usefixtures("one_thread")

Fls = Callable[..., Played]

BUDGETS = ("fast", "accurate")
CONDITIONS = ["no-audio", *BUDGETS, "true-transcript"]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_hearing
    from tiny_checkpoints import write_fastlongspeech

    released = tmp_path_factory.mktemp("hub") / "tiny-fls"
    write_fastlongspeech(released)
    return tiny_hearing.converted(released, tmp_path_factory.mktemp("c") / "tiny-fls", "float32")


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of six seconds, one of which has two questions."""
    from tiny_hearing import babble

    folder = tmp_path_factory.mktemp("items")
    for seed, name in enumerate("ab"):
        write_wav(folder / f"{name}.wav", babble(6, seed))
    text = "the tall trees stand here. they say a thing or two."
    lines = [
        {"id": 1, "audio": "a.wav", "text": text, "question": "Who stands?", "answer": 0},
        {"id": 2, "audio": "b.wav", "text": "we went away.", "question": "Where?", "answer": 1},
        {"id": 3, "audio": "b.wav", "text": "we went away.", "question": "Who went?", "answer": 1},
    ]
    choices = {"choices": ["the trees", "away"]}
    (folder / "items.jsonl").write_text("".join(f"{json.dumps(one | choices)}\n" for one in lines))
    return folder / "items.jsonl"


@pytest.fixture
def fls(
    items: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Fls:
    from fls_models.answering.generation import GenerationConfig
    from fls_models.bench.qa import qa
    from fls_models.weights import devices

    # Random weights never come to an end.
    monkeypatch.setattr(qa, "GenerationConfig", partial(GenerationConfig, max_tokens=4))
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(devices, "_DRIVERS", ())

    def played(model: Path, *arguments: object) -> Played:
        options = ["--model", str(model), "--budgets", ",".join(BUDGETS), "--free", "2", "--quiet"]
        return play(capfd, "bench", "qa", str(items), *options, *map(str, arguments))

    return played


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The classes whose `encode` was called, call by call."""
    from fls_models.lslm.large import LargeSpeechLM
    from fls_models.lslm.mini.speech_model import MiniSpeechLM

    found: list[str] = []
    for kind in (MiniSpeechLM, LargeSpeechLM):

        def encode(self: Any, features: Any, original: Any = kind.encode) -> Any:
            found.append(type(self).__name__)
            return original(self, features)

        monkeypatch.setattr(kind, "encode", encode)
    return found


def test_mini_reads_frames_and_the_true_text_without_its_lora(
    fls: Fls, tiny_mini: Path, tmp_path: Path, encoded: list[str]
) -> None:
    work, report = tmp_path / "work", tmp_path / "report.json"
    played = fls(tiny_mini, "--read", "frames", "--work", work, "-o", report)
    assert played.code == 0, played.err
    assert "model tiny-mini, reading frames" in played.out
    assert "Refused: nothing, because tiny-mini has no thresholds for it yet" in played.out
    found = json.loads(report.read_text())
    assert (found["reader"], list(found["likelihood"])) == ("frames", CONDITIONS)
    assert found["refusals"] == {"fast": None, "accurate": None}
    # Zeros would say that it was asked and refused nothing; its text reader has thresholds.
    assert [found["free"][one]["refused"] for one in BUDGETS] == [None, None]
    assert isinstance(found["free"]["true-transcript"]["refused"], int)
    assert found["listening"]["fast"]["audio_seconds"] == 12
    # Two recordings at two budgets, each heard once, though three questions are asked.
    assert len(encoded) == 4
    assert len(list((work / "frames").rglob("*.fls"))) == 4
    # The same command finds all of it.
    assert fls(tiny_mini, "--read", "frames", "--work", work).out == played.out
    assert len(encoded) == 4
    # What text models make of the true text is the same to the last digit: one is kept for both.
    alone = tmp_path / "text.json"
    text = fls(tiny_mini, "--read", "text", "--budgets", "none", "--no-refusals", "-o", alone)
    assert text.code == 0, text.err
    kept = json.loads(alone.read_text())
    for part in ("wrong", "hits"):
        assert (
            kept["likelihood"]["true-transcript"][part]
            == (found["likelihood"]["true-transcript"][part])
        )
    replies = [one["free"]["true-transcript"]["answers"] for one in (kept, found)]
    assert [one["answer"] for one in replies[0]] == [one["answer"] for one in replies[1]]


def test_frames_are_heard_anew_for_another_connector(
    fls: Fls, tiny_mini: Path, tmp_path: Path, encoded: list[str]
) -> None:
    from tiny_mini import config, random_connector, random_lora

    from fls_models.lslm.mini.connector_weights import write

    asked = ["--read", "frames", "--work", tmp_path / "work", "--free", "0", "--json"]
    first = fls(tiny_mini, *asked)
    assert first.code == 0, first.err
    other = tmp_path / "tiny-mini"
    other.mkdir()
    for name in ("speech", "llm"):
        (other / name).symlink_to(tiny_mini / name)
    write(random_connector(seed=9), config(), other / "connector", lora=random_lora())
    second = fls(other, *asked)
    assert second.code == 0, second.err
    assert len(encoded) == 8


def test_a_large_model_reads_frames_and_text(
    fls: Fls, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoded: list[str]
) -> None:
    from fls_models.lslm.large import LargeSpeechLM

    read: list[tuple[bool, int]] = []
    original = LargeSpeechLM.read

    def noted(self: LargeSpeechLM, prompt: Any, recording: Any, **how: Any) -> Any:
        read.append((prompt.audio, len(recording)))
        return original(self, prompt, recording, **how)

    monkeypatch.setattr(LargeSpeechLM, "read", noted)
    report = tmp_path / "report.md"
    played = fls(large, "--device", "cpu", "-o", report)
    assert played.code == 0, played.err
    assert len(encoded) == 4
    # 6 s are 20 frames at 100 for 30 s, and 80 at 400; true text is no sound.
    sizes = {size for audio, size in read if audio}
    assert {20, 80} <= sizes
    assert any(not audio for audio, _ in read)
    text = report.read_text()
    for said in ("Who stands?", "Correct: the trees", "fast, ", "accurate, ", "true-transcript, "):
        assert said in text


def test_listening_at_another_effort_is_for_transcripts(fls: Fls, tiny_mini: Path) -> None:
    refused = fls(tiny_mini, "--read", "frames", "--listen", "fast")
    assert (refused.code, refused.out) == (2, "")
    assert "--listen is for transcripts" in refused.err
