"""`fls train data`, as it is typed, with a program on PATH that hums instead of speaking."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from media_files import pitch_of
from tiny_model import HERE, TinyModel, play

from fls_cli.training import voices
from fls_models.errors import EnvironmentLacks, UsageError
from fls_models.lslm import prompts
from fls_models.training.data.clips import NotSpoken
from fls_models.training.data.manifests import read_spoken, read_utterances

Capture = pytest.CaptureFixture[str]

# 0.2 s for each word, at a pitch of the voice's own; a log of all that was said.
FLITE = f"""#!{sys.executable} -IS
import math, os, struct, sys, time
if sys.argv[1:] == ["-lv"]:
    print("Voices available: kal rms slt")
    sys.exit()
text, voice = (sys.argv[sys.argv.index(name) + 1] for name in ("-t", "-voice"))
stretch = float(sys.argv[sys.argv.index("--setf") + 1].partition("=")[2])
with open(os.environ["FLITE_LOG"], "a") as log:
    print(text, file=log)
if "unspeakable" in text:
    print("no phone for that", file=sys.stderr)
    sys.exit(1)
time.sleep(float(os.environ.get("FLITE_TAKES", 0)))
count = int(16000 * 0.2 * stretch * len(text.split()))
period = {{"slt": 40, "rms": 80}}[voice]
wave = [int(9000 * math.sin(2 * math.pi * n / period)) for n in range(period)]
pcm = (struct.pack(f"<{{period}}h", *wave) * (count // period + 1))[: 2 * count]
form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
data = struct.pack("<4sI", b"data", len(pcm)) + pcm
with open(sys.argv[-1], "wb") as file:
    file.write(struct.pack("<4sI4s", b"RIFF", 4 + len(form + data), b"WAVE") + form + data)
"""
TALK = "Copper Bay has {} bridges. Ann built the first of them. It was painted in 1905. " * 2


@pytest.fixture(autouse=True)
def flite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only voice there is; what it said."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "flite").write_text(FLITE)
    (folder / "flite").chmod(0o755)
    # The interpreter that runs it is named in full.
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("FLITE_LOG", str(tmp_path / "said.txt"))
    monkeypatch.setattr(voices, "_PITCHED", 0.0)
    monkeypatch.setattr(voices, "find_spec", lambda name: None)
    return tmp_path / "said.txt"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(4):
        (folder / f"talk{number}.txt").write_text(TALK.format(number + 3, number + 3), "utf-8")
    asked = {"question": "Who built it?", "choices": ["Bob", "Ann"], "answer": 1}
    turns = [{"speaker": "Eve", "text": "Who built it?"}, {"speaker": "Bob", "text": "Ann did."}]
    (folder / "more.jsonl").write_text(json.dumps({"id": 7, "turns": turns, **asked}), "utf-8")
    (folder / "ignored.bin").write_bytes(b"\xff")
    return folder


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_texts_become_manifests_that_training_reads(
    capfd: Capture, texts: Path, tmp_path: Path
) -> None:
    output = tmp_path / "data"
    done = play(capfd, "train", "data", str(texts), "-o", str(output), "--held-out", "0.2")
    assert done.code == 0, done.err
    names = ["train-asr", "train", "dev-asr", "dev"]
    assert done.lines == [str(output / f"{name}.jsonl") for name in names]
    assert "5 documents, 26 sentences" in done.err
    assert "spoken by flite" in done.err
    heard = {name: read_utterances(output / f"{name}.jsonl") for name in ("train-asr", "dev-asr")}
    asked = {name: read_spoken(output / f"{name}.jsonl") for name in ("train", "dev")}
    said = " ".join(one.text for side in heard.values() for one in side)
    assert "Copper Bay has five bridges." in said
    assert "painted in nineteen oh five." in said
    # What is held out is of other documents, for both stages the same.
    sources = {name: {one.source for one in found} for name, found in (heard | asked).items()}
    assert sources["train"] == sources["train-asr"]
    assert sources["dev"] == sources["dev-asr"]
    assert not sources["train"] & sources["dev"]
    # The question that came with a text, about the clip that is all of it.
    [own] = [one for one in [*asked["train"], *asked["dev"]] if one.answer in ("Ann", "B")]
    assert own.source == "more 7"
    assert own.transcript == "Who built it? Ann did."
    for one in lines(output / "train-asr.jsonl"):
        assert one["voice"].startswith("flite:")
        assert "gain" in one["distortions"]
    told = (output / "README.md").read_text()
    assert "Voices: flite" in told
    assert "5 documents" in told
    facts = json.loads((output / "data.json").read_text())
    assert facts["made"]["documents"] == 5
    assert facts["recipe"]["seed"] == 0


def test_the_same_command_says_nothing_twice(
    capfd: Capture, texts: Path, tmp_path: Path, flite: Path
) -> None:
    asked = ["train", "data", str(texts), "--held-out", "0.2"]
    first = play(capfd, *asked, "-o", str(tmp_path / "data"))
    assert first.code == 0, first.err
    said = flite.read_text()
    before = (tmp_path / "data/train.jsonl").read_bytes()
    again = play(capfd, *asked, "-o", str(tmp_path / "data"))
    assert (again.code, again.lines) == (0, first.lines)
    assert "are there" in again.err
    assert flite.read_text() == said
    assert (tmp_path / "data/train.jsonl").read_bytes() == before
    # Another folder, the same data; another seed is refused here.
    play(capfd, *asked, "-o", str(tmp_path / "other"))
    assert (tmp_path / "other/train.jsonl").read_bytes() == before
    refused = play(capfd, *asked, "-o", str(tmp_path / "data"), "--seed", "1")
    assert refused.code == 2
    assert "--fresh" in refused.err
    fresh = play(capfd, *asked, "-o", str(tmp_path / "data"), "--seed", "1", "--fresh")
    assert fresh.code == 0
    assert (tmp_path / "data/train.jsonl").read_bytes() != before


def test_what_no_voice_can_say_is_counted(capfd: Capture, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("It is fine. It is unspeakable. E = mc^2 here. It is done.")
    done = play(
        *(capfd, "train", "data", str(tmp_path / "a.txt")),
        *("-o", str(tmp_path / "data"), "--held-out", "0"),
    )
    assert done.code == 0, done.err
    assert "no voice could say 1 of the sentences" in done.err
    assert done.lines == [
        str(tmp_path / "data" / name) for name in ("train-asr.jsonl", "train.jsonl")
    ]
    assert " ".join(one["text"] for one in lines(tmp_path / "data/train-asr.jsonl")) == (
        "It is fine. It is done."
    )
    told = json.loads((tmp_path / "data/data.json").read_text())["made"]
    assert (told["left_out"], told["skipped"]) == ({"formula": 1}, 1)


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--voices", "sam"], 2, "--voices takes auto, or names of hibari"),
        (["--voices", "flite=x"], 2, "--voices takes auto"),
        (["--voices", "flite,espeak-ng"], 3, "apt install espeak-ng"),
        (["--voices", "hibari"], 3, "pip install hibari-tts"),
        (["--voices", "piper=a.onnx"], 3, "pip install piper-tts"),
        (["--voices", "festival"], 3, "apt install festival"),
        (["--hours", "0"], 2, "--hours takes a number above 0"),
        (["--hours", "nan"], 2, "--hours takes a number above 0"),
        (["--held-out", "1"], 2, "--held-out takes a share"),
        (["--answers", "qwen2-audio"], 2, "--answers takes none or a model that reads text"),
        (["--answers", "nobody"], 2, "mini, small"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    capfd: Capture, texts: Path, tmp_path: Path, more: list[str], code: int, said: str
) -> None:
    done = play(capfd, "train", "data", str(texts), "-o", str(tmp_path / "data"), *more)
    assert done.code == code, done.err
    assert said in done.err
    assert not (tmp_path / "data").exists()


def test_without_any_voice_all_ways_to_get_one_are_told(
    capfd: Capture, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = play(capfd, "train", "data", str(texts), "-o", str(tmp_path / "data"))
    assert done.code == 3
    for way in ("pip install hibari-tts", "piper=VOICE.onnx", "apt install flite", "espeak-ng"):
        assert way in done.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"id": 1}', "line 1: 'text' is missing"),
        ("a.jsonl", '{"turns": ["x"]}', "line 1: 'turns' does not fit"),
        ("a.jsonl", '{"text": "x", "id": []}', "'id' is a name or a number"),
        ("a.jsonl", '{"text": "x", "questions": {}}', "'questions' is a list"),
        ("a.jsonl", '{"text": "x", "question": "y"}', "a question is"),
        (
            "a.jsonl",
            '{"text": "x", "question": "y", "choices": ["a"], "answer": "b"}',
            "none of the choices",
        ),
        ("a.jsonl", "[]", "line 1 is no JSON object"),
        ("a.txt", "Dies ist nicht auf Englisch und wird nicht gelesen.", "no English sentence"),
        ("a.txt", "\udcff", "no UTF-8 text"),
        ("a.bin", "", "without .txt, .md, .jsonl files"),
    ],
)
def test_bad_texts_are_named(
    capfd: Capture, tmp_path: Path, name: str, content: str, said: str
) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    done = play(capfd, "train", "data", str(folder), "-o", str(tmp_path / "data"))
    assert done.code == 2
    assert said in done.err


def test_one_document_alone_cannot_be_divided(capfd: Capture, texts: Path, tmp_path: Path) -> None:
    asked = ["train", "data", str(texts / "talk0.txt"), "-o", str(tmp_path / "data")]
    done = play(capfd, *asked)
    assert done.code == 2
    assert "--held-out 0" in done.err
    assert play(capfd, *asked[:2], str(tmp_path / "no.txt"), *asked[3:]).code == 2


def test_a_corpus_of_speeches_is_many_documents(capfd: Capture, tmp_path: Path) -> None:
    speeches = "".join(f"### Speech {n}\nIt was day {n} of them. All was well.\n\n" for n in (1, 2))
    (tmp_path / "all.txt").write_text(speeches)
    (tmp_path / "notes.md").write_text(speeches)
    output = tmp_path / "data"
    done = play(
        *(capfd, "train", "data", str(tmp_path / "all.txt"), str(tmp_path / "notes.md")),
        *("-o", str(output), "--held-out", "0.3"),
    )
    assert done.code == 0, done.err
    sources = {
        one["source"]
        for name in ("train-asr", "dev-asr")
        for one in lines(output / f"{name}.jsonl")
    }
    assert sources == {"all Speech 1", "all Speech 2", "notes"}


def test_a_models_own_answers_are_decoded_once(
    capfd: Capture, texts: Path, tmp_path: Path, tiny: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def generate(context: Any, request: str, **how: Any) -> list[str]:
        asked.append((context, request))
        return ["Bridges ", "were built. Ann did. It is so. And", " more."]

    llm = tiny.language_model
    monkeypatch.setattr(llm, "generate", generate)
    monkeypatch.setattr(llm, "read", lambda prompt, embedded: f"{prompt.system} {len(embedded)}")
    output = tmp_path / "data"
    where = ["-o", str(output), "--held-out", "0", "--answers", "mini"]
    done = play(capfd, "train", "data", str(texts), *where)
    assert done.code == 0, done.err
    clips = len(lines(output / "train-asr.jsonl"))
    assert len(asked) == clips
    assert {context.rpartition(" ")[0] for context, _ in asked} <= {
        prompts.ASK.system,
        prompts.SUMMARISE.system,
    }
    own = [one for one in lines(output / "train.jsonl") if one["answer"].startswith("Bridges")]
    assert len(own) == clips
    assert {one["answer"] for one in own} == {"Bridges were built. Ann did. It is so."}
    assert play(capfd, "train", "data", str(texts), *where).code == 0
    assert len(asked) == clips


def test_ctrl_c_keeps_what_was_made(texts: Path, tmp_path: Path, flite: Path) -> None:
    output = tmp_path / "data"
    road = [str(HERE.parent.parent), str(HERE.parent.parent / "models")]
    start = f"import sys; sys.path[:0] = {road!r}; from fls_cli.app import main; main()"
    asked = ["train", "data", str(texts), "-o", str(output), "--hours", "10", "--voices", "flite"]
    environment = {**os.environ, "FLITE_TAKES": "0.05"}
    with subprocess.Popen(
        [sys.executable, "-c", start, *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        journal = output / "clips.jsonl"
        deadline = time.monotonic() + 30
        while not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # As a terminal does it: to all of the group.
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert out == ""
    assert "the same command goes on" in err
    assert "Traceback" not in err
    for line in lines(journal):
        with wave.open(str(output / line["audio"])) as file:
            assert file.getnframes() > 0
    assert not list(output.rglob("*.part"))


def test_a_program_that_speaks() -> None:
    [system] = voices.find("flite")
    assert set(system.speakers) == {"slt", "rms"}
    voice = system.draw(Random(1))
    samples = voice.say("one two three four five", 0)
    assert samples.dtype == np.float32
    assert len(samples) / 16_000 == pytest.approx(1.0 / voice.speed, rel=0.01)
    assert float(np.abs(samples).max()) == pytest.approx(9000 / 32768, rel=0.01)
    with pytest.raises(NotSpoken, match="no phone for that"):
        voice.say("unspeakable", 0)


@pytest.mark.parametrize("lowered", [0.8, 1.2])
def test_played_slower_it_is_lower_and_lasts_as_long(lowered: float) -> None:
    pytest.importorskip("soxr")
    system = voices.find("flite")[0]
    say = system.speakers["slt"]
    plain = voices.Speaker("flite:slt", 1.0, 1.0, say).say("a b c d e", 0)
    other = voices.Speaker("flite:slt", 1.0, lowered, say).say("a b c d e", 0)
    assert len(other) == pytest.approx(len(plain), rel=0.01)
    assert pitch_of(plain) == pytest.approx(400, abs=2)
    assert pitch_of(other) == pytest.approx(400 / lowered, abs=4)


def test_another_rate_becomes_16_khz() -> None:
    pytest.importorskip("soxr")
    tone = np.sin(2 * np.pi * 500 * np.arange(24_000) / 24_000).astype(np.float32)
    found = voices.played(tone, 24_000, 1.0)
    assert len(found) == pytest.approx(16_000, abs=2)
    assert pitch_of(found) == pytest.approx(500, abs=2)


def test_better_voices_are_drawn_more_often() -> None:
    def system(name: str) -> voices.System:
        return voices.System(name, voices.KINDS[name], {"x": lambda text, pace, seed: None})  # type: ignore[dict-item, return-value]

    draw = voices.cast([system("hibari"), system("espeak-ng")])
    names = [draw(Random(seed)).name.partition(":")[0] for seed in range(500)]
    assert names.count("hibari") / 500 == pytest.approx(0.8, abs=0.06)


def test_errors_of_finding_are_the_right_ones() -> None:
    with pytest.raises(UsageError):
        voices.find("")
    with pytest.raises(EnvironmentLacks):
        voices.find("piper")
