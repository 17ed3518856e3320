"""What `--help` prints: plain pages that read the same at any width, in a terminal or in a pipe.

Typer's own tables have a column each for long names, short names and types, which at 80 characters
leaves twenty for the help. Here an option stands as it is typed, `-b, --budget BUDGET`: a flag
alone, any other with the word that its author chose, never with a type of Python's. Options and
commands are grouped by their `rich_help_panel`, as Typer groups them.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from textwrap import wrap
from typing import Any, ClassVar, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandFunctionType

from fls_models.errors import UsageError

Row: TypeAlias = tuple[str, str]
"""What is typed, and what it does."""

# Lines longer than this are hard to read, however wide the terminal is.
_WIDEST = 100
_HELP = ("-h", "--help")
# What is typed gets at most so much of a line; longer, it stands on a line of its own.
_COLUMN = 24
# As wide as `-b, `: long names stand below each other, with and without a short one.
_NO_SHORT = " " * 4
# A space at which no line ends, and the length below which a default stays beside its name.
_TIED, _SHORT = "\xa0", 20


class HelpCommand(TyperCommand):
    """A command whose help is a page of this module."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # Of a file's name that begins with a dash, each letter would be taken for an option.
        names = args[: args.index("--")] if "--" in args else args
        known = {name for option in self.params for name in (*option.opts, *option.secondary_opts)}
        for name in names:
            if name[:1] == "-" and name not in known and os.path.isfile(name):
                raise UsageError(f"{name} would be options; name that file ./{name}")
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        arguments = [param for param in self.get_params(ctx) if not _is_option(param)]
        return [self.options_metavar or "", *map(_name_value, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write(formatter, _group(self.get_params(ctx), ctx))


class HelpGroup(TyperGroup):
    """A group of commands whose help is a page of this module."""

    # What somebody who is new types first.
    start: ClassVar[Sequence[Row]] = ()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if self.no_args_is_help and not args and not ctx.resilient_parsing:
            # To stdout, as `--help`: else it could not be paged. It is wrong usage all the same.
            typer.echo(ctx.get_help())
            ctx.exit(UsageError.exit_code)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[Row]] = {"Start here": list(self.start)} if self.start else {}
        for name, command in self.commands.items():
            if not command.hidden:
                panel = getattr(command, "rich_help_panel", None) or "Commands"
                panels.setdefault(panel, []).append((name, _shorten(command)))
        _write(formatter, {**panels, **_group(self.get_params(ctx), ctx)})


class CommandLine(typer.Typer):
    """A Typer app all of whose commands, and which itself, have these pages."""

    def __init__(self, *, cls: type[HelpGroup] = HelpGroup, **settings: Any) -> None:
        super().__init__(
            cls=cls,
            no_args_is_help=True,
            # Plain pages, and wrong usage in plain words.
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": [*_HELP], "max_content_width": _WIDEST},
            **settings,
        )

    def command(  # type: ignore[override]
        self, name: str | None = None, *, cls: type[HelpCommand] = HelpCommand, **settings: Any
    ) -> Callable[[CommandFunctionType], CommandFunctionType]:
        return super().command(name, cls=cls, **settings)


def is_asked_for(arguments: Iterable[str]) -> bool:
    """Whether help is among what was typed."""
    return not set(_HELP).isdisjoint(arguments)


def _group(params: Iterable[Any], ctx: Any) -> dict[str, list[Row]]:
    """The rows of arguments and options, by panel; options of no panel come before the others."""
    panels: dict[str, list[Row]] = {"Arguments": [], "Options": []}
    for param in params:
        if getattr(param, "hidden", False):
            continue
        usual = "Options" if _is_option(param) else "Arguments"
        panel = getattr(param, "rich_help_panel", None) or usual
        panels.setdefault(panel, []).append((_spell(param), _explain(param, ctx)))
    return {panel: rows for panel, rows in panels.items() if rows}


def _is_option(param: Any) -> bool:
    return bool(param.param_type_name == "option")


def _is_flag(param: Any) -> bool:
    return bool(getattr(param, "is_flag", False) or getattr(param, "count", False))


def _name_value(param: Any) -> str:
    """What stands for a value."""
    return str(param.metavar or param.name.upper())


def _spell(param: Any) -> str:
    if not _is_option(param):
        return _name_value(param)
    names = ", ".join(sorted(param.opts, key=len))
    if names.startswith("--"):
        names = _NO_SHORT + names
    if _is_flag(param):
        return "/".join([names, *param.secondary_opts])
    return f"{names} {_name_value(param)}"


def _explain(param: Any, ctx: Any) -> str:
    # Of arguments the usage line tells.
    facts = ["required"] if param.required and _is_option(param) else []
    if default := _spell_default(param, ctx):
        facts.append(f"default:{_TIED if len(default) < _SHORT else ' '}{default}")
    if isinstance(variable := getattr(param, "envvar", None), str) and param.show_envvar:
        facts.append(f"env:{_TIED}{variable}")
    return " ".join([param.help or "", f"[{'; '.join(facts)}]" if facts else ""]).strip()


def _spell_default(param: Any, ctx: Any) -> str:
    """The default as it would be typed; nothing for a flag that is off unless it is typed."""
    if not param.show_default or isinstance(param.show_default, str):
        return param.show_default or ""
    value = param.get_default(ctx, call=False)
    if _is_flag(param):
        return str(param.opts[0]) if value and param.secondary_opts else ""
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


def _shorten(command: Any) -> str:
    text = " ".join((command.short_help or command.help or "").split("\n\n")[0].split())
    sentence, stop, _ = text.partition(". ")
    return sentence + stop.strip()


def _write(formatter: Any, panels: dict[str, list[Row]]) -> None:
    """Panels whose second columns stand below each other."""
    widths = [len(typed) for rows in panels.values() for typed, _ in rows]
    limit = min(_COLUMN, formatter.width // 3)
    column = max((width for width in widths if width <= limit), default=limit)
    for panel, rows in panels.items():
        with formatter.section(panel):
            for typed, text in rows:
                _write_row(formatter, typed, text, column)


def _write_row(formatter: Any, typed: str, text: str, column: int) -> None:
    indent = " " * (formatter.current_indent + column + 2)
    # Names of options stay whole: the formatter's own lists break lines at hyphens.
    lines = wrap(text, max(formatter.width - len(indent), 20), break_on_hyphens=False)
    lines = [line.replace(_TIED, " ") for line in lines]
    start = " " * formatter.current_indent + typed
    if lines and len(typed) <= column:
        start = start.ljust(len(indent)) + lines.pop(0)
    formatter.write("".join(f"{line}\n" for line in [start, *(indent + line for line in lines)]))
