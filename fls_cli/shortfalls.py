"""What is missing of a recording that was read, in the words in which users are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fls_cli.flaws import Flaw
from fls_cli.placing import Jump
from fls_cli.probe import MediaInfo, Track
from fls_cli.raw_audio import RawAudio
from fls_models.clock import clock_time

# Containers round the length of their last packet, and video may outlast audio by a picture.
_TOLERANCE = 1.0


@dataclass(frozen=True)
class Outcome:
    """How reading from `start` to `end` went, in seconds of the recording.

    `read` is how many seconds came; `code` is ffmpeg's, negative for a signal, and `complaints`
    what it said.
    """

    start: float
    end: float | None
    read: float
    code: int
    complaints: str
    jumps: Sequence[Jump]


def shortfalls(info: MediaInfo, outcome: Outcome) -> list[Flaw]:
    """The gaps, damage and jumps of the clock that were met, and an end that came too early."""
    # FLAC has no gaps of its own, and some ffmpegs leave out a damaged frame without a word.
    broken = bool(outcome.complaints) or info.container == "flac"
    # AMR sends nothing while nobody speaks, which ffmpeg takes for a corrupt file.
    silent = info.container.startswith("amr")
    return [
        *(
            _of_jump(jump, damaged=broken)
            for jump in outcome.jumps
            if not (silent and jump.kind == "gap")
        ),
        *_early_end(info, outcome),
    ]


def damaged_stretch(start: float, seconds: float) -> Flaw:
    """What stands for `seconds` that could not be decoded."""
    at = clock_time(start)
    text = f"it is damaged at {at}: {seconds:.1f} s are missing and heard as silence."
    return Flaw("damaged", text, start, seconds)


def unread_part(number: int, start: float) -> Flaw:
    """What to say of the part of a joined file, counted from 1, that nothing could be made of."""
    text = f"part {number} of this file, at {clock_time(start)}, could not be read."
    return Flaw("parts", text, start)


def elsewhere(info: MediaInfo, track: Track, channels: str) -> str:
    """What else to try where no speech was found, as the end of a sentence; empty for nothing."""
    ways = []
    if channels != "mix":
        ways.append("--channels mix")
    elif (count := track.channels or 1) > 1:
        ways.append(f"--channels 1 to {count}, each alone")
    if others := [str(one.index) for one in info.tracks if one.index != track.index]:
        ways.append(f"--track {' or '.join(others)}")
    return f"; try {', or '.join(ways)}" if ways else ""


def unheard(info: MediaInfo, track: Track, channels: str) -> Flaw | None:
    """What to try where there was nothing but silence."""
    others = [str(one.index) for one in info.tracks if one.index != track.index]
    if others:
        text = (
            f"audio track {track.index} of {len(info.tracks)} is silent; "
            f"try --track {' or '.join(others)}."
        )
        return Flaw("silent", text)
    if channels != "mix":
        return Flaw("silent", f"nothing is on channel {channels}; try --channels mix.")
    return None


def guessed(raw: RawAudio) -> Flaw:
    """What to say where a suffix alone tells what samples are."""
    text = f"it has no header and is read as {raw}, by its suffix; --raw says otherwise."
    return Flaw("guessed", text)


def _of_jump(jump: Jump, *, damaged: bool) -> Flaw:
    at, seconds = clock_time(jump.start), jump.seconds
    match jump.kind:
        case "gap" if damaged:
            return damaged_stretch(jump.start, seconds)
        case "gap":
            text = f"no sound is recorded for {seconds:.1f} s at {at}; it is heard as silence."
            return Flaw("gap", text, jump.start, seconds)
        case "closed":
            text = (
                f"its clock jumps by {seconds / 3600:.1f} h at {at}; "
                "what follows is taken as coming next."
            )
            return Flaw("clock", text, jump.start, seconds)
        case "back":
            text = (
                f"its clock goes back by {seconds:.1f} s at {at}, as in joined parts; "
                "what follows is taken as coming after it."
            )
            return Flaw("clock", text, jump.start, -seconds)


def _early_end(info: MediaInfo, outcome: Outcome) -> list[Flaw]:
    """What to say when less was read than promised; nothing when all is well."""
    read, start, end = outcome.read, outcome.start, outcome.end
    closed = sum(jump.seconds for jump in outcome.jumps if jump.kind == "closed")
    ends = [time for time in (info.duration, end) if time is not None]
    promised = min(ends) - start - closed if info.duration is not None else None
    of = "" if promised is None else f" of {promised:.1f} s"
    missing = None if promised is None else max(0.0, round(promised - read, 3))
    if (code := outcome.code) != 0:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        text = f"ffmpeg stopped after {read:.1f} s{of} ({how}); only those are used."
        return [Flaw("cut off", text, start + read, missing)]
    lacking = info.missing > 0 and (end is None or read < end - start - _TOLERANCE)
    if missing and (missing > _TOLERANCE or lacking):
        # Video may last longer than its sound: alone, that is no sign of damage.
        if lacking or outcome.complaints or not (info.video or len(info.tracks) > 1):
            text = (
                f"this recording is cut off: {read:.1f} s{of} could be read; only those are used."
            )
            return [Flaw("cut off", text, start + read, missing)]
    elif lacking:
        # ffmpeg reckons the length of some from the bytes that are there.
        text = f"this recording is cut off after {read:.1f} s: {info.missing:,} bytes are missing."
        return [Flaw("cut off", text, start + read)]
    return []
