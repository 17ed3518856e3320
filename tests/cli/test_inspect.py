"""`fls inspect`, as it is typed: a tiny `mini` with random weights, and the real one."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from media_files import write_wav
from tiny_model import HERE, Played, play

if TYPE_CHECKING:
    from fls_models.weights.store import Installed

sys.path.append(str(HERE.parent / "models"))

pytestmark = pytest.mark.usefixtures("one_thread")

Capture = pytest.CaptureFixture[str]
Fls = Callable[..., Played]

ROOT = HERE.parents[1]
SECONDS = 8


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Eight seconds of tones: 200 frames."""
    from tiny_hearing import babble

    return write_wav(tmp_path / "talk.wav", babble(SECONDS))


@pytest.fixture
def fls(tiny_mini: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> Fls:
    """`fls inspect ARGUMENTS` with the tiny model, at a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def played(*arguments: object, quiet: bool = True) -> Played:
        options = ["--model", str(tiny_mini), *(["--quiet"] if quiet else [])]
        return play(capfd, "inspect", *map(str, arguments), *options)

    return played


def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is refused before a model is loaded."""
    from fls_cli.session.session import Session

    def model(*_: object) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(Session, "model", model)


# Text and JSON


def test_text_is_rows_over_the_time(fls: Fls, talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(talk.parent)
    played = fls(talk.name, "-b", "fast")
    assert (played.code, played.err) == (0, "")
    first = " ".join(line.strip() for line in played.lines[:2])
    # The paper's rate, 100 for 30 s, by the rungs of training.
    assert first.startswith(
        f"{talk.name}: 0:08.0, 1 window, 1 section, frames 200 → 100 → 50 → 27, mean"
    )
    labels = [line[:8].strip() for line in played.lines if line[:1].isalpha() and ":" not in line]
    stretch = ["wave", "density", "round 1", "round 2", "round 3"]
    assert [one for one in labels if one != "text"] == stretch * 2
    assert max(map(len, played.lines)) <= 80
    assert set("▁▂▃▄▅▆▇█") <= set(played.out)


def test_json_is_one_line_of_the_same(fls: Fls, talk: Path) -> None:
    played = fls(talk, "--json", "-b", "fast")
    [line] = played.lines
    told = json.loads(line)
    assert (told["schema"], told["source"]) == ("fls.inspection/1", str(talk))
    assert (told["start"], told["end"]) == (0, SECONDS)
    assert (told["model"], told["budget"], told["has_head"]) == ("tiny-mini", "fast", True)
    assert (told["frames_before"], told["frames_after"]) == (200, 27)
    assert told["rounds"] == [100, 50, 27]
    [section] = told["sections"]
    assert (section["start"], section["end"], section["rounds"]) == (0, SECONDS, told["rounds"])
    table = told["columns"]
    assert table["step"] == 1
    assert len(table["peak"]) == len(table["density"]) == SECONDS
    assert np.mean(table["density"]) == pytest.approx(told["mean_density"], abs=1e-3)
    for joined, left in zip(table["joined"], told["rounds"], strict=True):
        assert sum(25 / one for one in joined) == pytest.approx(left, abs=1)
    samples = np.abs(_samples(talk)).reshape(SECONDS, -1).max(axis=1)
    assert table["peak"] == pytest.approx(samples, abs=1e-3)
    assert told["words"]
    starts = [word["start"] for word in told["words"]]
    assert starts == sorted(starts)
    assert all(0 <= word["start"] <= word["end"] <= SECONDS for word in told["words"])


def _samples(talk: Path) -> np.ndarray:
    from fls_cli.sources.decode import decode

    return np.concatenate(list(decode(str(talk))))


def test_a_part_is_inspected_at_its_own_times(fls: Fls, talk: Path) -> None:
    told = json.loads(fls(talk, "--json", "--start", "2", "--end", "5", "--target-length", 12).out)
    assert (told["start"], told["end"], told["budget"]) == (2, 5, "L=12")
    assert (told["frames_before"], told["frames_after"]) == (75, 12)
    assert all(2 <= word["start"] <= 5 for word in told["words"])


def test_a_pipe_is_a_recording(fls: Fls, talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(talk.read_bytes())))
    told = json.loads(fls("-", "--json").out)
    assert (told["source"], told["end"]) == ("stdin", SECONDS)


# Files


def test_a_png_has_the_panels(fls: Fls, talk: Path, tmp_path: Path) -> None:
    import matplotlib.image

    place = tmp_path / "talk.png"
    played = fls(talk, "-o", place)
    assert (played.code, played.out, played.err) == (0, "", "")
    shown = matplotlib.image.imread(place)
    assert shown.shape[1] == 1920
    # Text on white alone has few colours; strips and curves have many.
    assert len(np.unique(shown.reshape(-1, shown.shape[-1]), axis=0)) > 200
    assert (shown[..., :3].min(axis=-1) < 0.7).mean() > 0.05


def test_an_svg_and_a_page_name_the_recording(
    fls: Fls, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A long path is cut in a picture's title.
    monkeypatch.chdir(talk.parent)
    for name, begins in (("talk.svg", "<?xml"), ("talk.html", "<!")):
        played = fls(Path(talk.name), "-o", tmp_path / name)
        assert (played.code, played.out) == (0, ""), played.err
        text = (tmp_path / name).read_text("utf-8")
        assert text.startswith(begins)
        assert "talk.wav" in text


@pytest.mark.parametrize("name", ["talk.pdf", "talk", "folder/", "png"])
def test_other_names_are_refused_with_those_that_work(
    fls: Fls, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    unloaded(monkeypatch)
    played = fls(talk, "-o", tmp_path / name)
    assert (played.code, played.out) == (2, "")
    assert ".png, .svg, .html" in played.err
    assert not (tmp_path / name).exists()


def test_a_place_that_is_not_there_is_said_before_the_work(
    fls: Fls, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unloaded(monkeypatch)
    (tmp_path / "is.png").mkdir()
    for place, why in ((tmp_path / "no" / "talk.png", "mkdir -p"), (tmp_path / "is.png", "folder")):
        played = fls(talk, "-o", place)
        assert (played.code, played.out) == (2, "")
        assert why in played.err
    assert fls(talk, "--json", "-o", tmp_path / "talk.png").code == 2
    assert not (tmp_path / "talk.png").exists()


# What is no recording


def test_what_is_no_recording_is_one_sentence(
    fls: Fls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unloaded(monkeypatch)
    (tmp_path / "notes.mp3").write_text("no sound at all, only text")
    for place in (tmp_path / "none.mp3", tmp_path / "notes.mp3"):
        played = fls(place)
        assert (played.code, played.out) == (1, "")
        assert played.err.startswith(f"fls: {place}: ")
        assert len(played.err.splitlines()) == 1
    told = json.loads(fls(tmp_path / "none.mp3", "--json").out)
    assert (told["schema"], told["source"]) == ("fls.error/1", str(tmp_path / "none.mp3"))


def test_a_folder_of_recordings_is_refused(
    fls: Fls, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unloaded(monkeypatch)
    write_wav(talk.parent / "more.wav", np.zeros(16_000))
    played = fls(talk.parent)
    assert (played.code, played.out) == (2, "")
    assert "name one recording" in played.err


def test_a_model_that_reads_text_only_is_refused(talk: Path, capfd: Capture) -> None:
    played = play(capfd, "inspect", str(talk), "--model", "small", "--offline")
    assert (played.code, played.out) == (2, "")
    assert "small has no connector and reads transcripts only" in played.err


def test_silence_is_shown_as_such(fls: Fls, hush: Path) -> None:
    played = fls(hush)
    assert played.code == 0
    assert all(not line[8:].strip() for line in played.lines if line.startswith("wave "))


# The real model


@pytest.mark.weights
def test_the_real_mini_shows_what_is_said_in_a_talk(
    mini_weights: Installed, capfd: Capture, tmp_path: Path
) -> None:
    talk = ROOT / "examples" / "talk.mp4"
    told = json.loads(play(capfd, "inspect", str(talk), "--quiet", "--json").out)
    assert told["model"] == "mini"
    # 200 frames for 30 s.
    assert (told["frames_before"], told["frames_after"]) == (1306, 348)
    said = " ".join(word["text"].strip(".,") for word in told["words"])
    for phrase in ("from the public library", "never about paper", "so that everyone can use them"):
        assert phrase in said
    [drill] = [word for word in told["words"] if word["text"].startswith("drill")]
    # `transcribe` hears it from 12.57 to 13.99 s.
    assert 12.6 < drill["start"] < 14.0
    place = tmp_path / "talk.png"
    part = ["--end", "0:20", "-o", str(place)]
    assert play(capfd, "inspect", str(talk), "--quiet", *part).code == 0
    assert place.read_bytes().startswith(b"\x89PNG")
