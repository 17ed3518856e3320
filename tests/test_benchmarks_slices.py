"""The scripts in `benchmarks`, each on a slice of what it is for; `gpu` has tests of its own.

Those that start a dozen processes of `fls`, or hold a model twice, are only asked for their help.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "benchmarks"
ASR = ROOT / "examples" / "asr-sample" / "sample.jsonl"
QA = ROOT / "examples" / "qa-sample" / "sample.jsonl"
# A voice of a hundredth of a second for each letter, and a note of what it was asked to say.
VOICE = """
import numpy as np


class Hibari:
    def __call__(self, text, speed=1.0, seed=0):
        with open("said.txt", "a") as file:
            print(speed, text, file=file)
        times = np.arange(round(240 * len(text) / speed)) / 24_000
        return (0.3 * np.sin(2 * np.pi * 300 * times)).astype(np.float32)
"""


def script(
    name: str, *arguments: str | Path, place: Path, road: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a script from another folder, and without a PYTHONPATH to the packages."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if road is not None:
        environment["PYTHONPATH"] = str(road)
    return subprocess.run(
        [sys.executable, str(SCRIPTS / f"{name}.py"), *map(str, arguments)],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["second_question", "interrupted", "speed"])
def test_help(name: str, tmp_path: Path) -> None:
    done = script(name, "--help", place=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"usage: {name}.py" in done.stdout
    assert "--model" in done.stdout


def test_the_extractor_against_the_plain_loop(tmp_path: Path) -> None:
    sizes = ["--frames", "3000", "--target", "200", "--loop-frames", "600", "--width", "32"]
    done = script("fusion", *sizes, "--repeats", "1", "--json", place=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["compared_frames"], found["compared_target"]) == (600, 40)
    # 3000 x 32 numbers of four bytes.
    assert found["input_mb"] == 0.4
    assert found["largest_difference"] < 1e-3
    assert found["seconds"] > 0
    assert found["compared_loop_seconds"] > 0
    table = script("fusion", *sizes, "--repeats", "1", place=tmp_path)
    assert table.returncode == 0, table.stderr
    assert table.stdout.startswith("3000 -> 200 frames, D 32, 32 classes")
    assert "600 -> 40 frames" in table.stdout


@pytest.mark.weights
def test_what_the_ctc_head_reads(tmp_path: Path) -> None:
    report = tmp_path / "ctc.json"
    done = script("ctc", ASR, "--json", report, place=tmp_path)
    assert done.returncode == 0, done.stderr
    [found] = json.loads(report.read_text("utf-8"))
    assert (found["manifest"], found["words"], found["count"]) == ("sample.jsonl", 34, 2)
    # Clear voices in a silent room. A head that was not trained is wrong in every word.
    assert 0 <= found["low"] <= found["value"] <= found["high"]
    assert found["value"] < 0.6
    assert f"{100 * found['value']:.1f} % [" in done.stdout
    assert done.stdout.endswith("of 34 words in 2 recordings\n")


@pytest.mark.weights
def test_what_fits_the_thresholds(tmp_path: Path) -> None:
    done = script("calibrate", QA, "--limit", "2", place=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(gain|general) +(own|general|foreign|everyday)(.*)$", done.stdout, re.M)
    numbers = {(measure, kind): list(map(float, rest.split())) for measure, kind, rest in rows}
    assert len(numbers) == 8
    for values in numbers.values():
        *percentiles, texts = values
        assert len(percentiles) == 7
        assert percentiles == sorted(percentiles)
        assert texts == 2
    # The median of two own questions lies above that of two foreign ones.
    assert numbers["gain", "own"][3] > numbers["gain", "foreign"][3]
    [card] = [line for line in done.stdout.splitlines() if line.endswith("<- the card")]
    gain, general, *wrong = map(float, card.split()[:7])
    assert (gain, general) == (0.5, 0.0)
    # Each kind was asked twice: none, half or all of them.
    assert set(wrong[:4]) <= {0.0, 50.0, 100.0}
    assert wrong[4] == pytest.approx(sum(wrong[:4]) / 4, abs=0.06)


def test_items_are_spoken_by_two_voices_and_only_once(tmp_path: Path) -> None:
    from fls_cli.sources.decode import decode

    (tmp_path / "hibari.py").write_text(VOICE)
    turns = [{"speaker": "A", "text": "a" * 100}, {"speaker": "B", "text": "b" * 100}]
    items = [
        {"id": "two of them", "turns": turns, "question": "Why?"},
        {"id": 7, "text": "c" * 50, "question": "Who?"},
    ]
    (tmp_path / "dev.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in items))
    asked = ["dev.jsonl", "--out", "spoken"]
    done = script("speak", *asked, place=tmp_path, road=tmp_path)
    assert done.returncode == 0, done.stderr
    said = [line.split() for line in (tmp_path / "said.txt").read_text().splitlines()]
    assert [(speed, text[0]) for speed, text in said] == [("1.0", "a"), ("1.22", "b"), ("1.0", "c")]
    written = (tmp_path / "spoken" / "dev.jsonl").read_text().splitlines()
    audio = ["two-of-them.opus", "7.opus"]
    assert [json.loads(line) for line in written] == [
        {**one, "audio": name} for one, name in zip(items, audio, strict=True)
    ]
    # A second for each voice, however it was lowered; 0.35 s of silence after each turn.
    for name, seconds in zip(audio, (2.7, 0.85), strict=True):
        samples = sum(len(block) for block in decode(str(tmp_path / "spoken" / name)))
        assert samples / 16_000 == pytest.approx(seconds, abs=0.05)
    again = script("speak", *asked, place=tmp_path, road=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "\n0 s of speech" in again.stdout
    assert len((tmp_path / "said.txt").read_text().splitlines()) == 3
