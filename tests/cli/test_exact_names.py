"""JSON names every file exactly, whatever bytes its name is made of."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from media_files import tone, write_wav
from tiny_model import TinyModel, play

from fls_cli.writers.exact_names import exact_name

Capture = pytest.CaptureFixture[str]

WHAT = "What stands along the streets?"
ODD = [b"new\nline.wav", b"not-\xff-utf8.wav"]


def parsed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def exact(told: dict[str, Any]) -> bytes:
    names = list(told)
    assert names.index("source_bytes") == names.index("source") + 1
    return base64.b64decode(told["source_bytes"])


@pytest.fixture(params=ODD, ids=["newline", "bytes"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place = tmp_path / os.fsdecode(request.param)
    write_wav(tmp_path / "talk.wav", tone(440, 4)).rename(place)
    return place


@pytest.mark.parametrize(
    "given",
    [
        ["ask", "-q", WHAT, "--json"],
        ["summarize", "--json"],
        ["transcribe", "-f", "json"],
        ["plan", "--json"],
    ],
    ids=lambda given: given[0],
)
def test_each_command(tiny: TinyModel, odd: Path, given: list[str], capfd: Capture) -> None:
    played = play(capfd, *given, str(odd))
    assert played.code == 0
    told = json.loads(played.out)
    assert "?" in told["source"]
    assert exact(told) == os.fsencode(odd)
    # Among others, and where it is missing.
    other = write_wav(odd.with_name("other.wav"), tone(440, 4))
    gone = odd.with_name(odd.name.replace(".wav", ".flac"))
    played = play(capfd, *given, str(gone), str(other), str(odd))
    failed, plain, named, *over = parsed(played.out)
    assert failed["schema"] == "fls.error/1"
    assert exact(failed) == os.fsencode(gone)
    assert "source_bytes" not in plain
    assert exact(named) == os.fsencode(odd)
    assert all("source_bytes" not in one for one in over)
    for one in over:
        places = zip(one.get("sources", []), one.get("sources_bytes", []), strict=True)
        for source, raw in places:
            assert raw is None or ("?" in source and base64.b64decode(raw) == os.fsencode(odd))
        for passage in one.get("evidence", []):
            assert ("source_bytes" in passage) == ("?" in passage["source"])


def test_an_answer_over_all_names_its_sources(tiny: TinyModel, odd: Path, capfd: Capture) -> None:
    other = write_wav(odd.with_name("other.wav"), tone(440, 4))
    played = play(capfd, "ask", str(odd), str(other), "-q", WHAT, "--json")
    told = parsed(played.out)[-1]
    assert len(told["sources"]) == 2
    raw = base64.b64encode(os.fsencode(odd)).decode()
    assert sorted(map(str, told["sources_bytes"])) == sorted(["None", raw])
    assert {one.get("source_bytes") for one in told["evidence"]} == {None, raw}


def test_inspect_and_failures_before_it(odd: Path, tiny_mini: Path, capfd: Capture) -> None:
    given = ["inspect", "--json", "--model", str(tiny_mini)]
    assert exact(json.loads(play(capfd, *given, str(odd)).out)) == os.fsencode(odd)
    odd.unlink()
    assert exact(json.loads(play(capfd, *given, str(odd)).out)) == os.fsencode(odd)


def test_chat(tiny: TinyModel, odd: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WHAT.encode())))
    played = play(capfd, "chat", str(odd.with_suffix(".flac")), str(odd), "--json")
    failed, told = parsed(played.out)
    assert exact(failed) == os.fsencode(odd.with_suffix(".flac"))
    assert exact(told) == os.fsencode(odd)


def test_names_of_no_file_are_none() -> None:
    for location in ("-", "https://me:secret@host/a\x01.mp3", "plain ünïcödé.wav", None):
        assert exact_name(location) is None
