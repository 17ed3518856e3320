"""Pages of answers and inspections: what stands in them, and that nothing in them gets out."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pytest
from made_up import answer, inspection, passage, section, word

from fls_cli.writers.pages.answer_page import answer_page
from fls_cli.writers.pages.inspection_page import inspection_page
from fls_models.core.timestamps import clock_time
from fls_models.extractor.inspection.inspection import Inspection
from fls_models.speakers.turn import SpeakerTurn

HOSTILE = "</script></title></style><img src=x onerror='alert(1)'>\"&amp;\u202e\x1b[2J"
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Read(HTMLParser):
    """A page as a browser would read it: elements in order, with their attributes and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[list[str]] = []
        self._open: list[int] = []
        self.feed(html)
        self.close()
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        self.texts.append([])
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag, "elements are nested"

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.texts[place].append(data)

    def all(self, tag: str, kind: str = "") -> list[dict[str, str]]:
        return [found for name, found in self.elements if name == tag and _is(found, kind)]

    def text(self, tag: str, kind: str = "") -> list[str]:
        return [
            "".join(text).strip()
            for (name, found), text in zip(self.elements, self.texts, strict=True)
            if name == tag and _is(found, kind)
        ]


def _is(attributes: dict[str, str], kind: str) -> bool:
    return not kind or kind in attributes.get("class", "").split()


def test_hostile_texts_stay_texts() -> None:
    asked = answer(passage(1, 2, 0.5, HOSTILE), question=HOSTILE, said=HOSTILE)
    turns = [SpeakerTurn(0, 1, HOSTILE)]
    page = answer_page(
        [asked, asked], name=HOSTILE, audio=b"", inspection=inspection(), turns=turns
    )
    other = inspection_page(inspection(words=(word(1, HOSTILE),)), name=HOSTILE, audio=b"")
    for html in (page, other):
        assert not re.search(r"<img|</style><|\x1b|\u202e", html)
        read = Read(html)
        assert len(read.all("script")) == len(read.all("style")) == 1
        assert read.text("h1") == [
            "</script></title></style><img src=x onerror='alert(1)'>\"&amp;[2J"
        ]
        assert not [name for _, found in read.elements for name in found if name.startswith("on")]
    assert Read(page).text("blockquote")[0].startswith("</script>")


def test_a_page_has_all_it_needs_and_may_fetch_nothing() -> None:
    for html in (
        answer_page([answer(passage(1, 2))], name="a.mp3", audio=b"ID3", inspection=inspection()),
        inspection_page(inspection(), name="a.mp3", audio=b"ID3"),
    ):
        assert not re.search(r"(?:https?:)?//[a-z]|url\(|@import|<link|<iframe", html)
        read = Read(html)
        assert read.all("html")[0]["lang"] == "en"
        [policy] = [found["content"] for found in read.all("meta") if "http-equiv" in found]
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert rules["default-src"] == "'none'"
        assert rules["media-src"] == "data:"
        assert "connect-src" not in rules
        for element in ("style", "script"):
            [text] = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
            digest = b64encode(sha256(text.encode()).digest()).decode()
            assert rules[f"{element}-src"] == f"'sha256-{digest}'"
        # The policy would refuse what an attribute says.
        assert not [found for _, found in read.elements if "style" in found]
        [audio] = read.all("audio")
        assert b64decode(audio["src"].removeprefix("data:audio/mpeg;base64,")) == b"ID3"
        assert not [found for _, found in read.elements if found.get("src", "data:")[:5] != "data:"]


def test_evidence_is_listed_from_the_strongest_on_and_drawn() -> None:
    spans = [(751.2, 777.9, 0.62), (20.0, 25.0, 0.3), (3751.0, 3779.0, 0.004)]
    one = answer(*(passage(*span, text=f"said at {span[0]}") for span in spans), seconds=4000)
    read = Read(answer_page([one], name="a.mp3", audio=b"", inspection=inspection(4000.0)))
    buttons = read.all("button", "play")
    assert read.text("button", "play") == ["12:31-12:58", "0:20-0:25", "1:02:31-1:02:59"]
    assert [found["aria-label"] for found in buttons] == [
        "Play 12:31 to 12:58",
        "Play 0:20 to 0:25",
        "Play 1:02:31 to 1:02:59",
    ]
    assert read.text("blockquote") == [f"said at {span[0]}" for span in spans]
    assert read.text("span", "share") == ["62%", "30%", "1%"]
    bands = read.all("rect", "band")
    assert [(float(found["data-start"]), float(found["data-end"])) for found in bands] == [
        span[:2] for span in spans
    ]
    assert [float(found["x"].rstrip("%")) for found in bands] == [18.78, 0.5, 93.775]
    assert float(bands[0]["width"].rstrip("%")) == pytest.approx(100 * 26.7 / 4000, abs=1e-3)


def test_what_is_not_answered_has_no_evidence() -> None:
    silent = answer(passage(1, 2), said="The recording does not say.", answered=False)
    read = Read(answer_page([silent], name="a.mp3", audio=b"", inspection=inspection()))
    assert read.text("p", "unanswered") == ["The recording does not say."]
    assert not read.all("button")
    assert not read.all("rect", "band")
    assert not read.text("h3")


def test_times_shown_are_the_recordings_and_times_played_the_audios() -> None:
    one = answer(passage(751.0, 778.0), seconds=60.0)
    read = Read(answer_page([one], name="a.mp3", audio=b"", inspection=None, offset=740.0))
    [button] = read.all("button", "play")
    assert button["aria-label"] == "Play 12:31 to 12:58"
    assert (button["data-start"], button["data-end"]) == ("11.00", "38.00")
    assert read.all("body")[0]["data-offset"] == "740.000"
    [drawn] = [found for found in read.all("svg") if found.get("id") == "timeline"]
    assert (drawn["data-start"], drawn["data-end"]) == ("740.000", "800.000")
    assert read.text("text", "tick")[:2] == ["12:20", "12:30"]


def test_each_question_has_a_lane_and_a_line_of_what_it_cost() -> None:
    asked = [
        answer(passage(1, 2), question="First?"),
        answer(question="Second?", answered=False, said="Not said."),
        answer(passage(3, 4), question="Third?", said="One.\nTwo."),
    ]
    read = Read(answer_page(asked, name="a.mp3", audio=b"", inspection=inspection()))
    assert read.text("title") == ["a.mp3: 3 questions", "0:01-0:02", "0:03-0:04"]
    assert [text.split()[-1] for text in read.text("h2")[:3]] == ["First?", "Second?", "Third?"]
    assert read.text("p", "said") == ["A talk.", "Not said.", "One.\nTwo."]
    lanes = read.text("text", "lane")
    assert lanes[:2] == ["Evidence for question 1", "Evidence for question 3"]
    assert "".join(read.text("section", "made")).count("284 tokens of prompts") == 3
    assert "Budgetbalanced" in "".join(read.text("section", "made")).replace("\n", "")


def test_without_an_extractor_that_is_said_and_only_evidence_is_drawn() -> None:
    one = answer(passage(1, 2), reader="text")
    html = answer_page([one], name="a.mp3", audio=b"", inspection=None)
    assert "no waveform" in html
    assert Read(html).text("text", "lane") == ["Evidence"]
    assert "read from a transcript" in answer_page(
        [one], name="a.mp3", audio=b"", inspection=inspection()
    )


def test_the_drawing_is_described_in_words() -> None:
    heard = inspection(52.0, sections=2)
    read = Read(answer_page([answer(passage(7, 9))], name="a", audio=b"", inspection=heard))
    [drawn] = [found for found in read.all("svg") if found.get("id") == "timeline"]
    assert drawn["role"] == "img"
    for said in (
        "from 0:00 to 0:52",
        "Evidence: 0:07 to 0:09.",
        f"density is {heard.mean_density:.2f} on average",
        f"1,300 frames were fused to {heard.frames_after} in 2 rounds, for 2 passes",
    ):
        assert said in drawn["aria-label"]
    assert read.text("text", "lane")[3:] == [
        "Fusion, round 1: 1,300 to 650 frames",
        "Fusion, round 2: 650 to 326 frames",
    ]
    assert [found["x1"] for found in read.all("line", "border")] == ["50.000%"]


def test_speakers_have_a_row_a_colour_and_words() -> None:
    turns = [SpeakerTurn(0, 10, "Anna"), SpeakerTurn(9, 30, "S2"), SpeakerTurn(31, 40, "Anna")]
    heard = inspection(40.0)
    one = answer(passage(7, 9))
    read = Read(answer_page([one], name="a", audio=b"", inspection=heard, turns=turns))
    rows = read.all("path", "speaker")
    assert [row["class"] for row in rows] == ["speaker colour-0", "speaker colour-1"]
    # 1200 columns for 40 s, a row below the other, two at once.
    assert rows[0]["d"] == "M0.0 0h300.0v8h-300.0zM930.0 0h270.0v8h-270.0z"
    assert rows[1]["d"] == "M270.0 11h630.0v8h-630.0z"
    [drawn] = [found for found in read.all("svg") if found.get("id") == "timeline"]
    assert "Speakers: Anna for 0:19, S2 for 0:21." in drawn["aria-label"]
    assert "Speakers" in read.text("text", "lane")
    assert "Anna" in " ".join(read.text("li"))
    plain = answer_page([one], name="a", audio=b"", inspection=heard)
    assert 'class="speaker' not in plain


def test_the_strip_of_a_round_tells_how_many_frames_became_one() -> None:
    # 60 frames as they are, then 60 of which four and four were fused.
    starts = np.array([*range(60), *range(60, 120, 4)])
    made = section(0.0, np.zeros(120, np.float32), np.ones(120, np.float32), 0)
    fused = type(made)(made.times, made.peaks, made.density, (starts,))
    heard = Inspection(0.0, 4.8, (fused,), (), True, "mini", "balanced")
    read = Read(inspection_page(heard, name="a", audio=b""))
    strips = [found for found in read.all("path", "fusion") if "M" in found["d"]]
    assert [(found["class"], found["d"]) for found in strips] == [
        ("fusion level-0", "M0 0h60v16h-60z"),
        ("fusion level-4", "M60 0h60v16h-60z"),
    ]


def test_the_wave_is_as_high_as_the_sound_is_loud() -> None:
    peaks = np.zeros(100, np.float32)
    peaks[40] = 1.0
    made = section(0.0, peaks, np.full(100, 0.25, np.float32), 0)
    heard = Inspection(0.0, 4.0, (made,), (), True, "mini", "balanced")
    read = Read(inspection_page(heard, name="a", audio=b""))
    [wave] = read.all("path", "loudest")
    tops = [float(top) for top in re.findall(r"V([\d.]+)h1(?!\d)", wave["d"])]
    assert (tops.index(0.0), len(tops), set(tops)) == (40, 100, {0.0, 27.5})
    [density] = read.all("path", "density")
    assert set(re.findall(r"V([\d.]+)h1", density["d"])) == {"33.0"}


def test_a_page_of_hours_stays_small() -> None:
    heard = inspection(10 * 3600.0, sections=20, rounds=3)
    html = inspection_page(heard, name="a", audio=b"")
    assert heard.frames_before == 900_000
    assert len(html) < 300_000
    assert len(Read(html).elements) < 200


@pytest.mark.parametrize("seconds", [0.0, 0.04, 0.4])
def test_next_to_nothing_is_drawn_too(seconds: float) -> None:
    heard = inspection(seconds, rounds=0)
    if not seconds:
        heard = Inspection(0.0, 0.0, (), (), True, "mini", "balanced")
    html = inspection_page(heard, name="a", audio=b"")
    assert ("Nothing was heard." in html) == (not seconds)
    assert not Read(html).all("path", "fusion")


def test_words_stand_in_lines_that_end_at_pauses() -> None:
    words = (word(1.0, " good"), word(1.4, " evening"), word(4.0, " we"), word(4.4, " began"))
    read = Read(inspection_page(inspection(words=words), name="a", audio=b""))
    assert read.text("button", "play") == ["0:01-0:02", "0:04-0:05"]
    assert read.text("ol", "draft")[0].split("\n") == [
        "0:01-0:02 good evening",
        "0:04-0:05 we began",
    ]
    assert "rough draft" in "".join(read.text("section", "words"))


def test_a_long_line_of_words_is_parted() -> None:
    words = tuple(word(0.5 * number, f" {number}") for number in range(100))
    read = Read(inspection_page(inspection(words=words, start=0.0), name="a", audio=b""))
    lengths = [
        float(found["data-end"]) - float(found["data-start"]) for found in read.all("button")
    ]
    assert len(lengths) == 4
    assert max(lengths) <= 15.0


def test_the_words_of_a_stretch_are_played_from_its_own_audio() -> None:
    heard = inspection(start=100.0, words=(word(101.0, " here"),))
    read = Read(inspection_page(heard, name="a", audio=b""))
    assert read.text("button", "play") == ["1:41-1:42"]
    assert read.all("button")[0]["data-start"] == "1.00"


def test_without_a_head_there_is_neither_density_nor_text() -> None:
    html = inspection_page(inspection(has_head=False), name="a", audio=b"")
    assert "Content density" not in Read(html).text("text", "lane")
    assert "no CTC head" in html
    assert "rough draft" not in html


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "0:00"), (59.9, "0:59"), (3599.9, "59:59"), (3661.0, "1:01:01")]
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock_time(seconds) == shown


def test_a_line_that_is_long_ends_at_a_short_pause() -> None:
    starts = [*np.arange(0, 9, 0.35), *np.arange(9.5, 12, 0.35)]
    words = tuple(word(float(start), " so") for start in starts)
    read = Read(inspection_page(inspection(words=words), name="a", audio=b""))
    assert [found["data-start"] for found in read.all("button")] == ["0.00", "9.50"]


def test_stages_that_took_no_time_are_left_out() -> None:
    one = answer(passage(1, 2))
    one.usage.seconds["listen"] = 0.001
    read = Read(answer_page([one], name="a", audio=b"", inspection=None))
    assert "Seconds: load 2.2, answer 1.5." in read.text("section", "made")[0]
