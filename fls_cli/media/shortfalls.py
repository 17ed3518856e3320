"""What is missing of a recording that was read, in the words in which users are told."""

from collections.abc import Sequence
from dataclasses import dataclass

from fls_cli.media.ffmpeg.probe import MediaInfo, Track
from fls_cli.media.ffmpeg.raw import RawAudio
from fls_cli.media.flaws import Flaw
from fls_cli.media.layout.kinds import Part
from fls_cli.media.timeline.placing import Jump
from fls_models.core.timestamps import clock_time

# Containers round the length of their last packet, and video may outlast audio by a picture.
_TOLERANCE = 1.0
# Decoders leave out a little of what is whole.
_WORTH_TELLING = 0.2
# Nobody leaves out sound in them on purpose.
_WITHOUT_GAPS = frozenset({"flac", "tta", "wv", "avi", "asf", "rm", "nut"})
_WITHOUT_PAUSES = frozenset({"flac", "tta", "wv"})
# With more, it is likelier that the recorder left out silence.
_FEW = 3
# Their headers tell how long they are, whatever bytes are there.
_TIMED = frozenset({"matroska", "avi", "asf", "flv", "rm", "flac"})


@dataclass(frozen=True)
class Ending:
    """How far a part, counted from 0, was read: from `begin` to `end`, in seconds of the recording.

    `closed` is how many seconds were left out of it; `code` is ffmpeg's, negative for a signal, and
    `complaints` what it said. Without `is_read`, nothing could be made of the part.
    """

    number: int
    begin: float
    end: float
    closed: float = 0.0
    code: int = 0
    complaints: str = ""
    is_read: bool = True

    @property
    def breaks_off(self) -> bool:
        """Whether ffmpeg says so, as it does of Matroska that was never finished."""
        return "File ended prematurely" in self.complaints


@dataclass(frozen=True)
class Outcome:
    """How reading from `start` to `end` went, in seconds of the recording; `read` came of it.

    `endings` are those of the parts that were read; `blank` says that a block of the file is lost.
    """

    start: float
    end: float | None
    read: float
    endings: Sequence[Ending]
    jumps: Sequence[Jump]
    blank: bool = False

    def wants(self, time: float) -> bool:
        """Whether it lies in what was to be read."""
        return self.start <= time and (self.end is None or time < self.end)


def shortfalls(info: MediaInfo, outcome: Outcome) -> list[Flaw]:
    """The gaps, damage and jumps of the clock that were met, and an end that came too early."""
    # ffmpeg may leave out damage without a word.
    broken = any(ending.complaints for ending in outcome.endings) or outcome.blank
    disordered = any(part.disordered for part in info.parts)
    damaged = broken or disordered or info.container in _WITHOUT_GAPS
    # AMR sends nothing while nobody speaks, which ffmpeg takes for a corrupt file.
    silent = info.container.startswith("amr")
    flaws = [
        _of_jump(jump, damaged=damaged, disordered=disordered)
        for jump in outcome.jumps
        if jump.kind != "pause" and not (silent and jump.kind == "gap")
    ]
    for ending in outcome.endings:
        flaws += _torn(info.parts[ending.number], ending, outcome)
        if not ending.is_read or ending.number + 1 < len(info.parts):
            flaws += _broken_part(info, ending) if outcome.wants(ending.end) else []
        else:
            flaws += _early_end(info, outcome, ending)
    if info.container in _WITHOUT_PAUSES or (
        broken and not silent and not any(flaw.is_loss for flaw in flaws)
    ):
        flaws += _in_pauses([jump for jump in outcome.jumps if jump.kind == "pause"])
    return sorted(flaws, key=lambda flaw: flaw.start or 0.0)


def elsewhere(info: MediaInfo, track: Track, channels: str) -> str:
    """What else to try where no speech was found, as the end of a sentence; empty for nothing."""
    ways = []
    if channels != "mix":
        ways.append("--channels mix")
    elif (count := track.channels or 1) > 1:
        ways.append(f"--channels 1 to {count}, each alone")
    if tracks := _tracks_beside(info, track):
        ways.append(f"--track {tracks}")
    return f"; try {', or '.join(ways)}" if ways else ""


def unheard(info: MediaInfo, track: Track, channels: str) -> Flaw | None:
    """What to try where there was nothing but silence."""
    if tracks := _tracks_beside(info, track):
        text = f"audio track {track.index} of {len(info.tracks)} is silent; try --track {tracks}."
        return Flaw("silent", text)
    if channels != "mix":
        return Flaw("silent", f"nothing is on channel {channels}; try --channels mix.")
    return None


def _tracks_beside(info: MediaInfo, track: Track) -> str:
    return " or ".join(str(beside.index) for beside in info.tracks if beside.index != track.index)


def guessed(raw: RawAudio) -> Flaw:
    """What to say where a suffix alone tells what samples are."""
    text = f"it has no header and is read as {raw}, by its suffix; --raw says otherwise."
    return Flaw("guessed", text)


def _of_jump(jump: Jump, *, damaged: bool, disordered: bool) -> Flaw:
    at, seconds = clock_time(jump.start), jump.seconds
    match jump.kind:
        case "back" if disordered:
            text = f"its pieces are out of order at {at}, and some of them cannot be read."
            return Flaw("parts", text, jump.start)
        case "gap" if not damaged:
            text = f"no sound is recorded for {seconds:.1f} s at {at}; it is heard as silence."
            return Flaw("gap", text, jump.start, seconds)
        case "gap" | "pause" | "hole":
            text = f"it is damaged at {at}: {seconds:.1f} s are missing and heard as silence."
            return Flaw("damaged", text, jump.start, seconds)
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


def _in_pauses(pauses: Sequence[Jump]) -> list[Flaw]:
    """What is damaged, but no longer than pauses are that recorders leave out."""
    if len(pauses) <= _FEW:
        return [_of_jump(jump, damaged=True, disordered=False) for jump in pauses]
    seconds = sum(jump.seconds for jump in pauses)
    text = (
        f"it is damaged in places: {len(pauses)} times less than a second is missing, or was left "
        f"out as a pause, {seconds:.1f} s in all; it is heard as silence."
    )
    return [Flaw("damaged", text)]


def _torn(part: Part, ending: Ending, outcome: Outcome) -> list[Flaw]:
    """Where frames are torn of a stream whose times only its frames tell."""
    times = [ending.begin + time for time in part.torn if outcome.wants(ending.begin + time)]
    if not times:
        return []
    at = clock_time(times[0])
    if len(times) > _FEW:
        at += f" and {len(times) - 1} times behind that"
    elif len(times) > 1:
        at = ", ".join(map(clock_time, times))
    text = f"a frame is torn at {at}: something may be missing there, and what follows be later."
    return [Flaw("damaged", text, times[0])]


def _broken_part(info: MediaInfo, ending: Ending) -> list[Flaw]:
    """What to say of a part, with others behind it, that could not be read to its end."""
    at = clock_time(ending.end)
    # What follows a hole is no recording of its own.
    number = sum(not part.hole for part in info.parts[: ending.number + 1])
    if not ending.is_read:
        text = f"part {number} of this file, at {at}, could not be read."
        return [Flaw("parts", text, ending.end)]
    if ending.number + 1 < len(info.parts) and info.parts[ending.number + 1].hole:
        return []
    if not ends_early(info, ending):
        return []
    lost = _lost(info, ending)
    if lost is None or lost < _WORTH_TELLING:
        return [Flaw("parts", f"part {number} of this file breaks off at {at}.", ending.end)]
    text = f"part {number} of this file breaks off at {at}: {lost:.1f} s of it are missing."
    return [Flaw("parts", text, ending.end, round(lost, 3))]


def ends_early(info: MediaInfo, ending: Ending) -> bool:
    """Whether a part, read to its end, ended before it should."""
    lacks = info.parts[ending.number].lacks
    lacking = lacks is not None or ending.breaks_off or ending.code != 0
    return _is_early(info, ending, _lost(info, ending), lacking=lacking)


def _lost(info: MediaInfo, ending: Ending) -> float | None:
    """How many seconds of a part are not there, as far as it promises any."""
    promised = info.promised(ending.number)
    return None if promised is None else promised - ending.closed - (ending.end - ending.begin)


def _early_end(info: MediaInfo, outcome: Outcome, ending: Ending) -> list[Flaw]:
    """What to say when less was read than promised; nothing when all is well."""
    read, start, end = outcome.read, outcome.start, outcome.end
    promised = info.promised(ending.number)
    if promised is not None:
        promised = ending.begin + promised - ending.closed
        promised = (promised if end is None else min(promised, end)) - start
    of = "" if promised is None else f" of {promised:.1f} s"
    lost = None if promised is None else max(0.0, round(promised - read, 3))
    if (code := ending.code) != 0:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        text = f"ffmpeg stopped after {read:.1f} s{of} ({how}); only those are used."
        return [Flaw("cut off", text, start + read, lost)]
    part = info.parts[ending.number]
    lacking = part.lacks is not None or ending.breaks_off
    lacking = lacking and (end is None or read < end - start - _TOLERANCE)
    if not _is_early(info, ending, lost, lacking=lacking):
        return []
    if lost is None or lost < _WORTH_TELLING:
        holed = any(jump.kind in ("gap", "hole") for jump in outcome.jumps)
        own = info.of(ending.number) or info
        name = own.container.split(",")[0]
        # Of an MP4 in fragments ffmpeg tells how long those are that it found.
        timed = lost is not None and (name in _TIMED or (name == "mov" and part.lacks != "end"))
        if timed or (holed and part.lacks != "end"):
            # The bytes are missing in the middle, or are an index.
            return []
        # Some tell no length, or ffmpeg reckons it from the bytes that are there.
        text = f"this recording is cut off after {read:.1f} s: its last bytes are missing."
        return [Flaw("cut off", text, start + read)]
    if part.lacks is None and (info.of(ending.number) or info).container == "mp3":
        # A header promises more frames than there are, and the last of those is whole.
        text = f"{lost:.1f} s{of} are missing, at its end or before; only what is there is used."
        return [] if part.torn else [Flaw("cut off", text, None, lost)]
    text = f"this recording is cut off: {read:.1f} s{of} could be read; only those are used."
    return [Flaw("cut off", text, start + read, lost)]


def _is_early(info: MediaInfo, ending: Ending, lost: float | None, *, lacking: bool) -> bool:
    """Whether an end came before it should, by `lost` seconds as far as is known."""
    if lacking or lost is None:
        return lacking
    # Video may last longer than its sound: alone, that is no sign of damage.
    own = info.of(ending.number) or info
    picture = own.video or own.captioned or len(own.tracks) > 1
    if ending.complaints and not picture:
        return lost > _WORTH_TELLING
    return lost > _TOLERANCE and (bool(ending.complaints) or not picture)
