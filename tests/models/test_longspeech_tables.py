"""Scores, tables, intervals and pictures against numbers computed by hand."""

from __future__ import annotations

import csv
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fls_models.bench.longspeech.items import SpokenItem
from fls_models.bench.longspeech.measurement import Measurement, Row
from fls_models.bench.longspeech.methods import METHODS, lengths_of
from fls_models.bench.scoring import plots
from fls_models.bench.scoring.estimates import mean, rate
from fls_models.bench.scoring.gains import gain_cells, gains_of
from fls_models.bench.scoring.scores import scored
from fls_models.bench.scoring.tables import ALL, PAPER, as_csv, cells, lines


def item(name: str = "a", task: str = "qa", **more: Any) -> SpokenItem:
    given = {"question": "What day is it?", **more}
    return SpokenItem(name, Path(f"{name}.wav"), task=task, **given)


def row(one: SpokenItem, method: str = "fusion", length: str | None = "200", **found: Any) -> Row:
    given = {"fits": True, "duration": 60.0, "before": 1500, **found}
    chosen = lengths_of([length], [])[0] if length else None
    return Row(one, METHODS[method], chosen, Measurement(**given))


# Scores


def test_choices_are_right_when_no_other_is_as_likely() -> None:
    asked = item(choices=("x", "y", "z"), correct=1, answer="y")
    for likelihoods, right in (([-3, -1, -2], 1.0), ([-1, -3, -2], 0.0), ([-3, -1, -1], 0.0)):
        found = scored(row(asked, likelihoods=[float(one) for one in likelihoods]), {})
        assert found.choices == right
    assert scored(row(item(), likelihoods=None), {}).choices is None


def test_facts_are_the_share_that_a_reply_holds() -> None:
    asked = item(facts=("The market is on Saturday.", "Julia prints signs."))
    assert scored(row(asked, text="The market moves to Saturday."), {}).facts == 0.5
    assert scored(row(asked, text="Saturday market, and Julia prints signs"), {}).facts == 1.0
    assert scored(row(asked, text="Nobody knows."), {}).facts == 0.0
    assert scored(row(asked, text=None), {}).facts is None
    chosen = item(choices=("Saturday", "Sunday"), correct=0, answer="Saturday")
    assert scored(row(chosen, text="On Saturday."), {}).facts == 1.0
    assert scored(row(chosen, text="Saturday or Sunday."), {}).facts == 0.0
    assert scored(row(item(answer="Saturday"), text="On Saturday."), {}).facts == 1.0
    # A whole summary is no fact.
    assert scored(row(item(task="summary", answer="Saturday"), text="Saturday"), {}).facts is None
    assert scored(row(item(), text="Saturday"), {}).facts is None


def test_a_judges_grade_belongs_to_question_reference_and_reply() -> None:
    asked = item(answer="Saturday")
    judged = {("What day is it?", "Saturday", "On Sunday."): 2.0}
    assert scored(row(asked, text="On Sunday."), judged).judge == 2.0
    assert scored(row(asked, text="On Saturday."), judged).judge is None


def test_transcripts_have_word_errors_and_nothing_else() -> None:
    asked = item(task="asr", transcript="The old clock is slow.")
    found = scored(row(asked, text="the old clocks slow"), {})
    assert (found.errors, found.words, found.wer) == (2, 5, 0.4)
    assert (found.judge, found.choices, found.facts) == (None, None, None)


def test_what_does_not_fit_has_no_score() -> None:
    asked = item(choices=("x", "y"), correct=0)
    found = scored(row(asked, "uncompressed", None, fits=False), {})
    assert found.choices is None


# Intervals


def test_a_mean_with_its_interval() -> None:
    values = [1.0, 2.0, 2.0, 5.0, 3.0, 4.0, 1.0, 2.0]
    found = mean(values)
    assert found is not None
    assert (found.value, found.count) == (2.5, 8)
    # By another way of drawing, and the formula that it comes near to.
    dice = np.random.default_rng(7)
    drawn = sorted(float(np.mean(dice.choice(values, 8))) for _ in range(4000))
    assert found.low == pytest.approx(drawn[100], abs=0.15)
    assert found.high == pytest.approx(drawn[3900], abs=0.15)
    assert mean([3.0, 3.0]) == mean([3.0, 3.0])
    assert mean([]) is None


def test_a_rate_is_of_all_together() -> None:
    found = rate([1.0, 9.0], [10.0, 90.0])
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    uneven = rate([0.0, 9.0], [10.0, 10.0])
    assert uneven is not None
    assert (uneven.value, uneven.low, uneven.high) == (0.45, 0.0, 0.9)
    # Long transcripts count for more, in every draw.
    long = rate([1.0] * 20 + [0.0] * 20, [1.0] * 20 + [99.0] * 20)
    assert long is not None
    assert long.value == pytest.approx(0.01)
    assert 0.004 < long.low < 0.01 < long.high < 0.025
    with pytest.raises(ValueError, match="2 parts of 1 wholes"):
        rate([1.0, 2.0], [1.0])


# Tables


@pytest.fixture
def rows() -> list[Row]:
    """Two questions under two methods, and one of them with all frames, which did not fit."""
    found = []
    for name, right, other in (("a", True, True), ("b", True, False)):
        asked = item(name, choices=("x", "y"), correct=0, answer="x")
        for method, good in (("fusion", right), ("random", other)):
            found.append(
                row(
                    asked, method, duration=60.0 if name == "a" else 40.0,
                    frames=400 if name == "a" else 100, passes=1, hear=2.0, fuse=0.5, read=1.0,
                    first=0.25, reply=4.5, text="said", flops=10**12, peak=3 * 10**9,
                    likelihoods=[-1.0, -2.0] if good else [-2.0, -1.0],
                )
            )  # fmt: skip
    found.append(row(item("a", choices=("x", "y"), correct=0), "uncompressed", None, fits=False))
    return found


def test_a_line_is_what_a_calculator_says(rows: list[Row]) -> None:
    judged = {("What day is it?", "x", "said"): 3.0}
    fusion, random, whole = lines(rows, judged)
    assert (fusion.task, fusion.method, fusion.length) == ("qa", "fusion", "200")
    assert (fusion.count, fusion.unfit) == (2, 0)
    assert fusion.rate == pytest.approx(30 * 500 / 100)
    assert (fusion.tflops, fusion.peak) == (1.0, 3 * 10**9)
    assert (fusion.hear, fusion.fuse, fusion.read, fusion.reply) == (2.0, 0.5, 1.0, 4.5)
    assert (fusion.seconds, fusion.first) == (8.0, 3.75)
    assert fusion.real_time_factor == pytest.approx(16 / 100)
    assert fusion.scores["choices"].value == 1.0
    assert random.scores["choices"].value == 0.5
    assert (random.scores["choices"].low, random.scores["choices"].high) == (0.0, 1.0)
    assert fusion.scores["judge"].value == 3.0
    assert (whole.count, whole.unfit, whole.scores) == (0, 1, {})


def test_cells_for_people(rows: list[Row]) -> None:
    headings, found = cells(lines(rows))
    shown = dict(zip(headings, found[1], strict=True))
    assert shown == {
        "method": "random",
        "L / 30 s": "200",
        "task": "qa",
        "n": "2",
        "choices %": "50.0 [0.0, 100.0]",
        "facts %": "0.0 [0.0, 0.0]",
        "TFLOPs": "1",
        "hear s": "2.00",
        "fuse s": "0.500",
        "read s": "1.00",
        "reply s": "4.50",
        "all s": "8.00",
        "to first word s": "3.75",
        "RTF": "0.1600",
        "peak GB": "3.00",
    }
    assert dict(zip(headings, found[2], strict=True))["n"] == "0 (+1 too long)"
    assert found[2].count("-") == len(headings) - 3


def test_comma_separated_values_and_json(rows: list[Row]) -> None:
    found = list(csv.DictReader(io.StringIO(as_csv(lines(rows)))))
    assert len(found) == 3
    assert (found[1]["method"], found[1]["length"], found[1]["choices"]) == ("random", "200", "0.5")
    assert (found[1]["choices_low"], found[1]["choices_high"]) == ("0.0", "1.0")
    assert (found[0]["tflops"], found[2]["tflops"], found[0]["judge"]) == ("1.0", "", "")
    told = json.loads(json.dumps(lines(rows)[0].as_json()))
    assert told["scores"]["choices"] == {"value": 1.0, "low": 1.0, "high": 1.0, "count": 2}


def test_gains_are_of_the_same_items(rows: list[Row]) -> None:
    [found] = gains_of(rows)
    assert (found.better, found.other, found.metric) == ("fusion", "random", "choices")
    assert (found.gain.value, found.gain.low, found.gain.high) == (0.5, 0.0, 1.0)
    assert gain_cells([found])[1] == (
        ("fusion over random", "200", "qa", "choices %", "2", "+50.0 [+0.0, +100.0]"),
    )
    heard = item("c", "asr", transcript="nobody knows her name")
    wer = [row(heard, text="nobody knows her name"), row(heard, "random", text="nobody knows her")]
    [gain] = gains_of(wer)
    # Fewer errors are better.
    assert (gain.metric, gain.gain.value) == ("wer", 0.25)


def test_items_with_choices_are_counted_across_tasks() -> None:
    choices: dict[str, Any] = {"choices": ("x", "y"), "correct": 0}
    asked = [item("a", **choices), item("b", task="dialogue", **choices), item("c", task="summary")]
    found = [row(asked[0], likelihoods=[-1.0, -2.0]), row(asked[1], likelihoods=[-2.0, -1.0])]
    found.append(row(asked[2], text="Nothing."))
    others = [row(one, "random", likelihoods=[-2.0, -1.0]) for one in asked[:2]]
    told = {(line.task, line.method): line for line in lines([*found, *others])}
    assert [task for task, _ in told][-2:] == [ALL, ALL]
    assert told[ALL, "fusion"].count == 2
    assert told[ALL, "fusion"].scores["choices"].value == 0.5
    [gain] = [one for one in gains_of([*found, *others]) if one.task == ALL]
    assert (gain.gain.value, gain.gain.count) == (0.5, 2)
    # One task is its own total.
    assert ALL not in {line.task for line in lines([found[0], found[2]])}


def test_emotions_have_a_line_of_their_own() -> None:
    choices: dict[str, Any] = {"task": "emotion", "choices": ("angry", "sad"), "correct": 1}
    sure = ([-1.0, -2.0], [-2.0, -1.0], [-3.0, -1.0])
    heard = [row(item(str(n), **choices), likelihoods=told) for n, told in enumerate(sure)]
    [line] = lines(heard)
    assert (line.task, line.count) == ("emotion", 3)
    assert line.scores["choices"].value == pytest.approx(2 / 3)


def test_the_papers_figures_name_methods_that_there_are() -> None:
    assert {name.partition(",")[0] for name, *_ in PAPER} <= set(METHODS)


# Pictures


def many() -> list[Row]:
    """Four methods at three lengths, two tasks, ten items."""
    dice = np.random.default_rng(3)
    found = []
    for method, good in (("fusion", 0.8), ("avgpool", 0.65), ("random", 0.5)):
        for length, more in (("100", 0.0), ("200", 0.08), ("400", 0.12)):
            for number in range(10):
                asked = item(str(number), choices=("x", "y"), correct=0, answer="x")
                right = dice.random() < good + more
                likelihoods = [-1.0, -2.0] if right else [-2.0, -1.0]
                flops = 10**12 * int(length) // 50
                found.append(
                    row(
                        asked, method, length, frames=2 * int(length), text=None,
                        likelihoods=likelihoods, flops=flops, hear=1.0,
                    )
                )  # fmt: skip
                heard = item(f"w{number}", "asr", transcript="nobody knows her name")
                text = "nobody knows her" if dice.random() < good else "nobody"
                found.append(
                    row(heard, method, length, frames=2 * int(length), text=text, flops=flops)
                )
    asked = item("0", choices=("x", "y"), correct=0)
    found.append(row(asked, "cascade", None, frames=300, likelihoods=[-1.0, -2.0], hear=9.0))
    return found


def test_pictures_are_png_and_svg_of_the_expected_size(tmp_path: Path) -> None:
    written = plots.draw(lines(many()), tmp_path, "ten items, tiny")
    assert {one.name for one in written} == {
        f"score-vs-{what}.{kind}" for what in ("tflops", "length") for kind in ("png", "svg")
    }
    for path in written:
        data = path.read_bytes()
        if path.suffix == ".svg":
            assert b"<svg" in data
            continue
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        # Two panels of 5.2 by 4 inches at 120 dots an inch.
        assert struct.unpack(">II", data[16:24]) == (1248, 480)
    again = tmp_path / "again"
    again.mkdir()
    for one, other in zip(
        written, plots.draw(lines(many()), again, "ten items, tiny"), strict=True
    ):
        assert one.read_bytes() == other.read_bytes()


def test_a_picture_without_points_is_not_made(tmp_path: Path) -> None:
    asked = item(choices=("x", "y"), correct=0)
    without = lines([row(asked, frames=400, likelihoods=[-1.0, -2.0])])
    assert [one.name for one in plots.draw(without, tmp_path, "t")] == [
        "score-vs-length.png",
        "score-vs-length.svg",
    ]
    assert plots.draw([], tmp_path, "t") == []
