"""What can be typed in a conversation besides questions: names, what they take, what they do."""

import glob
import os
from dataclasses import dataclass

from fls_models.core.budget import NAMES, Budget
from fls_models.errors import UsageError


@dataclass(frozen=True)
class SlashCommand:
    """`takes` is how its argument is written in the help; empty if there is none."""

    name: str
    takes: str
    does: str


COMMANDS = (
    SlashCommand("/help", "", "show this"),
    SlashCommand("/budget", "NAME|N", "show or set the budget"),
    SlashCommand("/save", "FILE", "save this as Markdown"),
    SlashCommand("/sources", "", "name the recordings"),
    SlashCommand("/forget", "", "forget what was said"),
    SlashCommand("/quit", "", "leave, as Ctrl-D does"),
)


def help_lines() -> list[str]:
    """A line for each command."""
    usage = [f"{command.name} {command.takes}".strip() for command in COMMANDS]
    width = max(map(len, usage))
    return [f"{how:<{width}}  {command.does}" for how, command in zip(usage, COMMANDS, strict=True)]


def split(line: str) -> tuple[str, str]:
    """The name of the command that a line is, and its argument.

    Raises UsageError when there is no such command, or it takes nothing and something is given.
    """
    name, _, argument = line.partition(" ")
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is None:
        raise UsageError(f"There is no command {name}; /help shows the ones there are.")
    if argument.strip() and not command.takes:
        raise UsageError(f"{name} takes nothing after it.")
    return name, argument.strip()


def budget_of(text: str) -> Budget:
    """A budget by name or as a number of tokens or frames.

    Raises UsageError when it is neither.
    """
    if text in NAMES:
        return Budget(text)
    if text.isdecimal() and int(text) > 0:
        return Budget(target_length=int(text))
    raise UsageError(f"/budget takes {', '.join(NAMES)} or a number of tokens or frames from 1 up.")


def completions(typed: str) -> list[str]:
    """The lines that a line which begins a command may become."""
    name, space, argument = typed.partition(" ")
    if not space:
        return [
            f"{command.name} " if command.takes else command.name
            for command in COMMANDS
            if typed and command.name.startswith(typed)
        ]
    if name == "/budget":
        return [f"{name} {budget}" for budget in NAMES if budget.startswith(argument)]
    if name == "/save":
        return [f"{name} {path}" for path in _paths(argument)]
    return []


def _paths(prefix: str) -> list[str]:
    """Folders and Markdown files whose names begin so, the folders with a slash."""
    home, full = os.path.expanduser("~"), os.path.expanduser(prefix)
    paths = []
    for path in sorted(glob.glob(f"{glob.escape(full)}*")):
        name = path.replace(home, "~", 1) if prefix.startswith("~") else path
        if os.path.isdir(path):
            paths.append(f"{name}/")
        elif path.endswith(".md"):
            paths.append(name)
    return paths
