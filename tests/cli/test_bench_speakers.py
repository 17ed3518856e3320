"""`fls bench speakers`: rates of recordings whose turns are known, and what is no manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_speakers import Scripted
from tiny_model import TinyModel, play

from fls_models.speakers.turn import SpeakerTurn, write_rttm

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def manifest(talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three seconds in turns, of which the second is found to be somebody else's, or is not."""
    monkeypatch.setattr("fls_models.bench.speakers.Diarizer", Scripted)
    spoken = {"right": ["A", "B", "A"], "wrong": ["A", "A", "B"]}
    lines = []
    for name, speakers in spoken.items():
        turns = [SpeakerTurn(at, at + 1, speaker) for at, speaker in enumerate(speakers)]
        (tmp_path / f"{name}.rttm").write_text(write_rttm(turns, name), "utf-8")
        lines.append(json.dumps({"audio": str(talk), "rttm": f"{name}.rttm"}) + "\n")
    file = tmp_path / "conversations.jsonl"
    file.write_text("".join(lines), "utf-8")
    return file


def test_rates(manifest: Path, capfd: Capture, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    played = play(capfd, "bench", "speakers", str(manifest), "-o", str(report))
    assert played.code == 0, played.err
    title, headings, *rows = played.lines
    assert "the right number of speakers in 100%" in title
    assert headings.split()[:4] == ["recording", "speakers", "found", "DER"]
    assert len(rows) == 3
    payload = json.loads(report.read_text("utf-8"))
    right, wrong = payload["items"]
    assert right["exact"]["rate"] == right["collar"]["rate"] == 0
    # Of A, A, B as S1, S2, S1, two seconds are right where S1 is B.
    assert wrong["exact"] == {"rate": 0.3333, "missed": 0.0, "false_alarm": 0.0, "confused": 0.3333}
    assert right["one_speaker"]["rate"] == pytest.approx(1 / 3, abs=1e-4)
    assert payload["exact"]["rate"] == pytest.approx(1 / 6, abs=1e-4)
    assert (payload["right_count"], payload["items"][0]["words"]["words"]) == (1, 0)


def test_words(tiny: TinyModel, manifest: Path, capfd: Capture) -> None:
    asked = ["--words", "--json", "--model", "mini"]
    payload = json.loads(play(capfd, "bench", "speakers", str(manifest), *asked).out)
    right, wrong = (item["words"] for item in payload["items"])
    # The last word of a sentence, which lies in the next turn.
    assert right["wrong"] == 1
    assert right["words"] == wrong["words"] > 9
    assert 1 < wrong["wrong"] < wrong["words"]


def test_a_table_in_markdown(manifest: Path, capfd: Capture, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    assert (
        play(capfd, "bench", "speakers", str(manifest), "-o", str(report), "--limit", "1").code == 0
    )
    text = report.read_text("utf-8")
    assert text.startswith("# Speakers\n")
    assert "| 0.0 % |" in text
    assert "| all |" not in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"audio": "a.wav"}', 'a line is {"audio": "talk.wav", "rttm": "talk.rttm"}'),
        ('{"audio": "a.wav", "rttm": "none.rttm"}', "none.rttm"),
        ("", "holds no recordings"),
    ],
)
def test_what_is_no_manifest(line: str, said: str, capfd: Capture, tmp_path: Path) -> None:
    file = tmp_path / "none.jsonl"
    file.write_text(line + "\n", "utf-8")
    played = play(capfd, "bench", "speakers", str(file))
    assert played.code == 2
    assert said in played.err
