"""The training of mini's connector on a GPU, rehearsed on the CPU with tones in place of speech."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_gpu_benchmarks import BLOCKER

ROOT = Path(__file__).parents[1]
GPU = ROOT / "benchmarks" / "gpu"
sys.path[:0] = [str(ROOT / "tests" / "models"), str(GPU)]

import mini_encoder  # noqa: E402
import mini_own_answers  # noqa: E402
import mini_pieces  # noqa: E402
from tiny_mini import write_tiny_mini  # noqa: E402

from fls_models.lslm.mini.speech_model import MiniSpeechLM  # noqa: E402
from fls_models.lslm.mini.whisper_encoder import WhisperFrames  # noqa: E402
from fls_models.lslm.prompts import ASK, question  # noqa: E402
from fls_models.training.compression.trainable_mini import TrainableHearing  # noqa: E402
from fls_models.training.ctc.unigram_vocabulary import Spelling  # noqa: E402
from fls_models.weights.store import Installed  # noqa: E402

WORDS = ("the cellar holds tools", "the tools are old", "a dog sleeps there", "she reads it aloud")


def tone(file: Path, seconds: float) -> None:
    samples = np.sin(np.arange(round(seconds * 16_000)) / 9) * 9000
    with wave.open(str(file), "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(16_000)
        opened.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return write_tiny_mini(tmp_path_factory.mktemp("tiny"))


class Trainer:
    """Runs the scripts as they are run there, with what is missing there missing."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, folder / "place"
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(BLOCKER, "utf-8")

    def __call__(self, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(GPU / script), *map(str, arguments)],
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": str(self.folder / "site"),
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def train(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        how = ("--toy", "--workers", 1, "--place", self.place, "--rank", 2)
        return self("mini_train.py", *how, *arguments)

    def told(self, out: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / out / "progress.json").read_text("utf-8"))
        return found


@pytest.fixture(scope="module")
def packed(tiny: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    texts = [
        {
            "id": f"talk{number}",
            "turns": [{"speaker": "Ann", "text": f"{'. '.join(WORDS).capitalize()}."}] * 4,
            "question": "What is in the cellar?",
            "answer": number % 2,
            "choices": ["the tools", "a dog"],
        }
        for number in range(6)
    ]
    (folder / "talks.jsonl").write_text("\n".join(map(json.dumps, texts)), "utf-8")
    tone(folder / "real.wav", 2)
    line = {"audio": "real.wav", "text": WORDS[0]}
    (folder / "reader.jsonl").write_text(json.dumps(line), "utf-8")
    command = [sys.executable, str(GPU / "mini_pack.py"), str(folder / "pieces")]
    command += ["--texts", str(folder / "talks.jsonl"), "--real", str(folder / "reader.jsonl")]
    command += ["--test", str(folder / "reader.jsonl"), "--vocab", "60", "--blocks", "1"]
    command += ["--width", "32", "--piece-mb", "0.1"]
    command += ["--speech", str(tiny.speech), "--llm", str(tiny.llm)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "pieces"


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    made = Trainer(tmp_path_factory.mktemp("training"))
    yield made
    made.place.mkdir(exist_ok=True)
    (made.place / "quiet").touch()
    speaking = made.place / "speaking.json"
    if speaking.is_file():
        # The session that speaks has the number of the process that began it.
        with_workers = json.loads(speaking.read_text("utf-8"))["process"]
        with suppress(ProcessLookupError):
            os.killpg(with_workers, signal.SIGKILL)


def test_it_is_trained_in_several_calls(
    trainer: Trainer, packed: Path, tiny: Installed, tmp_path: Path
) -> None:
    names = sorted(file.name for file in packed.glob("*.tar.gz.*"))
    assert max(file.stat().st_size for file in packed.iterdir()) <= 100_000
    loads = [tmp_path / "first", tmp_path / "second"]
    for load, starts in zip(loads, ("base", "llm"), strict=True):
        load.mkdir()
        for name in ("pieces.json", *(name for name in names if name.startswith(starts))):
            shutil.copyfile(packed / name, load / name)

    # Nothing but a piece of it: there is nothing to do yet.
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    shutil.copyfile(packed / "pieces.json", nothing / "pieces.json")
    done = trainer("mini_receive.py", nothing, "--place", trainer.place)
    assert (done.returncode, "base.tar.gz.000" in done.stdout) == (3, True)

    how = ("--pieces", loads[0], "--total-minutes", 0.05, "--out", "one")
    done = trainer.train(*how, "--minutes", 3)
    # Stage 1 is over, and stage 2 waits for the language model.
    assert done.returncode == 4, done.stdout[-3000:] + done.stderr[-3000:]
    told = trainer.told("one")
    assert told["history"][-1]["stage"] == "reading"
    assert told["history"][-1]["losses"]["ctc"] > 0
    assert {"wer held out", "wer reader"} <= told["history"][-1].keys()
    assert (trainer.folder / "one" / "connector.safetensors.000").is_file()

    assert trainer("mini_receive.py", loads[1], "--place", trainer.place).returncode == 0
    done = trainer.train("--total-minutes", 60, "--out", "two", "--minutes", 0)
    # Out of time: a step, and no more.
    assert done.returncode == 3, done.stdout[-3000:] + done.stderr[-3000:]
    before = trainer.told("two")["history"][-1]
    assert (before["stage"], before["steps"]) == ("answering", 1)

    wanted = (before["minutes"] + 0.03) / 0.55
    done = trainer.train("--total-minutes", wanted, "--out", "three", "--minutes", 3)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    after = trainer.told("three")["history"][-1]
    assert after["steps"] > before["steps"]
    assert after["minutes"] >= 0.55 * wanted - 0.01
    assert 0 <= after["chosen rightly, L=100"] <= 1
    results = trainer.folder / "three"
    assert len(list(results.iterdir())) <= 8

    connector = tmp_path / "connector"
    done = trainer("mini_receive.py", results, "--join", connector)
    assert done.returncode == 0, done.stderr
    model = MiniSpeechLM(tiny.speech, tiny.llm, connector)
    assert model.config.lora is not None
    assert Spelling.read(connector / Spelling.file_name).ids == model.config.tokens
    hidden = model.encode([model.features(torch.zeros(16_000))])[0, :25]
    assert model.project(hidden).isfinite().all()


def test_the_encoder_is_that_of_ctranslate2(tiny: Installed, tmp_path: Path) -> None:
    agrees(tiny.speech, tmp_path, tolerance=0.02)


@pytest.mark.weights
def test_the_real_encoder_is_that_of_ctranslate2(mini_weights: Installed, tmp_path: Path) -> None:
    # CTranslate2 computes in 8 bits.
    agrees(mini_weights.speech, tmp_path, tolerance=0.1)


def agrees(speech: Path, folder: Path, tolerance: float) -> None:
    mini_encoder.convert(speech / "model.bin", folder / "encoder.safetensors")
    encoder = mini_encoder.Encoder(
        folder / "encoder.safetensors", torch.device("cpu"), torch.float32
    )
    times = torch.arange(3 * 16_000) / 16_000
    sound = 0.3 * torch.sin(times * 900 * (1 + times)) * (times % 0.5 < 0.3)
    samples = (sound * 32767).round().to(torch.int16)
    reference = WhisperFrames(speech)
    features = reference.features(samples.float() / 32768)
    expected = reference.encode([features])[0].reshape(1500, -1)[:150]
    [found] = encoder([samples])
    assert found.shape == expected.shape
    padded = torch.nn.functional.pad(samples.float() / 32768, (0, 27 * 16_000))
    mel = encoder.log_mel(padded[None])[0]
    torch.testing.assert_close(mel, torch.from_numpy(features), rtol=0, atol=1e-4)
    difference = (found - expected).square().mean().sqrt() / expected.std()
    assert difference < tolerance


def test_many_answers_at_once_are_those_of_one_at_a_time(
    tiny: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tiny.connector is not None
    model = TrainableHearing(tiny.speech, tiny.llm, tiny.connector)
    # Otherwise only whole sentences are taken, which a random model does not end.
    monkeypatch.setattr(mini_own_answers, "_ENDS", ("",))
    request = question("what is in the cellar?")
    recordings = [model.embed(model.tokenize(f" {text}" * 3)) for text in WORDS]
    asked = [model.conversation(ASK, one, request, "") for one in (*recordings, recordings[0][:5])]
    found = mini_own_answers.answers(model, asked, 10)
    contexts = [model.read(ASK, one) for one in (*recordings, recordings[0][:5])]
    expected = ["".join(model.generate(one, request, max_tokens=10)) for one in contexts]
    assert any(expected)
    # Half a character at the end is not shown by the one, and is a sign for it in the other.
    assert [one.rstrip("\ufffd").strip() for one in found] == [one.strip() for one in expected]


def test_pieces_are_checked(tmp_path: Path) -> None:
    source, pieces, place = tmp_path / "a.bin", tmp_path / "pieces", tmp_path / "place"
    source.write_bytes(os.urandom(5000))
    mini_pieces.pack([("group", [source])], pieces, 2000)
    names = sorted(file.name for file in pieces.glob("group*"))
    assert len(names) == 3
    whole = (pieces / names[1]).read_bytes()
    (pieces / names[1]).write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert mini_pieces.receive(pieces, place) == [names[1]]
    (pieces / names[0]).unlink()
    (pieces / names[1]).write_bytes(whole)
    assert mini_pieces.receive(pieces, place) == []
    assert (place / "group" / "a.bin").read_bytes() == source.read_bytes()
    assert not list((place / "pieces").glob("group*"))
    # Again, with nothing new.
    assert mini_pieces.receive(pieces, place) == []
    mini_pieces.pack([("group", [pieces])], tmp_path / "others", 2000)
    with pytest.raises(ValueError, match="another packing"):
        mini_pieces.receive(tmp_path / "others", place)
