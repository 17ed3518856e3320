"""Bars on a terminal that is a string."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from fls_cli.console import progress
from fls_cli.console.progress import Bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(text: str) -> list[str]:
    """What each write to a line of the terminal left there, blank ones left out."""
    return [line.strip() for line in text.replace("\n", "\r").split("\r") if line.strip()]


def screens(text: str) -> list[list[str]]:
    """What a terminal shows after each thing written to it, line by line."""
    rows: dict[int, str] = {0: ""}
    row = column = 0
    found: list[list[str]] = []
    for part in re.findall(r"\x1b\[A|[\r\n]|[^\x1b\r\n]+", text):
        if part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, 0
        elif part == "\x1b[A":
            row -= 1
        else:
            line = rows.get(row, "").ljust(column)
            rows[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
        found.append([rows.get(at, "").rstrip() for at in range(max(rows) + 1)])
    assert row >= 0
    return found


def left(text: str) -> list[str]:
    """What is on the terminal in the end, blank lines left out."""
    return [line for line in screens(text)[-1] if line]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The time that bars go by, in `now`."""
    import tqdm.std

    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(tqdm.std, "time", lambda: clock.now)
    return clock


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


def test_files_stand_above_the_stages_of_the_file_at_work() -> None:
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars.files(0, 3)
        bars("listen", 1, 9)
        now = left(terminal.getvalue())
        assert [line.split()[0] for line in now] == ["files", "listen"]
        assert "| 0/3" in now[0]
        bars("listen", 9, 9)
        # What lasts without a stage lasts below the bar of files.
        assert [line.split()[0] for line in left(terminal.getvalue())] == ["files"]
        bars("answer", 1, 2)
        bars.files(1, 3)
        assert ["| 1/3" in line for line in left(terminal.getvalue())] == [True]
        bars.files(3, 3)
        assert "| 3/3" in left(terminal.getvalue())[0]
    assert left(terminal.getvalue()) == []


def test_one_file_has_no_bar_of_files() -> None:
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars.files(0, 1)
        assert terminal.getvalue() == ""
        bars("listen", 1, 9)
        assert len(left(terminal.getvalue())) == 1
        bars.files(1, 1)


def test_notes_and_results_stand_above_both_bars() -> None:
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars.files(0, 3)
        bars("listen", 1, 9)
        bars.note("a note")
        assert [line.split()[0] for line in left(terminal.getvalue())] == ["a", "files", "listen"]
        bars.hide()
        assert left(terminal.getvalue()) == ["a note"]
        terminal.write("a result\n")
        bars("listen", 2, 9)
        now = left(terminal.getvalue())
        assert now[:2] == ["a note", "a result"]
        assert [line.split()[0] for line in now[2:]] == ["files", "listen"]
    assert left(terminal.getvalue()) == ["a note", "a result"]


def test_the_end_of_a_stage_overwrites_nothing_that_was_shown() -> None:
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars.files(0, 3)
        bars("answer", 1, 2)
        bars.hide()
        # An answer that somebody watches, not yet at the end of its line.
        terminal.write("Copper Bay")
        bars("answer", 2, 2)
        terminal.write(" planted trees.\n")
        bars.files(1, 3)
    assert left(terminal.getvalue()) == ["Copper Bay planted trees."]


@pytest.mark.parametrize("columns", [24, 40, 133])
def test_bars_fill_the_terminal_but_for_its_last_column(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars.files(0, 12)
        bars("listen", 3725, 7200)
        bars("download whisper-base", 25e6, 100e6)
        bars("answer", 3, None)
        bars.files(7, 12)
    widths = [len(line) for screen in screens(terminal.getvalue()) for line in screen]
    assert max(widths) == columns - 1


def test_a_terminal_that_does_not_tell_its_width_has_80_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for told in ("", "0", "wide", "-3", "1"):
        monkeypatch.setenv("COLUMNS", told)
        assert progress._columns(Terminal()) == 79


def test_a_terminal_that_tells_its_width_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(Terminal, "fileno", lambda terminal: 2)
    monkeypatch.setattr("os.get_terminal_size", lambda stream: os.terminal_size((50, 20)))
    assert progress._columns(Terminal()) == 49


def test_the_time_left_survives_being_hidden(clock: SimpleNamespace) -> None:
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars("listen", 0, 600)
        clock.now += 10
        bars("listen", 100, 600)
        assert left(terminal.getvalue())[-1].endswith("00:50 left")
        bars.hide()
        terminal.write("One sentence.\n")
        bars("listen", 100, 600)
        assert left(terminal.getvalue())[-1].endswith("00:50 left")
        clock.now += 10
        bars("listen", 200, 600)
        assert left(terminal.getvalue())[-1].endswith("00:40 left")


def test_the_next_file_takes_no_time_over_from_one_that_failed(clock: SimpleNamespace) -> None:
    terminal = Terminal()
    with Bars(stream=terminal) as bars:
        bars.files(0, 2)
        bars("listen", 0, 600)
        clock.now += 500
        bars("listen", 5, 600)
        bars.files(1, 2)
        bars("listen", 0, 600)
        clock.now += 10
        bars("listen", 100, 600)
        assert left(terminal.getvalue())[-1].endswith("00:50 left")
