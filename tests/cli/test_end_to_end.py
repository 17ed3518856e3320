"""The real `mini` on the examples, as a user would run it. Slow: `-m "not weights"` leaves it out.

Each command is run once and asked several things: hearing a recording is what takes the time.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fls_models.weights import Installed

pytestmark = pytest.mark.weights

ROOT = Path(__file__).parents[2]
ANSWERS = {
    "How many trees did Copper Bay plant, and along how many streets?": ("2,400", "31"),
    "Who measured what the trees did, and for how long?": ("Ward",),
    "How hot was the ground on Mill Street and on Bridge Street?": ("52",),
}
NOT_IN_IT = ["How many loaves does the bakery bake in a day?", "What does Walter carry?"]


def fls(*arguments: str, stdin: bytes | None = None) -> str:
    """What `fls ARGUMENTS` prints, run from the root of the repository."""
    start = "import sys; sys.path.insert(0, 'models'); from fls_cli.app import main; main()"
    found = subprocess.run(
        [sys.executable, "-c", start, *arguments],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr.decode()
    return found.stdout.decode()


@pytest.fixture(scope="module")
def lecture(mini_weights: Installed) -> list[dict[str, Any]]:
    """Answers to ANSWERS, then to NOT_IN_IT."""
    asked = [option for text in (*ANSWERS, *NOT_IN_IT) for option in ("-q", text)]
    out = fls("ask", "examples/lecture.mp3", *asked, "--end", "2:00", "--json", "--offline")
    return [json.loads(line) for line in out.splitlines()]


def test_the_lecture_answers_what_it_says(lecture: list[dict[str, Any]]) -> None:
    for told, facts in zip(lecture, ANSWERS.values(), strict=False):
        assert told["answered"]
        for fact in facts:
            assert re.search(fact, told["answer"]), told


def test_the_lecture_does_not_answer_what_it_does_not_say(lecture: list[dict[str, Any]]) -> None:
    for told in lecture[len(ANSWERS) :]:
        assert not told["answered"], told
        assert told["answer"] == "The recording does not say."
        assert told["spans"] == []


def test_the_stretch_is_heard_whole(lecture: list[dict[str, Any]]) -> None:
    usage = lecture[0]["usage"]
    assert usage["audio_seconds"] == 120.0
    assert lecture[0]["spans"][0][1] > 110


def test_the_same_command_gives_the_same_bytes(mini_weights: Installed) -> None:
    clip = (ROOT / "examples" / "asr-sample" / "journey.opus").read_bytes()
    once, again = (
        fls("ask", "-", "What is this about?", "--quiet", "--offline", stdin=clip) for _ in range(2)
    )
    assert once == again
    assert once.strip()


def test_podcasts_are_summarized_by_what_they_are_about(mini_weights: Installed) -> None:
    out = fls("summarize", "examples/podcasts", "-b", "fast", "--offline")
    heads = re.findall(r"^==> (.*) <==$", out, re.MULTILINE)
    assert [Path(head).stem for head in heads] == [
        "bread-and-time",
        "night-train",
        "bees-on-the-roof",
    ]
    bread, train, bees = re.split(r"^==> .* <==\n", out, flags=re.MULTILINE)[1:]
    assert re.search("bread|bak", bread)
    assert "train" in train
    assert re.search("bee|honey|hive", bees)


def test_the_talk_becomes_subtitles(mini_weights: Installed) -> None:
    out = fls("transcribe", "examples/talk.mp4", "-f", "srt", "-b", "fast", "--offline")
    before = ""
    for number, cue in enumerate(out.rstrip("\n").split("\n\n"), 1):
        first, times, *lines = cue.split("\n")
        assert first == str(number)
        stamp = r"00:00:\d\d,\d{3}"
        assert re.fullmatch(f"{stamp} --> {stamp}", times)
        start, end = times.split(" --> ")
        assert before <= start < end <= "00:00:53"
        assert 1 <= len(lines) <= 2
        before = end
    for spoken in ("library of tools", "Daniel Price", "340", "Saturday"):
        assert spoken.lower() in " ".join(out.split()).lower()


def test_word_times_rise(mini_weights: Installed) -> None:
    clip = "examples/asr-sample/ferry.opus"
    rows = [line.split("\t") for line in fls("transcribe", clip, "--words").splitlines()]
    starts = [float(start) for start, _, _ in rows]
    assert len(rows) > 10
    assert starts == sorted(starts)
    assert all(float(start) <= float(end) <= 8.0 for start, end, _ in rows)
