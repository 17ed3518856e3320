"""What the user says of speakers: how many there are, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fls_cli.console.times import parse_time
from fls_cli.storage.voices import LABEL, KnownVoices, speaker_name
from fls_models.core.timestamps import clock_time
from fls_models.errors import UsageError

MOST = 50

_COUNT = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?")


@dataclass(frozen=True)
class SpeakerWish:
    """How many speakers there are, and what some of them are called.

    `names` are pairs: S1, S2 ... or a time in seconds at which somebody speaks, and a name;
    `known` are voices that have a name.
    """

    fewest: int = 1
    most: int | None = None
    names: tuple[tuple[str | float, str], ...] = ()
    known: KnownVoices = field(default_factory=KnownVoices)

    @classmethod
    def parse(cls, count: str | None, names: Sequence[str] = ()) -> SpeakerWish | None:
        """What was typed; None if speakers are not asked for. Raises UsageError."""
        pairs = tuple(_pair(text) for text in names)
        keys = [key for key, _ in pairs]
        if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
            raise UsageError(f"--speaker-name names {shown(twice[0])} twice; say it once.")
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

    def check(self, count: int, say: Callable[[str], None]) -> None:
        """Raises UsageError for what cannot be wished of so many recordings; says which known
        voices cannot be read."""
        if count > 1 and self.names:
            raise UsageError(
                "--speaker-name is about one recording: in another, S1 is somebody else. For "
                "several, give voices names: `fls speakers add NAME FILE --speaker S1`."
            )
        for problem in self.known.problems:
            say(problem)


def nobody_in_frames(name: str) -> UsageError:
    """Why a model that reads frames has no speakers."""
    return UsageError(
        f"{name} reads frames of the sound, in which nobody has a name; leave --speakers out, or "
        "take --read text."
    )


def parse_key(text: str) -> str | float | None:
    """S1, S2 ... or a time in seconds; None for what is neither."""
    if found := LABEL.fullmatch(text.strip()):
        return f"S{int(found[1])}"
    try:
        return parse_time(text.strip())
    except UsageError:
        return None


def shown(key: str | float) -> str:
    return clock_time(key) if isinstance(key, float) else key


def _pair(text: str) -> tuple[str | float, str]:
    key, sign, name = text.partition("=")
    who = parse_key(key)
    if not sign or not name.strip() or who is None:
        raise UsageError(f"--speaker-name takes S1=Anna or 0:12=Anna, not {text!r}.")
    return who, speaker_name(name)
