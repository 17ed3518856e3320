"""What the user says of speakers: how many there are, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fls_cli.console.text import clean
from fls_cli.console.times import parse_time
from fls_models.errors import UsageError

MOST = 50

_COUNT = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?")
_LABEL = re.compile(r"[Ss]([0-9]{1,3})")


@dataclass(frozen=True)
class SpeakerWish:
    """How many speakers there are, and what some of them are called.

    `names` are pairs: S1, S2 ... or a time in seconds at which somebody speaks, and a name.
    """

    fewest: int = 1
    most: int | None = None
    names: tuple[tuple[str | float, str], ...] = ()

    @classmethod
    def parse(cls, count: str | None, names: Sequence[str] = ()) -> SpeakerWish | None:
        """What was typed; None if speakers are not asked for. Raises UsageError."""
        pairs = tuple(_name(text) for text in names)
        if count is None:
            return cls(names=pairs) if pairs else None
        if count.strip().lower() == "auto":
            return cls(names=pairs)
        found = _COUNT.fullmatch(count.strip())
        if found is not None:
            fewest = int(found[1])
            most = int(found[2] or fewest)
            if 1 <= fewest <= most <= MOST:
                return cls(fewest, most, pairs)
        raise UsageError(
            f"--speakers takes auto, a number or a range like 2-4, at most {MOST}, not {count!r}."
        )


def _name(text: str) -> tuple[str | float, str]:
    key, sign, name = text.partition("=")
    key, name = key.strip(), " ".join(clean(name).split())
    if sign and name:
        if found := _LABEL.fullmatch(key):
            return f"S{int(found[1])}", name
        try:
            return parse_time(key), name
        except UsageError:
            pass
    raise UsageError(f"--speaker-name takes S1=Anna or 0:12=Anna, not {text!r}.")
