"""Recordings as a stream of samples: any media file in, 16 kHz mono float32 out.

Knows nothing of windows, models or what the samples are for.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fls_cli.decoder import Decoding, describe
from fls_cli.edit_lists import edits_with_holes
from fls_cli.flaws import Flaw
from fls_cli.inputs import Source, check_readable, open_sources, printable
from fls_cli.mixing import Mix, check_channels
from fls_cli.parts import WHOLE, Part, layout
from fls_cli.placing import SAMPLE_RATE, Jump, Misled, Placing, in_blocks
from fls_cli.probe import MediaInfo, Track, best_track, read_report, wav_promise
from fls_cli.refusals import undecodable, unreadable
from fls_cli.times import parse_time
from fls_cli.which_ffmpeg import find_ffmpeg
from fls_models.clock import clock_time
from fls_models.errors import EmptyInput, InputError, NoAudioTrack, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "SAMPLE_RATE",
    "MediaInfo",
    "Track",
    "decode",
    "find_ffmpeg",
    "parse_time",
    "probe",
    "stream",
]

# Containers round the length of their last packet, and video may outlast audio by a picture.
_TOLERANCE = 1.0
# How long before the start decoding begins: demuxers lead to it only roughly, and drop what stands
# first.
_LEAD = 2.0
# Below that, a clock begins with the recording.
_EARLY = 0.05
# The loudest of what counts as no sound at all, -80 dB.
_SILENT = 1e-4


def probe(source: Source) -> MediaInfo:
    """What `source` holds, without decoding it.

    Raises MissingInput, EmptyInput, InputError (folder, device, permission), RefusedInput,
    Unreachable, NotMedia, FfmpegMissing. No audio track is no error here.
    """
    check_readable(source)
    info = _described(source)
    if (path := source.path) is None:
        return info
    found = layout(path, info.container)
    info = replace(info, parts=found.parts, missing=found.missing)
    if info.container.startswith("mov"):
        info = replace(info, tracks=tuple(_with_edits(path, info, one) for one in info.tracks))
    if found.seconds is not None and (info.duration is None or len(found.parts) > 1):
        return replace(info, duration=found.seconds)
    if len(found.parts) > 1:
        lengths = [_described(source, part).duration for part in found.parts]
        known = [length for length in lengths if length is not None]
        return replace(info, duration=sum(known) if len(known) == len(lengths) else None)
    if found.parts[0].unbounded:
        return replace(info, duration=_described(source, found.parts[0]).duration)
    if info.container == "wav":
        promise = wav_promise(path)
        if promise is not None and promise > (info.duration or 0.0):
            return replace(info, duration=promise)
    return info


def _with_edits(path: Path, info: MediaInfo, track: Track) -> Track:
    edits = edits_with_holes(path, track.index)
    # A late start beside a picture is on the picture's clock, as ffmpeg has it.
    late = len(edits) == 1 and info.start < _EARLY
    return track if late else replace(track, edits=edits)


def _described(source: Source, part: Part = WHOLE) -> MediaInfo:
    code, text = describe(source, part)
    info = read_report(text)
    if info is None:
        raise unreadable(source, code, text, lambda: describe(source, loglevel="debug")[1])
    return info


def stream(
    source: Source,
    *,
    track: int | None = None,
    channels: str = "mix",
    start: float = 0.0,
    end: float | None = None,
    warn: Callable[[Flaw], None] | None = None,
) -> Generator[npt.NDArray[np.float32], None, None]:
    """The samples of one audio track from `start` to `end`, in seconds of the recording.

    Yields (16000,) float32 arrays, the last one shorter; sample `n` is heard at
    `start + n / SAMPLE_RATE` (see `fls_cli.placing`). Never yields nothing. `track` counts the
    audio tracks from 0; without it the file's default is taken, else the one with the most
    channels. `channels` is which of its channels are heard (see `fls_cli.mixing`). `warn` is told
    what is missing or in doubt; without it, that becomes a Python warning.

    Nothing happens, and nothing is raised, before the first sample is asked for. Closing the
    generator ends ffmpeg. Raises what `probe` does, and UsageError (times that make no sense, no
    such channel), NoAudioTrack, EmptyInput (`start` is beyond the end), NotMedia (nothing decodes).
    """
    if not 0 <= start < math.inf or (end is not None and not start < end < math.inf):
        raise UsageError(f"Times must run forwards from 0: start {start:g} s, end {end} s.")
    check_channels(channels)
    info = probe(source)
    chosen = _choose(source, info.tracks, track)
    jumps: list[Jump] = []
    count, code, complaints = 0, 0, ""
    # The clock may go back, and then only reading on from the beginning leads to the right place.
    for seek in [start - _LEAD, 0.0] if start > _LEAD and info.seekable else [0.0]:
        placing = Placing(start, end, sought=seek > 0, clocked=info.clocked, jumped=jumps.append)
        reading = _Reading(source, info, chosen, placing, channels)
        with suppress(Misled):
            for block in in_blocks(reading.mixed(seek)):
                count += len(block)
                yield block
            code, complaints = reading.code, reading.complaints
            break
    if count == 0:
        if placing.seconds == 0 and (code != 0 or complaints):
            raise undecodable(source, chosen.codec, complaints)
        if start > 0 and info.duration is not None and start < info.duration:
            raise EmptyInput(f"{source.name}: cut off before the start, {start:g} s; get it whole.")
        if start > 0:
            raise EmptyInput(_beyond(source, start, info.duration or placing.seconds or None))
        raise EmptyInput(f"{source.name}: its audio track is empty; record or download it again.")
    if reading.peak < _SILENT and (flaw := _unheard(info, chosen, channels)):
        reading.flaws.append(flaw)
    # FLAC has no gaps of its own, and some ffmpegs leave out a damaged frame without a word.
    broken = bool(complaints) or info.container == "flac"
    for flaw in [
        *(_describe(jump, damaged=broken) for jump in jumps if not _is_pause(info, jump)),
        *reading.flaws,
        *_shortfall(info, count / SAMPLE_RATE, start, end, code, complaints, jumps),
    ]:
        if warn is None:
            warnings.warn(f"{source.name}: {flaw.text}", stacklevel=2)
        else:
            warn(flaw)


def decode(
    location: str, *, track: int | None = None, start: float = 0.0, end: float | None = None
) -> Generator[npt.NDArray[np.float32], None, None]:
    """The samples of one file or http(s) address, by its name; otherwise as `stream`."""
    with open_sources([location]) as sources:
        if len(sources) != 1:
            raise UsageError(f"{printable(location)}: name one recording, not a folder of them.")
        yield from stream(sources[0], track=track, start=start, end=end)


def _choose(source: Source, tracks: tuple[Track, ...], index: int | None) -> Track:
    if not tracks:
        raise NoAudioTrack(f"{source.name}: there is no audio track in it; give one with sound.")
    if index is None:
        return best_track(tracks)
    if not 0 <= index < len(tracks):
        there = "one audio track, 0" if len(tracks) == 1 else f"audio tracks 0 to {len(tracks) - 1}"
        raise NoAudioTrack(f"{source.name}: there is no audio track {index}; it has {there}.")
    return tracks[index]


class _Reading:
    """The samples of all parts of a recording, and what ffmpeg said in the end."""

    def __init__(
        self, source: Source, info: MediaInfo, track: Track, placing: Placing, channels: str
    ) -> None:
        self._source, self._info, self._track = source, info, track
        self._placing, self._channels = placing, channels
        self.code = 0
        self.complaints = ""
        # Of full scale.
        self.peak = 0.0
        self.flaws: list[Flaw] = []

    def mixed(self, seek: float) -> Generator[npt.NDArray[np.float32], None, None]:
        """(n,) float32, from `seek` seconds behind the beginning."""
        yield from self._part(self._info.parts[0], self._info, self._track, seek)
        for number, part in enumerate(self._info.parts[1:], 2):
            if self._placing.is_complete:
                return
            try:
                info = _described(self._source, part)
                track = _choose(self._source, info.tracks, self._track.index)
            except InputError:
                at = self._placing.seconds
                text = f"part {number} of this file, at {clock_time(at)}, could not be read."
                self.flaws.append(Flaw("parts", text, at))
                continue
            if part.hole:
                at = self._placing.seconds
                self.flaws.append(_damaged(at, part.hole))
            self._placing.begin_part(part.hole)
            yield from self._part(part, info, track, 0.0)

    def _part(
        self, part: Part, info: MediaInfo, track: Track, seek: float
    ) -> Generator[npt.NDArray[np.float32], None, None]:
        mix = Mix(self._channels)
        wanted = _wanted_channels(track, mix)
        with Decoding(self._source, track, info.start, seek, wanted, part) as decoding:
            for block in self._placing.blocks(decoding.packets(), lambda: decoding.channels):
                _check_channel(self._source, mix, block.shape[1])
                samples = mix.mono(block)
                self.peak = max(self.peak, float(abs(samples).max(initial=0.0)))
                yield samples
            if not self._placing.is_complete:
                code, complaints = decoding.finish()
                self.code = self.code or code
                self.complaints += complaints


def _wanted_channels(track: Track, mix: Mix) -> int | None:
    """How many channels ffmpeg shall make of it; None for as many as there are."""
    if track.channels == 1:
        return 1
    return 2 if track.labelled and mix.channel is None else None


def _check_channel(source: Source, mix: Mix, channels: int) -> None:
    if mix.channel is not None and mix.channel >= channels:
        there = "one channel" if channels == 1 else f"{channels} channels"
        raise UsageError(f"{source.name}: there is no channel {mix.channel + 1}; it has {there}.")


def _unheard(info: MediaInfo, track: Track, channels: str) -> Flaw | None:
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


def _damaged(start: float, seconds: float) -> Flaw:
    at = clock_time(start)
    text = f"it is damaged at {at}: {seconds:.1f} s are missing and heard as silence."
    return Flaw("damaged", text, start, seconds)


def _is_pause(info: MediaInfo, jump: Jump) -> bool:
    """Whether nothing is sent because nobody speaks, which ffmpeg takes for a corrupt AMR."""
    return jump.kind == "gap" and info.container.startswith("amr")


def _describe(jump: Jump, *, damaged: bool) -> Flaw:
    at, seconds = clock_time(jump.start), jump.seconds
    match jump.kind:
        case "gap" if damaged:
            return _damaged(jump.start, seconds)
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


def _beyond(source: Source, start: float, duration: float | None) -> str:
    length = "" if duration is None else f", which is {duration:.1f} s long"
    return f"{source.name}: the start, {start:g} s, is beyond the end of the recording{length}."


def _shortfall(
    info: MediaInfo,
    read: float,
    start: float,
    end: float | None,
    code: int,
    complaints: str,
    jumps: list[Jump],
) -> list[Flaw]:
    """What to say when less was read than promised, in seconds; nothing when all is well."""
    closed = sum(jump.seconds for jump in jumps if jump.kind == "closed")
    ends = [time for time in (info.duration, end) if time is not None]
    promised = min(ends) - start - closed if info.duration is not None else None
    of = "" if promised is None else f" of {promised:.1f} s"
    missing = None if promised is None else max(0.0, round(promised - read, 3))
    if code != 0:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        text = f"ffmpeg stopped after {read:.1f} s{of} ({how}); only those are used."
        return [Flaw("cut off", text, start + read, missing)]
    lacking = info.missing > 0 and (end is None or read < end - start - _TOLERANCE)
    if missing and (missing > _TOLERANCE or lacking):
        # Video may last longer than its sound: alone, that is no sign of damage.
        if lacking or complaints or not (info.video or len(info.tracks) > 1):
            text = (
                f"this recording is cut off: {read:.1f} s{of} could be read; only those are used."
            )
            return [Flaw("cut off", text, start + read, missing)]
    elif lacking:
        # ffmpeg reckons the length of some from the bytes that are there.
        text = f"this recording is cut off after {read:.1f} s: {info.missing:,} bytes are missing."
        return [Flaw("cut off", text, start + read)]
    return []
