"""Pages as people use them: in a browser, with a mouse, with keys, on a phone, without a network.

Needs Debian's packages chromium and chromium-driver. Where TEST_BROWSER=required is set, as .ci/run
does, their absence is an error.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from made_up import answer, inspection, passage, word
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from tiny_model import play

from fls_cli.sources.decode import decode
from fls_cli.writers.pages.answer_page import answer_page
from fls_cli.writers.pages.inspection_page import inspection_page
from fls_cli.writers.pages.page_audio import page_audio
from fls_models.core.constants import SAMPLE_RATE

TALK = Path(__file__).parents[2] / "examples" / "talk.mp4"
# Of talk.mp4, 52 s long; the second is short, to be heard to its end.
SPANS = [(30.0, 36.5), (12.5, 14.0), (44.0, 47.0)]
OFFSET = 600.0
PATIENCE = 15

CONTRAST = """
const luminance = (color) => {
  const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((one) => {
    const part = one / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (one) => {
  for (let at = one; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (color !== "rgba(0, 0, 0, 0)") return color;
  }
};
return [...document.querySelectorAll("h1, h2, h3, p, blockquote, dt, dd, button, .share")].map(
  (one) => {
    const pair = [getComputedStyle(one).color, ground(one)].map(luminance);
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  });
"""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    """One browser for all tests, as small as it starts."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        missing = "chromium or chromedriver is missing: apt install chromium chromium-driver"
        if os.environ.get("TEST_BROWSER") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    options = ChromeOptions()
    options.binary_location = browser
    for switch in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--mute-audio",
        "--autoplay-policy=no-user-gesture-required",
        "--window-size=1200,900",
    ):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options=options, service=Service(driver)) as started:
        yield started


@pytest.fixture(scope="module")
def talk() -> bytes:
    return page_audio(decode(str(TALK)))


@pytest.fixture(scope="module")
def answers(talk: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two questions about a talk."""
    asked = [
        answer(*(passage(*span, text="We began with one drill.") for span in SPANS)),
        answer(question="And who?", said="The recording does not say.", answered=False),
    ]
    place = tmp_path_factory.mktemp("pages") / "answers.html"
    place.write_text(
        answer_page(asked, name="talk.mp4", audio=talk, inspection=inspection(52.0, sections=2))
    )
    return place


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of one question about ten seconds of a recording, ten minutes into it."""
    samples = [block for block, _ in zip(decode(str(TALK)), range(10), strict=False)]
    asked = answer(passage(OFFSET + 3, OFFSET + 5), reader="text", seconds=10.0)
    place = tmp_path_factory.mktemp("pages") / "later.html"
    place.write_text(
        answer_page(
            [asked], name="talk.mp4", audio=page_audio(samples), inspection=None, offset=OFFSET
        )
    )
    return place


@pytest.fixture(scope="module")
def inspected(talk: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = tuple(word(0.4 * number, f" word{number}") for number in range(120))
    place = tmp_path_factory.mktemp("pages") / "inspected.html"
    place.write_text(inspection_page(inspection(52.0, words=words), name="talk.mp4", audio=talk))
    return place


class Page:
    """A page in the browser, its sound known and silent."""

    def __init__(
        self, chrome: Chrome, place: Path, *, width: int = 1200, scheme: str = "light"
    ) -> None:
        self.chrome = chrome
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})
        # What was logged before is other pages'.
        for kind in ("browser", "performance"):
            chrome.get_log(kind)
        chrome.get(place.as_uri())
        self.until("audio.readyState >= 2")
        self.run("window.sought = []; audio.onseeking = () => sought.push(audio.currentTime);")

    def run(self, script: str) -> Any:
        return self.chrome.execute_script(
            f"const audio = document.querySelector('audio'); {script}"
        )

    def until(self, condition: str) -> None:
        WebDriverWait(self.chrome, PATIENCE, poll_frequency=0.05).until(
            lambda _: self.run(f"return {condition}"), condition
        )

    def until_named(self, element: WebElement, name: str) -> None:
        """Its name follows the player's events, which come a moment after the player's state."""
        WebDriverWait(self.chrome, PATIENCE, poll_frequency=0.05).until(
            lambda _: element.accessible_name.startswith(name), name
        )

    def all(self, selector: str) -> list[WebElement]:
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.chrome.find_element(By.CSS_SELECTOR, selector)

    @property
    def time(self) -> float:
        return float(self.run("return audio.currentTime"))

    def press(self, key: str) -> None:
        ActionChains(self.chrome).send_keys(key).perform()

    def is_played(self, start: float, end: float) -> None:
        """The player was sent to `start`, plays from there and stops at `end`."""
        self.until(f"!audio.paused && audio.currentTime > {start} + 0.1")
        assert self.run("return sought[0]") == pytest.approx(start, abs=0.3)
        self.until("audio.paused")
        assert self.time == pytest.approx(end, abs=0.3)


def test_a_report_of_the_command_line_plays_what_it_found(
    chrome: Chrome,
    tiny_mini: Path,
    one_thread: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "report.html"
    model = ("--model", str(tiny_mini), "--read", "frames", "--max-tokens", "6")
    asked = (str(TALK), "What is it about?", "--start", "5", "--report", str(place), "--json")
    played = play(capfd, "ask", *asked, *model)
    assert played.code == 0, played.err
    first = json.loads(played.out)["evidence"][0]
    page = Page(chrome, place)
    assert page.all(".band")
    page.one("button.play").click()
    page.until("!audio.paused && sought.length > 0")
    assert page.run("return sought[0]") == pytest.approx(first["start"] - 5, abs=0.3)
    page.until("audio.currentTime > sought[0] + 0.1")
    # Density and fusion are those that this model heard.
    assert "Content density" in page.one("#timeline").text
    assert "Fusion, round 1" in page.one("#timeline").text


def test_a_press_on_evidence_plays_it_from_its_start_to_its_end(
    chrome: Chrome, answers: Path
) -> None:
    page = Page(chrome, answers)
    second = page.all("button.play")[1]
    assert second.accessible_name == "Play 0:12 to 0:14"
    second.click()
    page.until("!audio.paused")
    page.until_named(second, "Pause")
    assert second.accessible_name == "Pause 0:12 to 0:14"
    assert page.one("[role=status]").text == "Playing 0:12 to 0:14."
    assert [one.get_attribute("class") for one in page.all(".playing")] == [
        "play playing",
        "band playing",
    ]
    page.is_played(*SPANS[1])
    page.until_named(second, "Play")
    assert second.accessible_name == "Play 0:12 to 0:14"
    assert page.one("[role=status]").text == "Stopped at the end of 0:12 to 0:14."
    assert not page.all(".playing")


def test_a_second_press_pauses_and_a_third_goes_on(chrome: Chrome, answers: Path) -> None:
    page = Page(chrome, answers)
    first = page.all("button.play")[0]
    first.click()
    page.until("audio.currentTime > 30.4")
    first.click()
    page.until("audio.paused")
    paused = page.time
    first.click()
    page.until("!audio.paused")
    assert paused <= page.time < 36.5
    assert page.run("return sought.length") == 1


def test_another_evidence_takes_over(chrome: Chrome, answers: Path) -> None:
    page = Page(chrome, answers)
    first, second, _ = page.all("button.play")
    first.click()
    page.until("audio.currentTime > 30.2")
    second.click()
    page.until("audio.currentTime < 20")
    page.until_named(second, "Pause")
    assert (first.accessible_name[:4], second.accessible_name[:5]) == ("Play", "Pause")


def test_a_press_on_a_band_plays_its_evidence(chrome: Chrome, answers: Path) -> None:
    page = Page(chrome, answers)
    page.all("rect.band")[1].click()
    page.is_played(*SPANS[1])


def test_a_press_beside_a_band_is_the_bands(chrome: Chrome, answers: Path) -> None:
    page = Page(chrome, answers, width=360)
    band = page.all("rect.band")[1]
    beside = round(band.rect["width"] / 2 + 6)
    ActionChains(chrome).scroll_to_element(band).move_to_element_with_offset(
        band, beside, 0
    ).click().perform()
    page.is_played(*SPANS[1])


def test_a_press_elsewhere_on_the_timeline_moves_the_player_there(
    chrome: Chrome, answers: Path
) -> None:
    page = Page(chrome, answers)
    line = page.one("#timeline")
    ActionChains(chrome).scroll_to_element(page.one("figcaption")).perform()
    # A few pixels after a quarter: to the left of it, 0:13 has not begun.
    quarter = round(-line.rect["width"] / 4) + 4
    ActionChains(chrome).move_to_element_with_offset(line, quarter, 20).click().perform()
    page.until("sought.length > 0")
    assert page.time == pytest.approx(13.0, abs=0.3)
    assert page.run("return audio.paused")
    x = "parseFloat(document.querySelector('.playhead').getAttribute('x1'))"
    page.until(f"Math.abs({x} - 25) < 0.5")
    assert page.one("[role=status]").text == "At 0:13."


@pytest.mark.parametrize("key", [Keys.ENTER, Keys.SPACE])
def test_keys_work_on_a_button_as_on_any_other(chrome: Chrome, answers: Path, key: str) -> None:
    page = Page(chrome, answers)
    for _ in range(20):
        page.press(Keys.TAB)
        focused = chrome.switch_to.active_element
        if focused.accessible_name == "Play 0:12 to 0:14":
            break
    assert focused.value_of_css_property("outline-style") == "solid"
    before = page.run("return scrollY")
    page.press(key)
    page.is_played(*SPANS[1])
    assert page.run("return scrollY") == before


def test_space_and_arrows_drive_the_player_where_nothing_has_the_focus(
    chrome: Chrome, answers: Path
) -> None:
    page = Page(chrome, answers)
    page.press(Keys.SPACE)
    page.until("!audio.paused")
    page.press(Keys.SPACE)
    page.until("audio.paused")
    before = page.time
    page.press(Keys.ARROW_RIGHT)
    assert page.time == pytest.approx(before + 5, abs=0.3)
    page.press(Keys.ARROW_LEFT)
    assert page.time == pytest.approx(before, abs=0.3)
    # Not the page's: the browser goes back with it.
    ActionChains(chrome).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT).key_up(
        Keys.SHIFT
    ).perform()
    assert page.time == pytest.approx(before, abs=0.3)


def test_who_moves_the_player_is_not_stopped_at_the_end_of_a_stretch(
    chrome: Chrome, answers: Path
) -> None:
    page = Page(chrome, answers)
    page.all("button.play")[1].click()
    page.until("!audio.paused")
    page.run("audio.currentTime = 13.9 - 5")
    page.until("audio.currentTime > 9.2")
    page.run("audio.currentTime = 13.8")
    page.until("audio.currentTime > 14.5")
    assert not page.run("return audio.paused")


@pytest.mark.parametrize("name", ["answers", "later", "inspected"])
@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_page(
    chrome: Chrome, name: str, width: int, request: pytest.FixtureRequest
) -> None:
    page = Page(chrome, request.getfixturevalue(name), width=width)
    assert page.run("return document.scrollingElement.scrollWidth") <= width
    inside = "[...document.querySelectorAll('#timeline text, button, audio')]"
    shown = f"{inside}.map((one) => one.getBoundingClientRect()).filter((box) => box.width)"
    assert page.run(f"return {shown}.every((box) => box.left >= 0 && box.right <= {width})")
    ticks = page.run(
        "return [...document.querySelectorAll('#timeline .tick')]"
        ".map((one) => one.getBoundingClientRect()).filter((box) => box.width)"
        ".map((box) => [box.left, box.right])"
    )
    assert all(one[1] < next_one[0] for one, next_one in pairwise(ticks))


@pytest.mark.parametrize("name", ["answers", "later", "inspected"])
def test_a_page_asks_for_nothing_and_complains_of_nothing(
    chrome: Chrome, name: str, request: pytest.FixtureRequest
) -> None:
    page = Page(chrome, request.getfixturevalue(name))
    page.all("button.play")[0].click()
    page.until("!audio.paused")
    messages = [json.loads(one["message"])["message"] for one in chrome.get_log("performance")]
    asked = {
        message["params"]["request"]["url"].split(":")[0]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    assert "file" in asked
    assert asked <= {"file", "data"}
    assert chrome.get_log("browser") == []


def test_the_policy_lets_no_script_out(chrome: Chrome, answers: Path) -> None:
    page = Page(chrome, answers)
    refused = page.chrome.execute_async_script(
        "const done = arguments[0];"
        "addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));"
        "fetch('https://example.invalid/').catch(() => {});"
    )
    assert refused == "connect-src"


def test_dark_and_light_are_legible(chrome: Chrome, answers: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page = Page(chrome, answers, scheme=scheme)
        grounds.append(page.run("return getComputedStyle(document.body).backgroundColor"))
        contrasts = page.run(CONTRAST)
        assert len(contrasts) > 10
        # What WCAG asks of texts at level AA.
        assert min(contrasts) >= 4.5
    assert grounds[0] != grounds[1]


def test_a_recording_that_is_heard_from_later_on_has_its_own_times(
    chrome: Chrome, later: Path
) -> None:
    page = Page(chrome, later)
    [button] = page.all("button.play")
    assert button.text.endswith("10:03-10:05")
    button.click()
    page.is_played(3.0, 5.0)
    page.press(Keys.ARROW_LEFT)
    page.until("document.querySelector('[role=status]').textContent === 'At 10:00.'")


def test_the_lines_of_an_inspection_are_played(chrome: Chrome, inspected: Path) -> None:
    page = Page(chrome, inspected)
    page.all(".draft button")[1].click()
    page.until("!audio.paused && sought.length > 0")
    assert page.run("return sought[0]") == pytest.approx(14.8, abs=0.3)
    assert page.one("h2#words").text == "What the CTC head reads"


def test_the_answers_are_there_without_javascript(chrome: Chrome, answers: Path) -> None:
    chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chrome.get(answers.as_uri())
        shown = chrome.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    finally:
        chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    said = [one["name"]["value"] for one in shown if one.get("name", {}).get("value")]
    for text in ("What is it?", "A talk.", "We began with one drill.", "Play 0:12 to 0:14"):
        assert text in said
    assert any(text.startswith("Without JavaScript") for text in said)


def test_the_sound_is_as_long_as_the_talk(chrome: Chrome, answers: Path) -> None:
    page = Page(chrome, answers)
    seconds = sum(map(len, decode(str(TALK)))) / SAMPLE_RATE
    assert page.run("return audio.duration") == pytest.approx(seconds, abs=0.2)
    assert page.run("return audio.seekable.end(0)") == pytest.approx(seconds, abs=0.2)
