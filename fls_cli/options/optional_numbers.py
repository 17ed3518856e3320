"""Options whose number may be left out: `--evidence`, and `--evidence 5`."""

from collections.abc import Mapping, Sequence
from typing import Any

from fls_cli.console.help_pages import HelpCommand
from fls_cli.session.evidence_files import EVIDENCE

_NUMBERS: Mapping[str, int] = {"--evidence": EVIDENCE}


class WithOptionalNumbers(HelpCommand):
    """A command in which `--evidence` alone is `--evidence 3`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_numbers(args))


def with_numbers(arguments: Sequence[str]) -> list[str]:
    """The arguments with the numbers that were left out.

    >>> with_numbers(["--evidence", "a.mp3", "Who?"])
    ['--evidence', '3', 'a.mp3', 'Who?']
    """
    result: list[str] = []
    for place, argument in enumerate(arguments):
        if argument == "--":
            return [*result, *arguments[place:]]
        result.append(argument)
        follows = arguments[place + 1 : place + 2]
        if argument in _NUMBERS and not (follows and _is_number(follows[0])):
            result.append(str(_NUMBERS[argument]))
    return result


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
