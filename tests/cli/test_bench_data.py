"""`fls bench longspeech-data` as it is typed, with voices that hum instead of speaking."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_model import play

from fls_cli.sources.decode import decode
from fls_cli.training import voices
from fls_cli.training.voices import Kind
from fls_models.bench.longspeech.items import load_spoken_items

Capture = pytest.CaptureFixture[str]

SENTENCE = "{} has {} bridges, and Ann built the first of them. It was painted in 1905. "


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    """The command is among those of `fls bench`, here at the latest."""
    from fls_cli.commands.bench.data import longspeech_data
    from fls_cli.commands.bench.qa import app

    if "longspeech-data" not in {command.name for command in app.registered_commands}:
        app.command("longspeech-data")(longspeech_data)


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that was said, by the only system there is."""
    found: list[str] = []

    def say_as(pitch: int) -> Any:
        def say(text: str, pace: float, seed: int) -> tuple[Any, int]:
            found.append(text)
            if len(found) == 25 and "stop" in found:
                raise KeyboardInterrupt
            times = np.arange(int(0.1 * len(text.split()) * 16_000)) / 16_000
            return np.sin(2 * np.pi * pitch * times).astype(np.float32), 16_000

        return say

    def opened(value: str) -> dict[str, Any]:
        return {"low": say_as(200), "high": say_as(900)}

    hum = Kind(1.0, "apt install hum", "sys", opened, program=False, pitched=False)
    monkeypatch.setattr(voices, "KINDS", {"hum": hum})
    return found


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Eight lectures, four dialogues, one of them with a formula in what is asked."""
    lines = []
    for at in range(12):
        name = f"Bay{'abcdefghijkl'[at]}"
        text = SENTENCE.format(name, at + 3)
        key = text.split(". ")[0] + "."
        turns = [{"speaker": "A", "text": text}, {"speaker": "AB"[at % 3 == 0], "text": text}]
        lines.append(
            {
                "id": at,
                "turns": turns,
                "key_sentence": key,
                "question": f"Who built the first of {name}?",
                "choices": ["Bob", "Ann"],
                "answer": 1,
            }
        )
    formula = {"text": "It is x^2 + y = 3. That is all.", "question": "What?", "answer": "x^2"}
    lines.append({"id": "f", **formula, "key_sentence": "It is x^2 + y = 3."})
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    return file


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_texts_become_a_benchmark(capfd: Capture, texts: Path, tmp_path: Path) -> None:
    asked = ["bench", "longspeech-data", str(texts), "--seconds", "30", "--longest", "90"]
    output = tmp_path / "long"
    done = play(capfd, *asked, "-o", str(output), "--tasks", "qa,dialogue,asr")
    assert done.code == 0, done.err
    assert done.lines == [str(output / "manifest.jsonl")]
    assert "13 documents" in done.err
    assert "1 left out" in done.err
    assert "questions not put: 1" in done.err
    found = lines_of(output / "manifest.jsonl")
    put = [one for one in found if one["task"] != "asr"]
    assert sorted(one["source"] for one in put) == sorted(f"texts {at}" for at in range(12))
    assert sum(one["task"] == "dialogue" for one in put) == 4
    assert all((one["answer"], one["choices"]) == ("Ann", ["Bob", "Ann"]) for one in put)
    items = load_spoken_items(output)
    assert len(items) == len(found)
    # What can be heard is as long as it is told, and as what is said.
    facts = json.loads((output / "data.json").read_text())
    seconds = {one.audio: sum(map(len, decode(one.audio))) / 16_000 for one in items}
    assert len(seconds) == facts["made"]["recordings"]
    assert facts["made"]["longest_seconds"] == pytest.approx(max(seconds.values()), abs=0.1)
    assert facts["made"]["sentences_left_out"] == {"formula": 1}
    assert facts["recipe"]["seed"] == 0
    for one in items:
        assert one.transcript is not None
        words = len(one.transcript.split())
        assert 0.1 * words < seconds[one.audio] < 0.1 * words + 0.12 * words + 5
    assert any("nineteen oh five" in (one.transcript or "") for one in items)
    assert "hum" in (output / "README.md").read_text()


def test_interrupted_the_same_command_goes_on(
    capfd: Capture, texts: Path, tmp_path: Path, said: list[str]
) -> None:
    asked = ["bench", "longspeech-data", str(texts), "--seconds", "10", "--seed", "3"]
    said.append("stop")
    cut = play(capfd, *asked, "-o", str(tmp_path / "cut"))
    assert cut.code == 130
    assert "the same command goes on" in cut.err
    assert not (tmp_path / "cut" / "manifest.jsonl").exists()
    made = list((tmp_path / "cut" / "recordings").glob("*.flac"))
    assert made
    said.clear()
    again = play(capfd, *asked, "-o", str(tmp_path / "cut"))
    assert again.code == 0, again.err
    assert f"{len(made)} of " in again.err
    before = len(said)
    whole = play(capfd, *asked, "-o", str(tmp_path / "whole"))
    assert whole.code == 0, whole.err
    assert len(said) - before > before

    def content(place: Path) -> dict[str, bytes]:
        files = [one for one in place.rglob("*") if one.is_file()]
        return {str(one.relative_to(place)): one.read_bytes() for one in files}

    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    # Other tasks of the same recordings, without a word said again.
    said.clear()
    more = play(capfd, *asked, "-o", str(tmp_path / "cut"), "--tasks", "qa,summary")
    assert (more.code, said) == (0, [])
    assert {one["task"] for one in lines_of(tmp_path / "cut" / "manifest.jsonl")} == {
        *("qa", "summary")
    }
    refused = play(capfd, *asked[:-1], "4", "-o", str(tmp_path / "cut"))
    assert (refused.code, said) == (2, [])
    assert "--fresh" in refused.err


def test_texts_without_questions(capfd: Capture, tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text(SENTENCE.format("Copper Bay", 4) * 4)
    asked = ["bench", "longspeech-data", str(tmp_path / "plain.txt"), "-o", str(tmp_path / "out")]
    refused = play(capfd, *asked)
    assert (refused.code, refused.out) == (2, "")
    assert "come without questions" in refused.err
    assert not (tmp_path / "out").exists()
    done = play(capfd, *asked, "--tasks", "asr")
    assert done.code == 0, done.err
    assert [one["task"] for one in lines_of(tmp_path / "out" / "manifest.jsonl")] == ["asr"]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--tasks", "emotion"], 2, "--tasks takes qa, dialogue, asr, summary"),
        (["--seconds", "0"], 2, "--seconds takes a number above 0"),
        (["--longest", "20"], 2, "--longest one that is not below it"),
        (["--seconds", "nan"], 2, "--seconds takes"),
        (["--voices", "sam"], 2, "--voices takes auto"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    capfd: Capture, texts: Path, tmp_path: Path, more: list[str], code: int, said: str
) -> None:
    done = play(capfd, "bench", "longspeech-data", str(texts), "-o", str(tmp_path / "out"), *more)
    assert done.code == code, done.err
    assert said in done.err
    assert not (tmp_path / "out").exists()


def test_voices_differ_within_a_dialogue(capfd: Capture, texts: Path, tmp_path: Path) -> None:
    output = tmp_path / "long"
    done = play(capfd, "bench", "longspeech-data", str(texts), "-o", str(output), "--seconds", "20")
    assert done.code == 0, done.err
    parts = [
        part
        for file in sorted((output / "recordings").glob("*.json"))
        for part in json.loads(file.read_text())["parts"]
    ]
    pairs = [part["voices"] for part in parts if len(part["voices"]) == 2]
    assert len(pairs) == 4
    assert all(one.split()[0] != other.split()[0] for one, other in pairs)
