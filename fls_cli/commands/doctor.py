"""`fls doctor`: whether this machine has what `fls` needs, and what to do where it has not.

Every check stands alone: what breaks one is told in its line, and the others still speak.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.console.text import printable
from fls_models.errors import EnvironmentLacks, FlsError

if TYPE_CHECKING:
    from fls_cli.machine.doctor import State, Verdict

_MARKS = {"ok": "ok", "optional": "--", "problem": "!!"}


@dataclass(frozen=True)
class Finding:
    """One line."""

    check: str
    state: State
    text: str


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON array with an object a check.")
    ] = False,
) -> None:
    """Check that everything is there.

    Each line begins with ok, -- for what is not needed, or !! for a problem. The exit
    code is 3 when there is a problem. Nothing is downloaded.

    Example: fls doctor
    """
    from fls_cli.machine.doctor import checks

    found = [_found(name, check) for name, check in checks()]
    if as_json:
        rows = [asdict(finding) for finding in found]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        width = max(len(finding.check) for finding in found)
        for finding in found:
            mark, text = _MARKS[finding.state], printable(finding.text)
            typer.echo(f"{mark}  {finding.check:<{width}}  {text}")
    if any(finding.state == "problem" for finding in found):
        raise typer.Exit(EnvironmentLacks.exit_code)


def _found(name: str, check: Callable[[], Verdict]) -> Finding:
    try:
        return Finding(name, *check())
    except FlsError as error:
        return Finding(name, "problem", str(error))
    # Whatever is broken here must not hide what the other checks find.
    except Exception as error:
        from fls_cli.machine.doctor import reason

        return Finding(name, "problem", f"this check failed ({reason(error)})")
