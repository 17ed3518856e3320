"""`fls plan`, by the road from a shell: what is told and measured, and that nothing is fetched."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_files import run_ffmpeg, write_wav
from tiny_model import HERE, Played, play

from fls_models.weights import devices
from fls_models.weights import store as weights
from fls_models.weights import user_folder as given_folders

sys.path.append(str(HERE.parent / "models"))

pytestmark = pytest.mark.usefixtures("one_thread")

Capture = pytest.CaptureFixture[str]
Fls = Callable[..., Played]

ROOT = HERE.parents[1]
BUDGETS = ["fast", "balanced", "accurate"]
SECONDS = 8


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, on a machine without a GPU, where nothing can be fetched."""
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(devices, "_DRIVERS", ())

    def fetched(*_: object, **__: object) -> None:
        raise AssertionError("a plan fetches nothing")

    monkeypatch.setattr(weights.Store, "pull", fetched)
    return tmp_path / "cache"


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return spoken(tmp_path / "talk.wav", SECONDS)


def spoken(place: Path, seconds: float) -> Path:
    from tiny_hearing import babble

    return write_wav(place, babble(seconds))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of audio that each measurement got. Nothing is loaded or started."""
    from fls_cli.machine import speed_profiles as paces
    from fls_cli.session import engine as engines
    from fls_models.planning import profiling as self_measurement
    from fls_models.planning.plan import Pace

    found: list[float] = []

    def measure(model: object, blocks: Any, *, start: float) -> Pace:
        found.append(sum(map(len, blocks)) / 16_000)
        hear = dict.fromkeys(BUDGETS, 0.5)
        return Pace(
            start=start,
            load=4.0,
            begin=0.0,
            hear=hear,
            speakers=0.25,
            read=0.0,
            first=3.0,
            following=2.0,
            check=0.0,
            answer=0.0,
            note=1,
            audio_seconds=found[-1],
        )

    monkeypatch.setattr(self_measurement, "measure", measure)
    monkeypatch.setattr(engines, "start", lambda *_, **__: None)
    monkeypatch.setattr(paces, "_start_seconds", lambda: 1.0)
    return found


@pytest.fixture
def fls(tiny_mini: Path, capfd: Capture) -> Fls:
    """`fls plan ARGUMENTS` with the tiny model, of which weights are there."""
    return lambda *told: play(capfd, "plan", *map(str, told), "--model", str(tiny_mini))


def columns(table: str) -> list[list[str]]:
    """The cells of a table, whose columns are two blanks apart."""
    import re

    return [re.split(r"  +", line) for line in table.splitlines()]


# Without weights


def test_all_but_the_seconds_is_told_of_a_model_that_is_not_here(
    talk: Path, capfd: Capture, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLS_MODEL")
    played = play(capfd, "plan", str(talk))
    assert played.code == 0
    head, *rows = columns(played.out)
    assert head == ["budget", "windows", "reads", "sections", "TFLOPs", "memory", "seconds"]
    assert [row[0] for row in rows] == BUDGETS
    assert [row[2] for row in rows] == ["about 13 tokens", "about 27 tokens", "about 27 tokens"]
    assert {(row[1], row[3], row[5], row[6]) for row in rows} == {("1", "1", "2 GB", "-")}
    assert played.err.splitlines() == [
        "fls: planning for mini, the model that runs on any CPU",
        "fls: no seconds are told: mini is not downloaded; `fls models pull mini` does that",
    ]
    assert not (cache / "weights").exists()


def test_columns_are_aligned(talk: Path, capfd: Capture) -> None:
    widths = {len(line) for line in play(capfd, "plan", str(talk)).lines}
    assert len(widths) == 1


def test_a_large_model_without_a_gpu(talk: Path, capfd: Capture) -> None:
    asked = ["plan", str(talk), "--model", "fastlongspeech"]
    played = play(capfd, *asked, "--json")
    assert played.code == 0
    told = json.loads(played.out)
    assert told["model"] == "fastlongspeech"
    assert [told["budgets"][name]["frames"] for name in BUDGETS] == [27, 53, 107]
    assert {one["memory_gb"] for one in told["budgets"].values()} == {10.1}
    assert {one["seconds"] for one in told["budgets"].values()} == {None}
    assert all(one["tflops"] > 1 for one in told["budgets"].values())
    assert "`fls models pull fastlongspeech`" in played.err
    low = json.loads(play(capfd, *asked, "--json", "--low-memory", "--quiet").out)
    assert low["budgets"]["fast"]["memory_gb"] < 8


def test_what_no_model_can_be_asked_for(talk: Path, capfd: Capture) -> None:
    for options, said in (
        (["--model", "fastlongspeech", "--read", "text"], "--read text"),
        (["--model", "small", "--read", "frames"], "small has no connector"),
        (["--model", "nobody"], "There is no model 'nobody'"),
        (["--device", "tpu"], "--device takes"),
    ):
        played = play(capfd, "plan", str(talk), *options)
        assert (played.code, played.out) == (2, "")
        assert said in played.err


# Sources


def test_several_have_headings_and_a_total(talk: Path, tmp_path: Path, capfd: Capture) -> None:
    other = spoken(tmp_path / "other.wav", 40)
    played = play(capfd, "plan", str(talk), str(other), "--quiet", "--model", "mini")
    assert (played.code, played.err) == (0, "")
    assert [line for line in played.lines if line.startswith("==>")] == [
        f"==> {talk} <==",
        f"==> {other} <==",
        "==> all recordings <==",
    ]
    *_, total = (columns(played.out)[i : i + 5] for i in (0, 5, 10))
    assert [row[1] for row in total[2:]] == ["3", "3", "3"]
    lines = play(capfd, "plan", str(talk), str(other), "--quiet", "--json").lines
    told = [json.loads(line) for line in lines]
    assert [one["source"] for one in told] == [str(talk), str(other), None]
    assert told[2]["audio_seconds"] == told[0]["audio_seconds"] + told[1]["audio_seconds"]


def test_what_is_wrong_with_one_does_not_stop_the_others(talk: Path, capfd: Capture) -> None:
    notes = ROOT / "examples" / "lecture.txt"
    played = play(capfd, "plan", str(notes), str(talk), "missing.mp3", "--quiet", "--json")
    assert played.code == 1
    told = [json.loads(line) for line in played.lines]
    assert [one["schema"] for one in told] == ["fls.error/1", "fls.error/1", "fls.plan/1"]
    assert "there is no such file" in played.err
    assert "neither audio nor video" in played.err


def test_an_unknown_length_has_to_be_told(tmp_path: Path, capfd: Capture) -> None:
    stream = tmp_path / "talk.amr"
    wav = spoken(tmp_path / "talk.wav", SECONDS)
    run_ffmpeg("-i", wav, "-ar", "8000", "-c:a", "libopencore_amrnb", stream)
    played = play(capfd, "plan", str(stream), "--quiet")
    assert (played.code, played.out) == (1, "")
    assert "does not tell how long it is; say so with --end" in played.err
    told = json.loads(play(capfd, "plan", str(stream), "--end", "6s", "--quiet", "--json").out)
    assert told["audio_seconds"] == 6


def test_a_stretch_is_planned_for(talk: Path, capfd: Capture) -> None:
    asked = ["plan", str(talk), "--start", "2s", "--end", "0:05", "--quiet", "--json"]
    assert json.loads(play(capfd, *asked).out)["audio_seconds"] == 3
    played = play(capfd, "plan", str(talk), "--start", "1:00", "--quiet")
    assert (played.code, played.out) == (1, "")
    assert "beyond the end" in played.err


def test_nothing_named_is_wrong_usage(capfd: Capture) -> None:
    assert play(capfd, "plan").code == 2


# The measurement


def test_it_is_measured_once_and_kept(fls: Fls, talk: Path, measured: list[float]) -> None:
    first = fls(talk, "--read", "text")
    assert f"on {SECONDS} s from the middle of {talk}" in first.err
    # 1 s to start, 4 s to load, half a second for each of 8, 3 s for the first answer.
    assert [row[-1] for row in columns(first.out)[1:]] == ["12", "12", "12"]
    again = fls(talk, "--read", "text")
    assert again.out == first.out
    assert "measuring" not in again.err
    assert measured == [SECONDS]
    fls(talk, "--read", "text", "--measure")
    assert measured == [SECONDS] * 2
    # Another way to read is another pace.
    fls(talk, "--read", "frames")
    assert measured == [SECONDS] * 3


def test_it_is_measured_again_for_other_threads_and_other_weights(
    fls: Fls, talk: Path, measured: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    fls(talk)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    fls(talk)
    assert len(measured) == 2
    monkeypatch.setattr(weights, "fingerprint", lambda place: f"another {place}")
    fls(talk)
    fls(talk)
    assert len(measured) == 3


def test_the_middle_of_a_long_recording_is_measured_on(
    fls: Fls, talk: Path, tmp_path: Path, measured: list[float]
) -> None:
    long = spoken(tmp_path / "long.wav", 100)
    # On 8 seconds first, which are too few to be content with.
    played = fls(talk, long)
    assert "on 90 s from the middle of" in played.err
    assert measured == [SECONDS, 90]
    fls(long, talk)
    assert measured == [SECONDS, 90]


def test_a_command_starts_once_for_all_recordings(
    fls: Fls, talk: Path, tmp_path: Path, measured: list[float]
) -> None:
    other = spoken(tmp_path / "other.wav", 2 * SECONDS)
    one, two, both = (json.loads(line) for line in fls(talk, other, "--json").lines)
    # What a process takes once: 1 s to start, 4 s to load, 1 s that only the first answer takes.
    each = [plan["budgets"]["fast"]["seconds"] for plan in (one, two)]
    assert both["budgets"]["fast"]["seconds"] == sum(each) - 6


def test_finding_speakers_takes_seconds_more(
    fls: Fls, talk: Path, tmp_path: Path, measured: list[float]
) -> None:
    long = spoken(tmp_path / "long.wav", 60.0)
    plain, named = (
        json.loads(fls(long, "--json", *more).out)["budgets"]["balanced"]["seconds"]
        for more in ((), ("--speakers", "2"))
    )
    assert named == pytest.approx(plain + 0.25 * 60, abs=0.11)
    assert fls(talk, "--speakers", "some").code == 2
    refused = fls(talk, "--speakers", "auto", "--read", "frames")
    assert refused.code == 2


def test_silence_tells_no_pace(fls: Fls, hush: Path, talk: Path) -> None:
    played = fls(hush, "--read", "frames")
    assert (played.code, columns(played.out)[1][-1]) == (0, "-")
    assert "no seconds are told: nobody is understood in the middle of this" in played.err
    # Nothing was kept of it.
    assert columns(fls(talk, "--read", "frames").out)[1][-1] != "-"


def test_the_plan_is_what_is_read(fls: Fls, tiny_mini: Path, talk: Path, capfd: Capture) -> None:
    told = json.loads(fls(talk, "--read", "frames", "--json").out)
    assert (told["schema"], told["source"], told["model"]) == ("fls.plan/1", str(talk), "tiny-mini")
    for name in BUDGETS:
        planned = told["budgets"][name]
        options = ["--model", str(tiny_mini), "--read", "frames", "-b", name, "--max-tokens", "4"]
        played = play(capfd, "ask", str(talk), "What?", "--json", "--quiet", *options)
        usage = json.loads(played.out)["usage"]
        assert planned["reader"] == usage["reader"]
        assert planned["frames"] == usage["frames_after"]
        assert planned["sections"] == usage["sections"]
        assert planned["seconds"] > 0


def test_frames_where_they_were_measured_to_be_better(
    fls: Fls, talk: Path, measured: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    local = given_folders.from_parts

    def told(place: Path) -> weights.Installed:
        found = local(place)
        assert found.card.frames is not None
        frames = replace(found.card.frames, accuracy={"fast": (0.9, 0.5)})
        return replace(found, card=replace(found.card, frames=frames))

    monkeypatch.setattr(given_folders, "from_parts", told)
    budgets = json.loads(fls(talk, "--json").out)["budgets"]
    assert [budgets[name]["reader"] for name in BUDGETS] == ["frames", "text", "text"]
    assert len(measured) == 2


# The real model


@pytest.mark.weights
def test_the_real_mini(
    mini_weights: weights.Installed, tmp_path: Path, cache: Path, capfd: Capture
) -> None:
    cache.mkdir()
    (cache / "weights").symlink_to(mini_weights.speech.parent)
    lecture = str(ROOT / "examples" / "lecture.mp3")
    played = play(capfd, "plan", lecture, "--read", "frames", "--json", "--end", "1:25")
    assert played.err.count("measuring once") == 1
    planned = json.loads(played.out)["budgets"]["accurate"]
    assert planned["seconds"] > 1
    options = ["--read", "frames", "-b", "accurate", "--json", "--quiet", "--end", "1:25"]
    usage = json.loads(play(capfd, "ask", lecture, "What is it about?", *options).out)["usage"]
    # 85 s at 300 frames for 30 s are more than one pass holds.
    assert (planned["windows"], planned["sections"]) == (3, usage["sections"]) == (3, 2)
    assert abs(planned["frames"] - usage["frames_after"]) <= 1


@pytest.mark.weights
def test_the_real_mini_is_measured_as_it_transcribes(mini_weights: weights.Installed) -> None:
    from fls_cli.sources.decode import decode
    from fls_models.pipelines.cascade import CascadeModel
    from fls_models.planning.profiling import NothingSaid, measure

    model = CascadeModel(mini_weights)
    half = islice(decode(ROOT / "examples" / "talk.mp4"), 30)
    pace = measure(model, half, start=1.0)
    assert pace.audio_seconds > 20
    assert set(pace.hear) == set(BUDGETS)
    told = pace.as_json()
    assert 0 < pace.speakers < 1
    assert all(told[name] > 0 for name in ("load", "read", "first", "following", "answer", "note"))
    with pytest.raises(NothingSaid):
        measure(model, [np.zeros(16_000, np.float32)], start=1.0)


@pytest.mark.weights
def test_little_speech_is_measured_as_it_is(
    mini_weights: weights.Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fls_cli.sources.decode import decode
    from fls_models.pipelines.cascade import CascadeModel
    from fls_models.planning.profiling import measure
    from fls_models.transcription.whisper import Transcriber

    model = CascadeModel(mini_weights)
    heard: list[float] = []
    sentences = Transcriber.sentences

    def counted(self: Transcriber, blocks: list[Any], *arguments: Any, **more: Any) -> Any:
        heard.append(sum(map(len, blocks)) / 16_000)
        return sentences(self, blocks, *arguments, **more)

    monkeypatch.setattr(Transcriber, "sentences", counted)
    talk = np.concatenate(list(islice(decode(ROOT / "examples" / "talk.mp4"), 10)))
    pace = measure(model, [talk[: 5 * 16_000]], start=1.0)
    assert 0 < pace.audio_seconds <= 5
    # Said again and again within a window, Whisper takes it for a loop.
    assert max(heard) <= 5
