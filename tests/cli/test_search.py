"""`fls search` and `fls library` as they are typed."""

from __future__ import annotations

import json
import shutil
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_files import tone, write_wav
from numpy.typing import NDArray
from tiny_model import TinyModel, play

from fls_cli.library.database import index_place
from fls_cli.media.flaws import Flaw
from fls_cli.session.request import ListenRequest
from fls_models.errors import InputError

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def talks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two recordings, and a cache and settings of the test's own."""
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("FLS_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "talks"
    folder.mkdir()
    write_wav(folder / "one.wav", tone(440, 4))
    write_wav(folder / "two.wav", tone(300, 5))
    return folder


def test_what_was_heard_is_found(tiny: TinyModel, talks: Path, capfd: Capture) -> None:
    one = str(talks / "one.wav")
    assert play(capfd, "transcribe", "--cache", one).code == 0
    played = play(capfd, "search", str(talks), "trees")
    assert played.code == 0
    assert played.lines == [
        f"{one} [0:00-0:03] Copper Bay planted trees. They stand along the streets. "
        "Nobody counted them twice."
    ]
    assert "1 of 2 recordings were not heard yet, and not searched" in played.err
    assert "two.wav" in played.err
    assert len(tiny.transcriber.efforts) == 1


def test_what_was_not_heard_is_heard_if_that_is_asked_for(
    tiny: TinyModel, talks: Path, capfd: Capture
) -> None:
    played = play(capfd, "search", str(talks), "trees", "--hear", "-n", "1")
    assert (played.code, len(played.lines), played.err) == (0, 1, "")
    assert len(tiny.transcriber.efforts) == 2
    # It is known now, also by another name, and after the index is gone.
    index_place().unlink()
    shutil.move(talks / "one.wav", talks / "three.wav")
    again = play(capfd, "search", str(talks), "trees", "--json")
    found = json.loads(again.out)
    assert found["schema"] == "fls.search/1"
    assert {Path(passage["source"]).name for passage in found["passages"]} == {
        "three.wav",
        "two.wav",
    }
    assert {passage["match"] for passage in found["passages"]} == {"all"}
    assert (len(found["sources"]), found["unheard"]) == (2, [])
    assert len(tiny.transcriber.efforts) == 2


def test_what_cannot_be_heard_is_named(tiny: TinyModel, talks: Path, capfd: Capture) -> None:
    (talks / "two.wav").write_bytes(b"RIFF no sound")
    played = play(capfd, "search", str(talks), "trees", "--hear")
    assert played.code == 1
    assert len(played.lines) == 1
    assert "two.wav" in played.err
    play(capfd, "library", "add", str(talks))
    assert play(capfd, "library", "status", "--failed").lines == [str(talks / "two.wav")]
    assert play(capfd, "library", "status").lines == [f"{talks}: 1 of 2 recordings heard, 1 failed"]


def test_nothing_is_found(tiny: TinyModel, talks: Path, capfd: Capture) -> None:
    played = play(capfd, "search", str(talks), "zeppelin", "--hear")
    assert (played.code, played.out) == (0, "")
    assert "nothing like that was said in 2 of 2 recordings" in played.err


def test_the_library_is_searched_where_nothing_is_named(
    tiny: TinyModel, talks: Path, capfd: Capture
) -> None:
    refused = play(capfd, "search", "trees")
    assert (refused.code, refused.out) == (2, "")
    assert "fls library add" in refused.err
    assert play(capfd, "library", "status").err.startswith("fls: the library is empty")
    assert play(capfd, "library", "add", str(talks)).code == 0
    assert "before" in play(capfd, "library", "add", str(talks)).err
    assert play(capfd, "library", "list").lines == [str(talks)]
    assert len(play(capfd, "search", "trees", "--hear").lines) == 2
    [row] = play(capfd, "library", "status", "--json").lines
    assert json.loads(row) == {"folder": str(talks), "recordings": 2, "heard": 2, "failed": 0}
    assert play(capfd, "library", "remove", str(talks)).code == 0
    assert play(capfd, "library", "list").out == ""
    refused = play(capfd, "library", "remove", str(talks))
    assert (refused.code, "is not in the library" in refused.err) == (2, True)


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": "fls.library/9", "folders": []}'])
def test_a_damaged_list_of_folders_is_said(talks: Path, capfd: Capture, content: str) -> None:
    (talks.parent / "library.json").write_text(content)
    played = play(capfd, "library", "list")
    assert (played.code, played.out) == (3, "")
    assert "remove it and add them again" in played.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([""], 2, "Nothing is looked for"),
        (["here/", "NOT trees"], 2, "Nothing is looked for"),
        (["nowhere", "trees"], 1, "there is no such file"),
        (["https://example.org/talk.mp3", "trees"], 0, "only files are searched"),
        (["--count", "0", "trees"], 2, "greater than or equal"),
    ],
)
def test_wrong_usage(
    talks: Path, capfd: Capture, arguments: list[str], code: int, said: str
) -> None:
    played = play(capfd, "search", *arguments)
    assert (played.code, played.out) == (code, "")
    assert said in " ".join(played.err.split())


def test_a_folder_that_is_none_is_not_added(talks: Path, capfd: Capture) -> None:
    played = play(capfd, "library", "add", str(talks), str(talks / "one.wav"))
    assert played.code == 2
    assert "is no folder" in played.err
    assert play(capfd, "library", "list").out == ""


def test_clearing_the_cache_clears_the_index(tiny: TinyModel, talks: Path, capfd: Capture) -> None:
    play(capfd, "search", str(talks), "trees", "--hear")
    assert index_place().stat().st_size > 0
    assert "index:" in play(capfd, "cache", "info").out
    assert json.loads(play(capfd, "cache", "info", "--json").out)["index"] > 0
    assert play(capfd, "cache", "clear").code == 0
    assert not index_place().exists()


def test_without_a_cache_nothing_is_kept(
    tiny: TinyModel, talks: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLS_CACHE_SIZE", "0")
    assert len(play(capfd, "search", str(talks), "trees", "--hear").lines) == 2
    assert not index_place().exists()


def test_what_means_the_same_is_found_if_that_is_asked_for(
    tiny: TinyModel, talks: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.extend(texts)
        return np.ones((len(texts), 2), np.float32) / np.float32(2**0.5)

    monkeypatch.setattr("fls_cli.commands.search.load_encoder", lambda session: encode)
    play(capfd, "transcribe", "--cache", str(talks / "one.wav"))
    played = play(capfd, "search", str(talks), "zeppelins OR balloons", "--meaning", "--json")
    [passage] = json.loads(played.out)["passages"]
    assert passage["match"] == "meaning"
    assert asked[-1] == "zeppelins balloons"
    # What has the words, too, is there once.
    both = json.loads(play(capfd, "search", str(talks), "trees", "--meaning", "--json").out)
    assert [found["match"] for found in both["passages"]] == ["all"]


def test_meanings_take_weights(tiny: TinyModel, talks: Path, capfd: Capture) -> None:
    play(capfd, "transcribe", "--cache", str(talks / "one.wav"))
    played = play(capfd, "search", str(talks), "trees", "--meaning", "--offline")
    assert played.code == 3
    assert played.lines == []
    assert "without --meaning words are found; all-MiniLM-L6-v2, ONNX int8 is 23 MB" in played.err


def test_passages_are_cut_out(tiny: TinyModel, talks: Path, tmp_path: Path, capfd: Capture) -> None:
    play(capfd, "transcribe", "--cache", str(talks / "one.wav"), str(talks / "two.wav"))
    clips = tmp_path / "clips"
    gone = str(tmp_path / "gone.wav")
    played = play(capfd, "search", str(talks), gone, "trees", "--clips", str(clips))
    assert played.code == 1
    assert played.err.count("there is no such file") == 1
    found = sorted(str(place.relative_to(clips)) for place in clips.rglob("*.wav"))
    assert found == ["one.0h00m00s-0h00m03s.wav", "two.0h00m00s-0h00m03s.wav"]
    assert all(f"wrote {clips / name}" in played.err for name in found)
    with wave.open(str(clips / found[0])) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (16_000, 1)
        assert 2.5 < sound.getnframes() / 16_000 < 3.5
    # Where the folder is a file, nothing is looked for.
    (tmp_path / "file").touch()
    wrong = play(capfd, "search", str(talks), "trees", "--clips", str(tmp_path / "file"))
    assert (wrong.code, wrong.out) == (2, "")


def test_a_recording_that_cannot_be_cut_stops_no_other(
    tiny: TinyModel, talks: Path, tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(capfd, "transcribe", "--cache", str(talks / "one.wav"), str(talks / "two.wav"))
    decode = ListenRequest.decode

    def failing(request: ListenRequest, warn: Callable[[Flaw], None]) -> Any:
        if request.source.name.endswith("one.wav"):
            raise InputError("one.wav: it went away")
        return decode(request, warn)

    monkeypatch.setattr(ListenRequest, "decode", failing)
    clips = tmp_path / "clips"
    played = play(capfd, "search", str(talks), "trees", "--clips", str(clips))
    assert played.code == 1
    assert len(played.lines) == 2
    assert "one.wav: it went away" in played.err
    assert [place.name for place in clips.rglob("*.wav")] == ["two.0h00m00s-0h00m03s.wav"]
