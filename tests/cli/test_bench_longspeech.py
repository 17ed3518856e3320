"""`fls bench longspeech-eval` as it is typed, on a tiny FastLongSpeech with random weights."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from media_files import write_wav
from tiny_model import HERE, SAID, Ear, Played, TinyModel, play

sys.path.append(str(HERE.parent / "models"))

pytestmark = pytest.mark.usefixtures("one_thread")

Fls = Callable[..., Played]


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    """The command is among those of `fls bench`, here at the latest."""
    from fls_cli.commands.bench.longspeech import longspeech_eval
    from fls_cli.commands.bench.qa import app

    if "longspeech-eval" not in {command.name for command in app.registered_commands}:
        app.command("longspeech-eval")(longspeech_eval)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_hearing
    from tiny_checkpoints import write_fastlongspeech

    released = tmp_path_factory.mktemp("hub") / "tiny-fls"
    write_fastlongspeech(released)
    into = tmp_path_factory.mktemp("converted") / "tiny-fls"
    return tiny_hearing.converted(released, into, "float32")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """LongSpeech-Eval's layout, two recordings of eight seconds, three questions."""
    from tiny_hearing import babble

    folder = tmp_path / "LongSpeech-Eval"
    (folder / "wav").mkdir(parents=True)
    for seed, name in enumerate("ab"):
        write_wav(folder / "wav" / f"{name}.wav", babble(8, seed))
    entries = [
        {"path": "wav/a.wav", "question": "What is planted?", "answer": "Trees."},
        {"path": "wav/b.wav", "question": "Where?", "choices": ["here", "there"], "answer": 0},
        {"path": "wav/b.wav", "task": "asr", "transcript": "copper bay planted trees"},
    ]
    (folder / "test.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path) -> TinyModel:
    """What any model but the measured one is: it hears `SAID`."""
    from fls_cli.session import engine as engines
    from fls_models.pipelines.large import LargeFrameModel

    other = TinyModel(tiny_weights, Ear())
    original = engines.start

    def start(engine: Any, **how: Any) -> Any:
        return other if engine.model == "mini" else original(engine, **how)

    monkeypatch.setattr(engines, "start", start)
    assert LargeFrameModel.reads_by == "frames"
    return other


@pytest.fixture
def fls(converted: Path, data: Path, tmp_path: Path, monkeypatch, capfd) -> Fls:
    from fls_models.weights import devices

    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(devices, "_DRIVERS", ())

    def played(*arguments: object, place: Path = data, model: Path | str = converted) -> Played:
        options = ["--model", str(model), "--device", "cpu", "--quiet", "--max-tokens", "4"]
        return play(capfd, "bench", "longspeech-eval", str(place), *map(str, arguments), *options)

    return played


def test_a_table_goes_to_stdout(fls: Fls) -> None:
    played = fls("--methods", "fusion,random", "--lengths", "200,50", "--tasks", "qa")
    assert played.code == 0, played.err
    title, headings, *rows = played.out.splitlines()[:6]
    assert title.startswith("LongSpeech-Eval: 2 items, 8 s on average, model tiny-fls on cpu")
    assert headings.split()[:2] == ["method", "L"]
    assert [tuple(row.split()[:4]) for row in rows] == [
        ("fusion", "200", "qa", "2"),
        ("fusion", "50", "qa", "2"),
        ("random", "200", "qa", "2"),
        ("random", "50", "qa", "2"),
    ]
    assert "fusion over random" in played.out


def test_everything_at_once(fls: Fls, ear: TinyModel, tmp_path: Path) -> None:
    out, work = tmp_path / "out", tmp_path / "work"
    asked = [
        "--methods", "uncompressed,ntk-rope,cascade", "--ablate", "--budgets", "fast,balanced",
        "--judge", "mini", "--work", work, "-o", out,
    ]  # fmt: skip
    played = fls(*asked)
    assert played.code == 0, played.err
    assert {path.name for path in out.iterdir()} == {
        "table.md", "table.csv", "results.json", "answers.jsonl",
        "score-vs-tflops.png", "score-vs-tflops.svg", "score-vs-length.png", "score-vs-length.svg",
    }  # fmt: skip
    found = json.loads((out / "results.json").read_text())
    # Four methods at two budgets, two without a length, for three items.
    assert len(found["rows"]) == (4 * 2 + 2) * 3
    assert {row["method"] for row in found["rows"]} == {
        "uncompressed", "ntk-rope", "cascade", "fusion", "single-pass", "no-density",
    }  # fmt: skip
    assert found["judge"]["graded"] > 0
    assert (found["judge"]["failed"], found["judge"]["ungradable"]) == ([], 0)
    table = list(csv.DictReader((out / "table.csv").open()))
    assert len(table) == len(found["table"]) == 10 * 2
    judged = [row for row in table if row["task"] == "qa"]
    assert all(1 <= float(row["judge"]) <= 5 for row in judged)
    text = (out / "table.md").read_text()
    assert "from the paper, not measured" in text
    assert "fusion with plain means" in text
    answers = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    heard = [one for one in answers if one["method"] == "cascade" and one["task"] == "asr"]
    assert [one["length"] for one in heard] == ["fast", "balanced"]
    assert {one["answer"] for one in heard} == {" ".join(SAID)}
    assert {one["reference"] for one in heard} == {"copper bay planted trees"}
    # Two recordings.
    assert sorted(ear.transcriber.efforts) == ["balanced"] * 2 + ["fast"] * 2
    # The same command finds it all done, and says the same to the last digit.
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    again = fls(*asked)
    assert again.out == played.out
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert len(ear.transcriber.efforts) == 4


def test_json_and_no_plots(fls: Fls, tmp_path: Path) -> None:
    asked = ["--methods", "avgpool", "--lengths", "50", "--limit", "1", "-o", tmp_path / "out"]
    played = fls(*asked, "--no-plots", "--json")
    assert played.code == 0, played.err
    assert json.loads(played.out)["table"][0]["method"] == "avgpool"
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_a_model_that_reads_text_is_measured_as_the_cascade(tiny: TinyModel, fls: Fls) -> None:
    played = fls("--methods", "cascade", model="mini")
    assert played.code == 0, played.err
    assert "cascade" in played.out
    assert sorted(tiny.transcriber.efforts) == sorted(["fast", "balanced", "accurate"] * 2)
    refused = fls("--methods", "fusion", model="mini")
    assert (refused.code, refused.out) == (2, "")
    assert "--methods cascade measures it" in refused.err


def test_models_with_one_ear_are_told_apart(
    tiny: TinyModel, fls: Fls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fls_models.weights import card

    asked = ["--methods", "cascade", "--limit", "1", "--work", tmp_path / "work"]
    for name, listened in (("mini", 3), ("small", 6), ("mini", 6)):
        monkeypatch.setattr(tiny, "card", card.load(name))
        played = fls(*asked, model=name)
        assert played.code == 0, played.err
        assert f"model {name} on cpu" in played.out
        assert len(tiny.transcriber.efforts) == listened


def test_a_key_is_not_shown(fls: Fls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from fls_models.bench.scoring import judge_server

    monkeypatch.setenv("FLS_JUDGE_KEY", "sesame")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(judge_server, "_FIRST_WAIT", 0.0)
    played = fls(
        "--methods", "avgpool", "--lengths", "50", "--limit", "1",
        "--judge", "http://127.0.0.1:9/v1", "--judge-model", "grader",
    )  # fmt: skip
    assert (played.code, played.out) == (3, "")
    assert "grader at 127.0.0.1:9 does not answer" in played.err
    assert "sesame" not in played.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "magic"], "no method magic"),
        (["--tasks", "song"], "no task 'song'"),
        (["--lengths", "ten"], "from 1 up"),
        (["--budgets", "vast"], "no budget 'vast'"),
        (["--judge", "http://127.0.0.1:9"], "needs --judge-model"),
        (["--judge", "ftp://x", "--judge-model", "m"], "--judge takes"),
        (["--judge-model", "m"], "goes with --judge"),
        (["--tasks", "emotion"], "no items of emotion; it has 2 of qa, 1 of asr"),
        (["-o", __file__], "is a file"),
    ],
)
def test_wrong_usage_is_said_before_a_model_is_loaded(
    fls: Fls, arguments: list[str], said: str
) -> None:
    played = fls(*arguments, model="/nowhere")
    assert (played.code, played.out) == (2, "")
    assert said in played.err
    assert played.err.count("\n") == 1
