"""Where results cannot be written: that is said in a sentence, before anything is heard."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from media_files import tone, write_wav
from permissions import ordinary
from tiny_model import SAID, TinyModel, play

Capture = pytest.CaptureFixture[str]

WHAT = "What stands along the streets?"


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder that may not be written to, with a file that may not be either."""
    folder = tmp_path / "closed"
    folder.mkdir()
    for name in ("page.html", "page.txt", "page.png", "page.md"):
        (folder / name).touch(mode=0o444)
    folder.chmod(0o555)
    return folder


@pytest.mark.parametrize(
    "options",
    [
        ["ask", "-q", WHAT, "-o", "{0}/new.txt"],
        ["ask", "-q", WHAT, "-o", "{0}/page.txt"],
        ["ask", "-q", WHAT, "-o", "{0}/"],
        ["ask", "-q", WHAT, "-o", "{0}/below/"],
        ["ask", "-q", WHAT, "--clips", "{0}"],
        ["ask", "-q", WHAT, "--clips", "{0}/below"],
        ["ask", "-q", WHAT, "--report", "{0}/page.html"],
        ["ask", "-q", WHAT, "--report", "{0}/new.html"],
        ["ask", "-q", WHAT, "--report", "{0}/"],
        ["ask", "-q", WHAT, "--report", "{0}/below/"],
        ["transcribe", "-o", "{0}/page.txt"],
        ["summarize", "-o", "{0}/new.txt"],
        ["inspect", "-o", "{0}/page.png"],
        ["inspect", "-o", "{0}/new.html"],
        ["bench", "asr", "-o", "{0}/page.md"],
        ["bench", "longspeech-eval", "--no-plots", "-o", "{0}/below"],
        ["train", "ctc", "--model", "mini", "-o", "{0}/below"],
        ["train", "data", "-o", "{0}/below"],
    ],
    ids=lambda options: "-".join(options).replace("/", "."),
)
def test_it_is_said_before_the_work(
    tiny: TinyModel, talk: Path, closed: Path, options: list[str], capfd: Capture
) -> None:
    with ordinary():
        played = play(capfd, *(text.format(closed) for text in options), str(talk))
    assert (played.code, played.out) == (2, "")
    [line] = played.err.splitlines()
    assert str(closed) in line
    assert "Permission denied" in line or "write-protected" in line
    assert tiny.transcriber.asked == []
    assert len(list(closed.iterdir())) == 4


def test_one_result_of_many_that_may_not_be_written_over(
    tiny: TinyModel, tmp_path: Path, capfd: Capture
) -> None:
    talks, notes = tmp_path / "talks", tmp_path / "notes"
    talks.mkdir()
    for name in ("a", "b"):
        write_wav(talks / f"{name}.wav", tone(440, 4))
    given = ("transcribe", str(talks), "-o", f"{notes}/")
    assert play(capfd, *given).code == 0
    (notes / "a.txt").chmod(0o444)
    (notes / "b.txt").chmod(0o600)
    tiny.transcriber.said = SAID[:1]
    with ordinary():
        played = play(capfd, *given, "--force")
    assert played.code == 1
    assert "a.txt is write-protected" in played.err
    assert (notes / "a.txt").read_text().splitlines() == list(SAID)
    assert (notes / "b.txt").read_text().splitlines() == list(SAID[:1])
    assert stat.S_IMODE((notes / "b.txt").stat().st_mode) == 0o600
    assert len(tiny.transcriber.asked) == 3


def test_one_page_of_many_that_may_not_be_written_over(
    tiny: TinyModel, tmp_path: Path, capfd: Capture
) -> None:
    talks = [str(write_wav(tmp_path / f"{name}.wav", tone(440, 4))) for name in ("a", "b")]
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "a.html").touch(mode=0o444)
    with ordinary():
        played = play(capfd, "ask", *talks, "-q", WHAT, "--report", f"{pages}/")
    assert played.code == 1
    assert "a.html is write-protected" in played.err
    assert (pages / "b.html").stat().st_size > 0
    assert len(tiny.transcriber.asked) == 1
