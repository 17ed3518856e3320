"""How far the work is, as bars on stderr that leave nothing behind."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO

from fls_cli.console.streams import discard
from fls_cli.console.text import clean

_FRACTION = "{desc} {percentage:3.0f}% |{bar}| "


class Bars:
    """A `Progress`: a bar for the stage that was last reported; above it, for many, one of files.

    Shows nothing when `quiet` or when the stream is no terminal. Stages named "download ..." count
    bytes, "listen ..." seconds of audio, all others whatever they count. Leaving the context
    takes the bars away, as does the end of its stage that of a stage.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = not quiet and self._stream.isatty()
        self._stage = ""
        # A tqdm bar, whose module is loaded only when there is one to show.
        self._bar: Any = None
        self._files: Any = None
        # Stage, time and amount at which the bar that was hidden last had begun.
        self._hidden: tuple[str, float, float] | None = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        """Moves the bar, begins another one for another stage, ends it when all is done."""
        if not self._shown:
            return
        if self._bar is None or stage != self._stage:
            self._end()
            if done == total:
                return
            if self._files is not None:
                self._files.refresh()
            self._bar, self._stage = self._begin(stage, done, total), stage
            if self._hidden is not None and self._hidden[0] == stage:
                _, self._bar.start_t, self._bar.initial = self._hidden
                self._bar.refresh()
        self._bar.total = total
        if stage.startswith("listen"):
            self._bar.set_description_str(_heard(self._bar, stage, done, total), refresh=False)
        self._bar.update(done - self._bar.n)
        if done == total:
            self._end()
            self._hidden = None

    def files(self, done: int, total: int) -> None:
        """Tells how many files are done; a bar if there are several."""
        if not self._shown or total < 2:
            return
        # The next file begins its stages anew.
        self._end()
        self._hidden = None
        if self._files is None:
            self._files = self._begin("files", done, total)
        self._files.update(done - self._files.n)
        self._files.refresh()

    def note(self, text: str) -> None:
        """Prints one line to stderr; bars stay below it."""
        line = " ".join(clean(text).split("\n"))
        bars = [bar for bar in (self._files, self._bar) if bar is not None]
        for bar in bars:
            bar.clear()
        try:
            print(line, file=self._stream, flush=True)
        except OSError:
            # The answer does not wait for a note that nobody can read.
            discard(self._stream)
        for bar in bars:
            bar.refresh()

    def hide(self) -> None:
        """Takes the bars off the screen before something else writes there."""
        self._end()
        if self._files is not None:
            self._files.clear()

    def close(self) -> None:
        """Takes the bars away for good."""
        self.hide()
        if self._files is not None:
            self._files.close()
            self._files = None

    def _end(self) -> None:
        if self._bar is not None:
            self._hidden = (self._stage, self._bar.start_t, self._bar.initial)
            self._bar.close()
            self._bar = None

    def _begin(self, stage: str, done: float, total: float | None) -> Any:
        from tqdm import tqdm

        # The thread that watches for bars that stand still would outlive them.
        tqdm.monitor_interval = 0
        return tqdm(
            desc=stage,
            total=total,
            initial=done,
            file=self._stream,
            leave=False,
            position=0 if self._files is None else 1,
            ncols=_columns(self._stream),
            **_look(stage, total),
        )


def _columns(stream: TextIO) -> int:
    """Columns to fill: all but the last, where what is typed, such as ^C, would break the line."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 1:
        return int(columns) - 1
    try:
        return max(1, os.get_terminal_size(stream.fileno()).columns - 1)
    except (OSError, ValueError):
        return 79


def _look(stage: str, total: float | None) -> dict[str, Any]:
    if stage.startswith("download"):
        if total is None:
            return {"unit": "B", "unit_scale": True, "bar_format": "{desc} {n_fmt} {rate_fmt}"}
        look = "{n_fmt}/{total_fmt} {rate_fmt}, {remaining} left"
        return {"unit": "B", "unit_scale": True, "bar_format": _FRACTION + look}
    if total is None:
        return {"bar_format": "{desc} {n:.0f}" if not stage.startswith("listen") else "{desc}"}
    if stage.startswith("listen"):
        return {"bar_format": _FRACTION + "{remaining} left"}
    return {"bar_format": _FRACTION + "{n:.0f}/{total:.0f}"}


def _heard(bar: Any, stage: str, done: float, total: float | None) -> str:
    of = "" if total is None else f" of {bar.format_interval(total)}"
    return f"{stage} {bar.format_interval(done)}{of}"
