"""Who speaks from when to when, and RTTM, the form of NIST in which that is handed around.

Lines of RTTM are of many types; only those of type SPEAKER are read and written:
`SPEAKER file channel start duration <NA> <NA> name <NA> <NA>`. Old files lack the last field.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fls_models.errors import UsageError

_LACKING = "<NA>"
_FIELDS = (9, 10)
_BLANK = re.compile(r"\s")
# Seconds, 30 years: anything beyond is no time in a recording.
_LONGEST = 1e9


@dataclass(frozen=True)
class SpeakerTurn:
    """A stretch, in seconds from the beginning of the recording, in which one person speaks.

    Raises ValueError for a turn that is not finite, begins before 0, has no length or no speaker.
    """

    start: float
    end: float
    speaker: str

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end < math.inf:
            raise ValueError(f"a turn runs forwards from 0 s or later: {self.start}..{self.end}")
        if not self.speaker.strip():
            raise ValueError("a turn has a speaker")


def read_rttm(path: Path) -> list[SpeakerTurn]:
    """The turns of one recording in the order of the file, whatever their channel.

    Comments, lines of other types and turns without length are passed over. Raises UsageError for
    a file that cannot be read, a SPEAKER line that does not fit, turns of a second recording, no
    turns at all.
    """
    try:
        # Otherwise a byte order mark would make the first line one of another type.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UsageError(f"{path} cannot be read: {reason}.") from None
    turns = []
    recording = None
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        turn = _turn(fields, f"{path}, line {number}")
        if recording not in (None, fields[1]):
            raise UsageError(
                f"{path}, line {number} is about {fields[1]}, lines before it about {recording}: "
                "put each recording into a file of its own."
            )
        recording = fields[1]
        if turn is not None:
            turns.append(turn)
    if not turns:
        raise UsageError(f"{path} holds no speaker turns.")
    return turns


def write_rttm(turns: Iterable[SpeakerTurn], name: str) -> str:
    """RTTM of a recording of that name, in milliseconds; turns that round to nothing are left out.

    Blanks would end a field: underscores stand for them in all names.
    """
    lines = []
    for turn in turns:
        # Both ends are rounded, not the duration, so that turns that touch still do.
        start, end = round(turn.start, 3), round(turn.end, 3)
        duration = f"{end - start:.3f}"
        if float(duration):
            names = _field(name), _field(turn.speaker)
            lines.append(
                f"SPEAKER {names[0]} 1 {start:.3f} {duration} "
                f"{_LACKING} {_LACKING} {names[1]} {_LACKING} {_LACKING}\n"
            )
    return "".join(lines)


def _turn(fields: list[str], place: str) -> SpeakerTurn | None:
    """The turn of a SPEAKER line, None of no length; `place` is where messages say it stands."""
    if len(fields) not in _FIELDS or fields[7] == _LACKING:
        raise UsageError(
            f"{place}: a line of a turn is `SPEAKER file 1 start duration <NA> <NA> name <NA> <NA>`"
            ", names without blanks."
        )
    start, duration = (_seconds(field, place) for field in fields[3:5])
    end = start + duration
    return SpeakerTurn(start, end, fields[7]) if start < end else None


def _seconds(field: str, place: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not 0 <= value < _LONGEST:
        raise UsageError(f"{place}: {field} is no time in seconds, 0 or more.")
    return value


def _field(name: str) -> str:
    return _BLANK.sub("_", name)
