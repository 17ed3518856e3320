"""`fls train ctc`, as it is typed: tiny random models, four signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from media_files import tone, write_wav
from tiny_model import HERE, Played, play

from fls_models.core.results import NO_SPEECH

sys.path.append(str(HERE.parent / "models"))

pytestmark = pytest.mark.usefixtures("one_thread")

Capture = pytest.CaptureFixture[str]
Train = Callable[..., Played]

PITCH = {"low": 300, "mid": 800, "high": 2000, "top": 5000}


@pytest.fixture(scope="module")
def omni(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2.5-Omni, which comes without a head."""
    import tiny_hearing
    from tiny_checkpoints import write_omni

    folder = tmp_path_factory.mktemp("omni")
    write_omni(folder / "hub")
    return tiny_hearing.converted(folder / "hub", folder / "tiny-omni")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fls_models.weights import devices

    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    # These tests are about the CPU on machines with a GPU, too.
    monkeypatch.setattr(devices, "_DRIVERS", ())


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Eight recordings, two of each word."""
    (tmp_path / "wav").mkdir()
    return write_manifest(
        tmp_path / "speech.jsonl",
        *({"audio": name, "text": name[4:-5]} for name in recordings(tmp_path)),
    )


def recordings(folder: Path) -> Iterator[str]:
    for turn in range(2):
        for word, pitch in PITCH.items():
            sound = np.concatenate([np.zeros(8_000), tone(pitch, 0.75) / (turn + 1)])
            write_wav(folder / "wav" / f"{word}{turn}.wav", sound)
            yield f"wav/{word}{turn}.wav"


def write_manifest(file: Path, *lines: dict[str, str]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return file


def add(manifest: Path, **line: str) -> None:
    with manifest.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


@pytest.fixture
def train(omni: Path, manifest: Path, tmp_path: Path, capfd: Capture) -> Train:
    """`fls train ctc` with the tiny model, 40 steps into `head`."""

    def played(*arguments: object, model: object = omni) -> Played:
        given = ["train", "ctc", str(manifest), "--model", str(model), "--device", "cpu"]
        given += ["-o", str(tmp_path / "head"), "--steps", "40", "--every", "20", "--lr", "0.02"]
        return play(capfd, *given, *map(str, arguments))

    return played


def test_the_head_is_printed_and_progress_goes_to_stderr(train: Train, tmp_path: Path) -> None:
    played = train()
    assert played.code == 0, played.err
    assert played.out == f"{tmp_path / 'head' / 'head.safetensors'}\n"
    told = played.err.splitlines()
    assert told[0].startswith("fls: using tiny-omni in float32 on cpu")
    steps = [line.split()[2] for line in told if line.startswith("fls: step ")]
    assert steps == ["10", "20", "30", "40"]
    said = [line for line in told if "word error rate" in line]
    assert said[0].startswith("fls: step 20 of 40: loss ")
    assert said[-1].startswith("fls: the best head is that of step ")
    assert {file.name for file in (tmp_path / "head").iterdir()} >= {
        "head.safetensors",
        "vocab.json",
        "state.json",
        "encoded",
    }


def test_quiet_says_nothing(train: Train) -> None:
    played = train("--quiet")
    assert (played.code, played.err) == (0, "")


def test_the_head_is_one_for_the_model(
    train: Train, omni: Path, manifest: Path, tmp_path: Path, capfd: Capture
) -> None:
    head = train("--quiet", "--steps", 400).out.strip()
    asked = ["--model", str(omni), "--device", "cpu", "--max-tokens", "2"]
    talk = str(tmp_path / "wav" / "mid0.wav")
    played = play(capfd, "ask", talk, "What is said?", *asked, "--head", head)
    assert played.code == 0, played.err
    assert "CTC head" not in played.err
    assert played.out.strip() != NO_SPEECH
    # What it was never trained to read anything in.
    hush = write_wav(tmp_path / "hush.wav", np.zeros(16_000))
    played = play(capfd, "ask", str(hush), "What is said?", *asked, "--head", head)
    assert played.out.strip() == NO_SPEECH


def test_pieces_time_words(train: Train, tmp_path: Path) -> None:
    played = train("--vocab", "12", "--quiet")
    assert played.code == 0, played.err
    from fls_models.transcription.ctc_alignment import SentencePieces

    SentencePieces(tmp_path / "head" / "spm.model", 12).load()


def test_what_is_finished_is_not_done_again(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train()

    from fls_models.lslm.large import LargeSpeechLM

    def encode(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(LargeSpeechLM, "encode", encode)
    again = train()
    assert (again.code, again.out) == (0, first.out)
    assert " of 40: " not in again.err
    # Begun anew, what is encoded is still that.
    anew = train("--fresh")
    assert (anew.code, anew.out) == (0, first.out)
    assert " of 40: " in anew.err


def test_another_run_needs_fresh_or_another_folder(train: Train, tmp_path: Path) -> None:
    train("--quiet")
    played = train("--lr", "0.01")
    assert (played.code, played.out) == (2, "")
    assert "learning_rate 0.02, not 0.01" in played.err
    assert "--fresh" in played.err
    assert train("--lr", "0.01", "--fresh").code == 0
    assert train("-o", tmp_path / "other").code == 0


def test_held_out_recordings_of_ones_own(train: Train, manifest: Path, tmp_path: Path) -> None:
    first = manifest.read_text().splitlines()[:2]
    dev = tmp_path / "dev.jsonl"
    dev.write_text("\n".join(first))
    assert train("--dev", dev, "--quiet").code == 0
    played = train("--dev", tmp_path / "none.jsonl")
    assert (played.code, played.out) == (2, "")


def test_recordings_that_cannot_be_used_are_said(
    train: Train, manifest: Path, tmp_path: Path
) -> None:
    write_wav(tmp_path / "wav" / "long.wav", tone(300, 31))
    write_wav(tmp_path / "wav" / "short.wav", tone(300, 0.1))
    add(manifest, audio="wav/long.wav", text="low", source="a")
    add(manifest, audio="wav/short.wav", text="low and high and low", source="a")
    dev = write_manifest(tmp_path / "dev.jsonl", {"audio": "wav/low0.wav", "text": "low"})
    played = train("--dev", dev)
    assert played.code == 0, played.err
    assert "long.wav is left out: it lasts longer than 30 s" in played.err
    assert "short.wav is left out: it is too short for its text" in played.err
    (tmp_path / "wav" / "broken.wav").write_bytes(b"no sound" * 100)
    add(manifest, audio="wav/broken.wav", text="low")
    played = train("--dev", dev, "--fresh")
    assert played.code == 1
    assert played.out.strip().endswith("head.safetensors")
    assert "broken.wav" in played.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--vocab", "words"], 2, "--vocab takes `characters` or a number of pieces, not 'words'"),
        (["--vocab", "4000"], 2, "do not make 4000 pieces; --vocab takes at most"),
        (["--lr", "0"], 2, "--lr takes a number above 0"),
        (
            ["--model", "small"],
            2,
            "Only models that read frames can be trained; --model takes one of mini, fastlong",
        ),
        (["--model", "auto"], 2, "--model takes one of"),
        (["--blocks", "2"], 2, "--blocks: "),
        (["--model", "mini", "--vocab", "characters"], 2, "--vocab takes a number of tokens"),
        (["--model", "mini", "--precision", "int8"], 2, "--precision takes auto, bf16, float32"),
        (["--model", "mini", "--device", "cuda"], 3, "PyTorch finds no cuda:0"),
        (["--model", "mini", "--init", "x", "--width", "9"], 2, "--width: --init goes on with"),
        (["--model", "mini", "--offline", "--device", "cpu"], 3, "fls models pull mini"),
        (["--model", "huge"], 2, "There is no model 'huge'"),
        (["--model", "qwen2.5-omni-3b", "--device", "cuda"], 3, "needs an NVIDIA GPU"),
        (["--model", "qwen2.5-omni-3b", "--offline"], 3, "fls models pull"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_fetched(
    train: Train, arguments: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fls_models.weights import store as weights

    def pull(*_: object, **__: object) -> None:
        raise AssertionError("weights were fetched")

    monkeypatch.setattr(weights.Store, "pull", pull)
    played = train(*arguments)
    assert (played.code, played.out) == (code, "")
    assert said in played.err


def test_a_model_has_to_be_named(manifest: Path, tmp_path: Path, capfd: Capture) -> None:
    played = play(capfd, "train", "ctc", str(manifest), "-o", str(tmp_path / "head"))
    assert (played.code, played.out) == (2, "")
    assert "--model" in played.err


def test_a_line_that_is_wrong_is_named(train: Train, manifest: Path) -> None:
    add(manifest, audio="wav/none.wav", text="low")
    played = train()
    assert (played.code, played.out) == (2, "")
    assert f"{manifest}, line 9: there is no file" in played.err


def test_ctrl_c_leaves_a_checkpoint_and_the_same_command_goes_on(
    train: Train, omni: Path, manifest: Path, tmp_path: Path
) -> None:
    road = [str(HERE.parent.parent), str(HERE.parent.parent / "models")]
    start = f"import sys; sys.path[:0] = {road!r}; from fls_cli.app import main; main()"
    given = [sys.executable, "-c", start, "train", "ctc", str(manifest), "--model", str(omni)]
    given += ["--device", "cpu", "-o", str(tmp_path / "cut"), "--lr", "0.02", "--every", "400"]
    given += ["--steps", "1000"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout
        assert process.stderr
        for line in process.stderr:
            if "step 30 of 1000" in line:
                break
        process.send_signal(signal.SIGINT)
        said, complaint = process.stdout.read(), process.stderr.read()
    assert (process.returncode, said) == (130, "")
    assert "Traceback" not in complaint
    assert complaint.splitlines()[-1].startswith("fls: interrupted; a checkpoint is in ")
    step = json.loads((tmp_path / "cut" / "state.json").read_text())["state"]["step"]
    assert step >= 30
    done = subprocess.run(given, capture_output=True, text=True, env=env)
    assert done.returncode == 0
    numbers = [line.split()[2] for line in done.stderr.splitlines() if "fls: step " in line]
    assert int(numbers[0]) == (step // 10 + 1) * 10
    whole = train("-o", tmp_path / "whole", "--steps", 1000, "--every", 400, "--quiet")
    assert Path(done.stdout.strip()).read_bytes() == Path(whole.out.strip()).read_bytes()
