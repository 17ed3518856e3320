"""Bars on a terminal that is a string."""

from __future__ import annotations

import io

import pytest

from fls_cli.progress import Bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(text: str) -> list[str]:
    """What each write to a line of the terminal left there, blank ones left out."""
    return [line.strip() for line in text.replace("\n", "\r").split("\r") if line.strip()]


def test_a_download_counts_bytes_and_disappears() -> None:
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars("download whisper-base", 25e6, 100e6)
        bars("download whisper-base", 100e6, 100e6)
        assert "\n" not in terminal.getvalue()
    first = shown(terminal.getvalue())[0]
    assert first.startswith("download whisper-base  25% |")
    assert "25.0M/100M" in first
    assert terminal.getvalue().rstrip(" ").endswith("\r")


def test_listening_counts_time() -> None:
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars("listen", 0, 5400)
        bars("listen", 750, 5400)
        bars.note("note")
    assert any(
        line.startswith("listen 12:30 of 1:30:00  14% |") for line in shown(terminal.getvalue())
    )


def test_one_bar_at_a_time_and_totals_may_be_unknown() -> None:
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars("listen", 10, None)
        bars("answer", 3, None)
        bars("answer", 2, 9)
    written = terminal.getvalue()
    assert shown(written)[0].startswith("listen")
    assert shown(written)[-1].startswith("answer")
    assert "\n" not in written


def test_notes_stand_above_the_bar_on_lines_of_their_own() -> None:
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars.note("before")
        bars("convert", 1, 9)
        bars.note("be\x1b[2Jtween\nlines")
        bars("convert", 2, 9)
    lines = [line.split("\r")[-1] for line in terminal.getvalue().split("\n")]
    assert lines[:2] == ["before", "be[2Jtween lines"]
    assert "\x1b[2J" not in terminal.getvalue()
    assert shown(terminal.getvalue())[-1].startswith("convert")


def test_an_exception_takes_the_bar_away() -> None:
    terminal = Terminal()

    def interrupted() -> None:
        with Bars(stream=terminal) as bars:
            bars("answer", 1, 9)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.getvalue().rstrip(" ").endswith("\r")


@pytest.mark.parametrize(("stream", "quiet"), [(Terminal(), True), (io.StringIO(), False)])
def test_nothing_but_notes_when_quiet_or_piped(stream: io.StringIO, quiet: bool) -> None:
    with Bars(quiet=quiet, stream=stream) as bars:
        bars("answer", 1, 9)
        bars.note("Downloading mini: 642 MB, once.")
        bars("answer", 9, 9)
    assert stream.getvalue() == "Downloading mini: 642 MB, once.\n"


def test_a_finished_stage_may_begin_again() -> None:
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars("listen", 9, 9)
        assert terminal.getvalue() == ""
        bars("listen", 1, 9)
        assert shown(terminal.getvalue())[-1].startswith("listen")
