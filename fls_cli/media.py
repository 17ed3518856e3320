"""Recordings as a stream of samples: any media file in, 16 kHz mono float32 out.

Knows nothing of windows, models or what the samples are for.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from fls_cli.decoder import Decoding, describe
from fls_cli.flaws import Flaw
from fls_cli.inputs import Source, check_readable, open_sources, printable
from fls_cli.mixing import Mix
from fls_cli.placing import SAMPLE_RATE, Jump, Misled, Placing
from fls_cli.probe import MediaInfo, Track, best_track, read_report, wav_promise
from fls_cli.refusals import undecodable, unreadable
from fls_cli.times import parse_time
from fls_cli.which_ffmpeg import find_ffmpeg
from fls_models.clock import clock_time
from fls_models.errors import EmptyInput, NoAudioTrack, UsageError

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


def probe(source: Source) -> MediaInfo:
    """What `source` holds, without decoding it.

    Raises MissingInput, EmptyInput, InputError (folder, device, permission), RefusedInput,
    Unreachable, NotMedia, FfmpegMissing. No audio track is no error here.
    """
    check_readable(source)
    code, text = describe(source)
    info = read_report(text)
    if info is None:
        raise unreadable(source, code, text, lambda: describe(source, loglevel="debug")[1])
    if source.path is not None and info.container == "wav":
        promise = wav_promise(source.path)
        if promise is not None and promise > (info.duration or 0.0):
            return replace(info, duration=promise)
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
    mix = Mix(channels)
    info = probe(source)
    chosen = _choose(source, info.tracks, track)
    jumps: list[Jump] = []
    count = 0
    # The clock may go back, and then only reading on from the beginning leads to the right place.
    for seek in [start - _LEAD, 0.0] if start > _LEAD and info.seekable else [0.0]:
        placing = Placing(start, end, sought=seek > 0, clocked=info.clocked, jumped=jumps.append)
        wanted = _wanted_channels(chosen, mix)
        with (
            suppress(Misled),
            Decoding(source, chosen.index, info.start, seek, wanted) as decoding,
        ):
            for block in placing.blocks(decoding.packets(), lambda: decoding.channels):
                _check_channel(source, mix, block.shape[1])
                count += len(block)
                yield mix.mono(block)
            code, complaints = (0, "") if placing.is_complete else decoding.finish()
            break
    if count == 0:
        if placing.seconds == 0 and code != 0:
            raise undecodable(source, chosen.codec, complaints)
        if start > 0 and info.duration is not None and start < info.duration:
            raise EmptyInput(f"{source.name}: cut off before the start, {start:g} s; get it whole.")
        if start > 0:
            raise EmptyInput(_beyond(source, start, info.duration or placing.seconds or None))
        raise EmptyInput(f"{source.name}: its audio track is empty; record or download it again.")
    for flaw in [
        *map(_describe, jumps),
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


def _wanted_channels(track: Track, mix: Mix) -> int | None:
    """How many channels ffmpeg shall make of it; None for as many as there are."""
    if track.channels == 1:
        return 1
    return 2 if track.labelled and mix.channel is None else None


def _check_channel(source: Source, mix: Mix, channels: int) -> None:
    if mix.channel is not None and mix.channel >= channels:
        there = "one channel" if channels == 1 else f"{channels} channels"
        raise UsageError(f"{source.name}: there is no channel {mix.channel + 1}; it has {there}.")


def _describe(jump: Jump) -> Flaw:
    at, seconds = clock_time(jump.start), jump.seconds
    match jump.kind:
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
    if promised is None or read >= promised - _TOLERANCE:
        return []
    # Video may last longer than the sound that goes with it: alone, that is no sign of damage.
    if complaints or not (info.video or len(info.tracks) > 1):
        text = f"this recording is cut off: {read:.1f} s{of} could be read; only those are used."
        return [Flaw("cut off", text, start + read, missing)]
    return []
