"""`fls chat` as a process, with a tiny model, and a terminal to run it at."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tiny_model import HERE, TinyModel

from fls_cli.session.session import Session


def serve(weights: str, *arguments: str) -> None:
    """Runs `fls ARGUMENTS` with the tiny model, which talks without end of what is `endless`."""
    from fls_cli.app import main
    from fls_models.lslm.mini.language_model import MiniLanguageModel

    def generate(model: object, context: object, request: str, **_: object) -> Iterator[str]:
        if "endless" not in request:
            yield from ("Yes", ", it", " is.")
            return
        while True:
            yield "on and "
            time.sleep(0.05)

    MiniLanguageModel.generate = generate  # type: ignore[assignment,method-assign]
    model = TinyModel(Path(weights))
    Session.model = lambda session, name: model  # type: ignore[assignment,method-assign,return-value]
    sys.argv = ["fls", *arguments]
    main()


def serving(weights: object, *arguments: object) -> list[str]:
    """The command line of a process that runs `fls chat ARGUMENTS`."""
    road = [str(HERE), str(HERE.parent.parent), str(HERE.parent.parent / "models")]
    start = (
        f"import sys; sys.path[:0] = {road!r}; from chat_process import serve; serve(*sys.argv[1:])"
    )
    return [sys.executable, "-c", start, str(weights), "chat", *map(str, arguments)]


class Terminal:
    """A process at a terminal of its own; `stdout` may lead elsewhere."""

    def __init__(self, words: list[str], state: Path, stdout: int | None = None) -> None:
        self._keyboard, screen = pty.openpty()
        self.seen = ""
        environment = {
            **os.environ,
            "XDG_STATE_HOME": str(state),
            "OMP_NUM_THREADS": "1",
            "TERM": "xterm",
            # Nobody is here to tell where the cursor stands.
            "PROMPT_TOOLKIT_NO_CPR": "1",
        }
        self.process = subprocess.Popen(
            words,
            stdin=screen,
            stdout=screen if stdout is None else stdout,
            stderr=screen,
            env=environment,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        os.close(screen)

    def type(self, text: str) -> None:
        os.write(self._keyboard, text.encode())

    def until(self, pattern: str, seconds: float = 60) -> str:
        """What appears until it matches, that included."""
        begun = time.monotonic()
        while not (found := re.search(pattern, self.seen)):
            left = begun + seconds - time.monotonic()
            ready, _, _ = select.select([self._keyboard], [], [], max(0.0, left))
            assert ready, f"no {pattern!r} in {self.seen!r}"
            try:
                self.seen += os.read(self._keyboard, 4096).decode(errors="replace")
            except OSError:
                raise AssertionError(f"it left; no {pattern!r} in {self.seen!r}") from None
        shown, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return shown

    def left_with(self) -> int:
        """The exit code; what is still written is read, or the process might wait for that."""
        while self.process.poll() is None:
            if select.select([self._keyboard], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self._keyboard, 4096).decode(errors="replace")
                except OSError:
                    break
        return self.process.wait(30)


def _own_terminal() -> None:
    import fcntl
    import termios

    signal.signal(signal.SIGINT, signal.default_int_handler)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
