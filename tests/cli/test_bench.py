"""`fls bench` from end to end on the samples that ship with it, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fls_cli.writers.bench_report import Table

ROOT = Path(__file__).parents[2]
ASR = ROOT / "examples" / "asr-sample" / "sample.jsonl"
QA = ROOT / "examples" / "qa-sample" / "sample.jsonl"


def fls(*arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "models"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "fls_cli", "bench", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
    )


@pytest.mark.weights
def test_asr_sample(tmp_path: Path):
    report = tmp_path / "asr.json"
    done = fls("asr", str(ASR), "--budget", "fast", "--model", "mini", "-o", str(report))
    assert done.returncode == 0, done.stderr
    assert "sample.jsonl: 2 recordings" in done.stdout
    found = json.loads(report.read_text("utf-8"))["budgets"][0]
    assert found["words"] == 34
    assert found["wer"] <= 0.15
    assert found["real_time_factor"] > 0


@pytest.mark.weights
def test_asr_sample_as_frames(tmp_path: Path):
    given = ["asr", str(ASR), "--budget", "balanced", "--model", "mini", "--limit", "1", "--json"]
    work = ["--work", str(tmp_path)]
    found = {}
    for read in ("frames", "text"):
        done = fls(*given, *work, "--read", read)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)["budgets"][0]
        assert report["model"] == ("mini" if read == "text" else "mini, reading frames")
        found[read] = report["items"][0]["hypothesis"]
    # Most words are understood, and what one reader wrote is not given out as the other's.
    reference = report["items"][0]["reference"].split()
    assert len(set(reference) & set(found["frames"].split())) > len(set(reference)) / 2
    assert len(list(tmp_path.rglob("*.json"))) == 2
    again = fls(*given, *work, "--read", "frames")
    assert json.loads(again.stdout)["budgets"][0]["items"][0]["hypothesis"] == found["frames"]


@pytest.mark.weights
def test_qa_sample(tmp_path: Path):
    report = tmp_path / "qa.md"
    work = tmp_path / "work"
    options = ["--budgets", "balanced", "--free", "2", "--model", "mini", "--work", str(work)]
    done = fls("qa", str(QA), *options, "-o", str(report))
    assert done.returncode == 0, done.stderr
    for condition in ("no-audio", "balanced", "true-transcript"):
        assert condition in done.stdout
    text = report.read_text("utf-8")
    assert "## Every free answer" in text
    assert "To which day will the market be moved?" in text
    again = fls("qa", str(QA), *options, "--json")
    assert json.loads(again.stdout)["refusals"]["balanced"]["caught"]["count"] == 2


@pytest.mark.weights
def test_qa_sample_as_frames(tmp_path: Path):
    report = tmp_path / "qa.json"
    options = ["--budgets", "fast", "--free", "1", "--model", "mini", "--read", "frames"]
    done = fls("qa", str(QA), *options, "--work", str(tmp_path / "work"), "-o", str(report))
    assert done.returncode == 0, done.stderr
    assert "model mini, reading frames" in done.stdout
    found = json.loads(report.read_text("utf-8"))
    assert (found["reader"], found["items"]) == ("frames", 2)
    assert list(found["likelihood"]) == ["no-audio", "fast", "true-transcript"]
    for one in found["likelihood"].values():
        assert one["count"] == 2
        assert one["hits"] == 2 - len(one["wrong"])
        assert one["seconds"] > 0
    # The true text needs no connector: the text reader knows what it says.
    assert found["likelihood"]["true-transcript"]["hits"] == 2
    listening = found["listening"]["fast"]
    assert listening["audio_seconds"] == pytest.approx(72, abs=2)
    assert listening["seconds"] > 0
    [reply] = found["free"]["fast"]["answers"]
    assert reply["question"] == "Why does the clock of the harbor show the wrong time?"
    assert reply["answer"]
    assert len(list((tmp_path / "work" / "frames").rglob("*.fls"))) == 2


def test_items_without_audio_name_the_script_that_makes_it(tmp_path: Path):
    items = tmp_path / "items.jsonl"
    item = {"id": "a", "text": "Hm.", "question": "Why?", "choices": ["x", "y"], "answer": 0}
    items.write_text(json.dumps(item) + "\n")
    done = fls("qa", str(items))
    assert done.returncode == 2
    assert "benchmarks/speak.py" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["asr", str(ASR), "--budget", "enormous"], "no budget"),
        (["asr", str(ASR), "-o", "report.txt"], ".md or .json"),
        (["asr", str(ASR), "-o", "nowhere/report.md"], "not there"),
        (["asr", "nowhere.jsonl"], "cannot be read"),
        (["qa", str(ASR)], "an item needs"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: list[str], said: str):
    done = fls(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_table_as_text_and_as_markdown():
    table = Table("Title", ("what", "n"), (("a | b", "1"), ("c", "10")))
    assert table.as_text() == "Title\nwhat    n\na | b   1\nc      10\n"
    assert table.as_markdown().splitlines()[2:] == [
        "| what | n |",
        "| --- | ---: |",
        "| a \\| b | 1 |",
        "| c | 10 |",
    ]


@pytest.mark.weights
def test_summary_sample(tmp_path: Path) -> None:
    report = tmp_path / "summary.md"
    sample = ROOT / "examples" / "summary-sample" / "sample.jsonl"
    done = fls(
        *("summary", str(sample), "--model", "mini", "--judge", "mini", "--limit", "1"),
        *("-o", str(report), "--work", str(tmp_path), "--json"),
    )
    assert done.returncode == 0, done.stderr
    payload = json.loads(done.stdout)
    summaries, opening = payload["methods"]
    assert (payload["judge"], summaries["method"]) == ("mini", "mini")
    assert opening["method"] == "first sentences"
    assert opening["borne_out"] == 1.0
    assert summaries["facts"] > 0.1
    assert all(one["confirmed"] is not None for one in summaries["summaries"][0]["sentences"])
    assert "* should be said: Martin Reed has run a bakery" in report.read_text("utf-8")


def test_a_summary_is_of_one_budget() -> None:
    sample = ROOT / "examples" / "summary-sample" / "sample.jsonl"
    done = fls("summary", str(sample), "--model", "mini", "--budget", "fast,accurate")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
