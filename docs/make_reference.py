"""Writes docs/reference/: every command and option, every setting, every model.

    .venv/bin/python docs/make_reference.py

Nothing there is written by hand: the texts are the commands' own help, the numbers those of the
model cards. `tests/test_reference.py` fails where the files are not what this makes.
"""

from __future__ import annotations

import enum
import inspect
import sys
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"

sys.path[:0] = [str(ROOT), str(ROOT / "models")]

import typer.main  # noqa: E402

from fls_cli.app import app  # noqa: E402
from fls_cli.console.streams import READER_GONE  # noqa: E402
from fls_cli.storage import settings  # noqa: E402
from fls_models.core import budget  # noqa: E402
from fls_models.core.constants import WINDOW_FRAMES, WINDOW_SECONDS  # noqa: E402
from fls_models.errors import EnvironmentLacks, FlsError, UsageError  # noqa: E402
from fls_models.weights import card  # noqa: E402
from fls_models.weights.card import Card, FrameCard, TextCard  # noqa: E402

MADE = "<!-- Made by docs/make_reference.py; do not edit. -->"
_NAMES = {str: "TEXT", int: "NUMBER", float: "NUMBER", Path: "PATH"}


def reference() -> dict[str, str]:
    """The files of the reference, by name."""
    pages = {"commands.md": _commands(), "models.md": _models(), "settings.md": _settings()}
    return {name: "\n".join([MADE, "", *lines]) + "\n" for name, lines in pages.items()}


def _commands() -> Iterator[str]:
    group = typer.main.get_command(app)
    yield "# Commands"
    yield ""
    yield "`fls COMMAND --help` says the same at a terminal. `-h` is `--help`, and"
    yield "`fls --install-completion` makes the shell complete commands, models and budgets."
    yield ""
    for path, _ in _walk(group, ("fls",)):
        name = " ".join(path)
        yield f"* [`{name}`](#{name.replace(' ', '-')})"
    yield ""
    yield "## Exit codes"
    yield ""
    yield from _table(
        ("code", "meaning"),
        [
            ("0", "all done"),
            (str(FlsError.exit_code), "some inputs failed; stderr names each with its reason"),
            (str(UsageError.exit_code), "wrong usage"),
            (
                str(EnvironmentLacks.exit_code),
                "the machine lacks something; the message says what provides it",
            ),
            ("129", "ended, by SIGHUP"),
            ("130", "interrupted, by Ctrl-C"),
            (str(READER_GONE), "nobody reads stdout any more, as SIGPIPE would have it"),
            ("143", "ended, by SIGTERM"),
        ],
    )
    for path, command in _walk(group, ("fls",)):
        yield ""
        yield f"## {' '.join(path)}"
        yield ""
        yield from _command(path, command)


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group with the words that call it; groups come before what is in them."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from _walk(inner, (*path, name))


def _command(path: tuple[str, ...], command: Any) -> Iterator[str]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name != "argument"]
    kinds = typing.get_type_hints(inspect.unwrap(command.callback)) if command.callback else {}
    after = ["COMMAND"] if hasattr(command, "commands") else [_value(a, kinds) for a in arguments]
    yield "```text"
    yield " ".join([*path, *(["[OPTIONS]"] if options else []), *after])
    yield "```"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield ""
        label, colon, example = paragraph.partition("Example: ")
        yield f"Example: `{example}`" if colon and not label else " ".join(paragraph.split())
    if told := [(f"`{_value(one, kinds)}`", one.help or "") for one in arguments]:
        yield ""
        yield from _table(("argument", "what it is"), told)
    # Not those of typer's own, whose texts change with its versions.
    ours = [one for one in options if one.name in kinds and not one.hidden]
    if shown := [_option(one, kinds) for one in ours]:
        yield ""
        yield from _table(("option", "value", "default", "variable", "what it does"), shown)


def _option(option: Any, kinds: dict[str, Any]) -> tuple[str, ...]:
    spelling = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f"`{_value(option, kinds)}`"
    variable = f"`{option.envvar}`" if option.envvar else ""
    return spelling, value, _default(option), variable, option.help or ""


def _value(parameter: Any, kinds: dict[str, Any]) -> str:
    """What stands for the value: the metavar, else the choices, else the type."""
    if parameter.metavar:
        return str(parameter.metavar)
    kind = kinds.get(parameter.name)
    inner = [one for one in typing.get_args(kind) if one is not NoneType]
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(map(str, inner))
    if inner:
        kind = inner[0]
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return "|".join(str(one.value) for one in kind)
    return _NAMES.get(kind, parameter.name.upper()) if inspect.isclass(kind) else "TEXT"


def _default(option: Any) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    value = option.default
    if option.required:
        return "required"
    if value is None or value == () or value == [] or (value is False and option.is_flag):
        return ""
    if value is True and option.is_flag:
        return f"`{option.opts[0]}`"
    if callable(value):
        return ""
    if isinstance(value, enum.Enum):
        value = value.value
    return f"`{', '.join(map(str, value)) if isinstance(value, list | tuple) else value}`"


def _settings() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield "What each is for, and how it is set: [the guide](../guides/settings.md)."
    yield ""
    yield from _table(
        ("setting", "variable", "default", "takes", "what it does"),
        [
            (
                f"`{one.name}`",
                f"`{one.variable}`",
                f"`{str(one.default).lower() if isinstance(one.default, bool) else one.default}`",
                one.takes,
                one.what,
            )
            for one in settings.SETTINGS
        ],
    )


def _models() -> Iterator[str]:
    cards = [card.load(name) for name in card.names()]
    yield "# Models"
    yield ""
    yield "`fls models list` says which are installed, `fls models show NAME` has the hashes, too."
    yield "Memory is that of the machine, or of the GPU for models that run on CUDA."
    yield ""
    yield from _table(
        ("model", "runs on", "download", "memory", "licences"),
        [
            (f"[`{c.name}`](#{c.name.replace('.', '')})", c.runs_on, *_sizes(c), _licences(c))
            for c in cards
        ],
    )
    for found in cards:
        yield ""
        yield f"## {found.name}"
        yield ""
        yield found.summary
        yield ""
        yield found.limits
        yield ""
        yield from _table(("", ""), _rows(found))


def _sizes(found: Card) -> tuple[str, str]:
    memory = f"{found.memory_gb:g} GB"
    if isinstance(found, FrameCard):
        return f"{found.download_gb:g} GB", memory
    assert isinstance(found, TextCard)
    return f"{sum(part.bytes for part in found.parts) / 1e6:.0f} MB", memory


def _licences(found: Card) -> str:
    if isinstance(found, FrameCard):
        return found.licence
    assert isinstance(found, TextCard)
    return ", ".join(dict.fromkeys(part.licence for part in found.parts))


def _rows(found: Card) -> Iterator[tuple[str, str]]:
    yield "one pass reads", f"at most {found.max_frames} frames, or tokens of a transcript"
    if isinstance(found, FrameCard):
        yield "origin", found.origin
        yield "licence", found.licence
        yield "on the hub", f"`{found.repo}`{', with its LoRA' if found.adapter else ''}"
        sizes = ", ".join(f"`{dtype}` {size:g} GB" for dtype, size in found.weights_gb.items())
        yield "weights in memory", f"{sizes}; `--low-memory` saves {found.low_memory_gb:g} GB"
        yield "window", f"{found.window} positions"
        yield from _budgets(found.budgets)
        return
    assert isinstance(found, TextCard)
    for role, part in (("hears", found.speech), ("reads and answers", found.llm)):
        yield role, f"{part.what}, {part.bytes / 1e6:.0f} MB, {part.licence}, {part.origin}"
    if found.preference is not None:
        yield "`auto` takes it", found.preference.rule
    if found.frames is not None:
        yield from _budgets(found.frames.budgets)
        for name, (frames, text) in found.frames.accuracy.items():
            yield f"right choices, `{name}`", f"frames {frames:.1%}, transcript {text:.1%}"


def _budgets(rates: budget.FrameRates) -> Iterator[tuple[str, str]]:
    of = f"of {WINDOW_FRAMES} in {WINDOW_SECONDS} s"
    for what, by_name in (("to ask", rates.ask), ("to transcribe", rates.transcribe)):
        numbers = ", ".join(f"`{name}` {by_name[name]}" for name in budget.NAMES)
        yield f"frames {what}, {of}", f"{numbers}: {rates.source}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        # A bar ends a cell, in code, too.
        cells = (" ".join(cell.split()).replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in reference().items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
