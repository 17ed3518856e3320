"""How far the work is, as a bar on stderr that leaves nothing behind."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, TextIO

from fls_cli.output import clean

_FRACTION = "{desc} {percentage:3.0f}% |{bar}| "


class Bars:
    """A `Progress`: one bar, that of the stage that was last reported.

    Shows nothing when `quiet` or when the stream is no terminal. Stages named "download ..." count
    bytes, "listen ..." seconds of audio, all others whatever they count. Leaving the context
    takes the bar away, as does the end of its stage.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = not quiet and self._stream.isatty()
        self._stage = ""
        # A tqdm bar, whose module is loaded only when there is one to show.
        self._bar: Any = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hide()

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        """Moves the bar, begins another one for another stage, ends it when all is done."""
        if not self._shown:
            return
        if self._bar is None or stage != self._stage:
            self.hide()
            if done == total:
                return
            self._bar, self._stage = self._begin(stage, done, total), stage
        self._bar.total = total
        if stage.startswith("listen"):
            self._bar.set_description_str(_heard(self._bar, stage, done, total), refresh=False)
        self._bar.update(done - self._bar.n)
        if done == total:
            self.hide()

    def note(self, text: str) -> None:
        """Prints one line to stderr; a bar stays below it."""
        line = " ".join(clean(text).split("\n"))
        if self._bar is None:
            print(line, file=self._stream, flush=True)
        else:
            self._bar.clear()
            print(line, file=self._stream, flush=True)
            self._bar.refresh()

    def hide(self) -> None:
        """Takes the bar off the screen before something else writes there."""
        if self._bar is not None:
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
            dynamic_ncols=True,
            **_look(stage, total),
        )


def _look(stage: str, total: float | None) -> dict[str, Any]:
    if stage.startswith("download"):
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
