"""`fls doctor`: whether this machine has what `fls` needs, and what to do where it has not.

Every check stands alone: what breaks one is told in its line, and the others still speak.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.console.text import printable
from fls_models.errors import EnvironmentLacks, FlsError

if TYPE_CHECKING:
    from fls_cli.machine.doctor import Verdict

_MARKS = {"ok": "ok", "optional": "--", "problem": "!!"}


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

    findings = [(name, *_verdict(check)) for name, check in checks()]
    if as_json:
        rows = [dict(zip(("check", "state", "text"), finding, strict=True)) for finding in findings]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        width = max(len(name) for name, _, _ in findings)
        for name, state, text in findings:
            typer.echo(f"{_MARKS[state]}  {name:<{width}}  {printable(text)}")
    if any(state == "problem" for _, state, _ in findings):
        raise typer.Exit(EnvironmentLacks.exit_code)


def _verdict(check: Callable[[], Verdict]) -> Verdict:
    try:
        return check()
    except FlsError as error:
        return "problem", str(error)
    # Whatever is broken here must not hide what the other checks find.
    except Exception as error:
        from fls_cli.machine.doctor import reason

        return "problem", f"this check failed ({reason(error)})"
