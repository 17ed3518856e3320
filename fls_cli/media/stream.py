"""Recordings as a stream of samples: any media file in, 16 kHz mono float32 out.

Knows nothing of windows, models or what the samples are for.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fls_cli.media.ffmpeg.diagnosis import undecodable, unreadable
from fls_cli.media.ffmpeg.probe import MediaInfo, Track, read_report
from fls_cli.media.ffmpeg.process import describe
from fls_cli.media.ffmpeg.raw import RawAudio, raw_by_suffix
from fls_cli.media.flaws import Flaw
from fls_cli.media.joined import JoinedParts, choose_track
from fls_cli.media.layout.kinds import WHOLE, Part, length, mapped
from fls_cli.media.layout.mp4 import is_fragmented, is_mp4
from fls_cli.media.layout.parts import has_lost_blocks, parts_of
from fls_cli.media.layout.wav import is_big_endian
from fls_cli.media.mixing import check_channels
from fls_cli.media.shortfalls import Ending, Outcome, ends_early, guessed, shortfalls, unheard
from fls_cli.media.source import Source, check_readable
from fls_cli.media.timeline.avi_chunks import edits_around_damage
from fls_cli.media.timeline.edit_lists import edits_with_holes
from fls_cli.media.timeline.placing import Jump, Misled, Placing, in_blocks
from fls_models.core.constants import SAMPLE_RATE
from fls_models.errors import EmptyInput, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# How long before the start decoding begins: demuxers lead to it only roughly, and drop what stands
# first.
_LEAD = 2.0
# Below that, a clock begins with the recording.
_EARLY = 0.05
# That much behind its edit list, a recording was begun midway.
_LATER = 0.5
# The loudest of what counts as no sound at all, -80 dB.
_SILENT = 1e-4


def probe(source: Source, raw: RawAudio | None = None) -> MediaInfo:
    """What `source` holds, without decoding it; `raw` is what samples without a header are.

    Raises MissingInput, EmptyInput, InputError (folder, device, permission), RefusedInput,
    Unreachable, NotMedia, FfmpegMissing. No audio track is no error here.
    """
    check_readable(source)
    info = _described(source, raw)
    if (path := source.path) is None:
        return info
    parts = parts_of(path, info.container)
    if info.container.startswith("mov"):
        info = replace(info, tracks=tuple(_with_edits(path, info, track) for track in info.tracks))
        info = _from_zero(path, info, WHOLE)
        ends = [edit.start + edit.seconds for track in info.tracks for edit in track.edits]
        if ends and not info.video and max(ends) < math.inf:
            # Some ffmpegs tell how long the media is, heard or not.
            info = replace(info, duration=max(ends))
    if len(parts) > 1:
        return _joined(source, path, info, parts)
    if info.container == "avi":
        info = _around_damage(path, info, WHOLE)
    seconds = parts[0].seconds
    if parts[0].unbounded:
        return replace(info, parts=parts, duration=seconds)
    # ffmpeg goes by the size of a WAV, and so never notices that it was cut off.
    if seconds is not None and (info.duration is None or info.container == "wav"):
        info = replace(info, duration=max(seconds, info.duration or 0.0))
    return replace(info, parts=parts)


def _joined(source: Source, path: Path, info: MediaInfo, parts: tuple[Part, ...]) -> MediaInfo:
    """What a file of several parts holds; ffmpeg has told of the first, or of all bytes."""
    alone: list[MediaInfo | None] = []
    for part in parts:
        # The frames behind damage are of the same kind as those before it.
        damaged = alone[-1] if part.hole else None
        report = replace(damaged, start=0.0) if damaged else _part_report(source, path, part)
        alone.append(report)
    timed = tuple(
        replace(part, seconds=report.duration) if part.seconds is None and report else part
        for part, report in zip(parts, alone, strict=True)
    )
    if alone[0] and info.container == "avi":
        info = replace(info, tracks=alone[0].tracks)
    return replace(info, parts=timed, joined=tuple(alone[1:]), duration=length(timed))


def _part_report(source: Source, path: Path, part: Part) -> MediaInfo | None:
    info = read_report(describe(source, part)[1])
    if info and info.container == "avi":
        return _around_damage(path, info, part)
    return info and _from_zero(path, info, part)


def _from_zero(path: Path, info: MediaInfo, part: Part) -> MediaInfo:
    """Of MP4 in fragments, which were recorded midway, ffmpeg tells when it ends, not how long."""
    if info.duration is None or not 0 < info.start < info.duration:
        return info
    with mapped(path) as data:
        late = any(track.edits for track in info.tracks) or not is_fragmented(data, part.begin)
    return info if late else replace(info, duration=info.duration - info.start)


def _with_edits(path: Path, info: MediaInfo, track: Track) -> Track:
    edits = edits_with_holes(path, track.index)
    # A late start beside a picture is on the picture's clock, as ffmpeg has it.
    late = len(edits) == 1 and info.start < _EARLY
    # Fragments that were recorded midway do not begin where their edit list says.
    midway = bool(edits) and info.start > edits[0].start + _LATER
    return track if late or midway or not edits else replace(track, edits=edits, edit_list=True)


def _around_damage(path: Path, info: MediaInfo, part: Part) -> MediaInfo:
    readings = [edits_around_damage(path, track.index, part) for track in info.tracks]
    tracks = tuple(
        replace(track, edits=edits) for track, (edits, _) in zip(info.tracks, readings, strict=True)
    )
    # ffmpeg goes by the picture, or without an index by the bytes.
    max_seconds = max((seconds for _, seconds in readings), default=0.0)
    duration = None if max_seconds == math.inf else max_seconds or info.duration
    return replace(info, tracks=tracks, duration=duration)


def _described(source: Source, raw: RawAudio | None) -> MediaInfo:
    """What ffmpeg says of it; of what has no header, but a suffix that tells, by that."""
    if raw is None and (path := source.path) and is_big_endian(path):
        # ffmpeg takes its samples for little-endian ones, or its header for none.
        report = read_report(describe(source, parts_of(path, "wav")[0])[1])
        if report:
            return replace(report, container="wav")
    code, text = describe(source, raw=raw)
    info = read_report(text)
    guess = None if raw else raw_by_suffix(source.below or "")
    if guess and (info is None or "misdetection possible" in text):
        raw, info = guess, read_report(describe(source, raw=guess)[1])
    if info is None and (path := source.path) and is_mp4(path):
        # Of several joined MP4, ffmpeg may read none.
        info = read_report(describe(source, parts_of(path, "mov")[0])[1])
    if info is None:
        raise unreadable(source, code, text, lambda: describe(source, loglevel="debug")[1])
    return replace(info, raw=raw)


def stream(
    source: Source,
    *,
    track: int | None = None,
    channels: str = "mix",
    start: float = 0.0,
    end: float | None = None,
    raw: RawAudio | None = None,
    warn: Callable[[Flaw], None] | None = None,
) -> Generator[npt.NDArray[np.float32], None, None]:
    """The samples of one audio track from `start` to `end`, in seconds of the recording.

    Yields (16000,) float32 arrays, the last one shorter; sample `n` is heard at `start + n /
    SAMPLE_RATE` (see `fls_cli.media.timeline.placing`). Never yields nothing. `track` counts the
    audio tracks from 0; without it the file's default is taken, else the one with the most
    channels. `channels` is which of its channels are heard (see `fls_cli.media.mixing`), `raw` what
    samples without a header are. `warn` is told what is missing or in doubt; without it, that
    becomes a Python warning.

    Nothing happens, and nothing is raised, before the first sample is asked for. Closing the
    generator ends ffmpeg. Raises what `probe` does, and UsageError (times that make no sense, no
    such channel), NoAudioTrack, EmptyInput (`start` is beyond the end), NotMedia (nothing decodes).
    """
    if not 0 <= start < math.inf or (end is not None and not start < end < math.inf):
        raise UsageError(f"Times must run forwards from 0: start {start:g} s, end {end} s.")
    check_channels(channels)
    info = probe(source, raw)
    audio_track = choose_track(source, info.tracks, track)
    jumps: list[Jump] = []
    count = 0
    # Where the clock goes back, only reading on from the beginning leads to the right place.
    for seek in [start - _LEAD, 0.0] if start > _LEAD and info.seekable else [0.0]:
        jumps.clear()
        placing = Placing(start, end, sought=seek > 0, clocked=info.clocked, jumped=jumps.append)
        parts = JoinedParts(source, info, audio_track, placing, channels)
        with suppress(Misled):
            for block in in_blocks(parts.mono(seek)):
                count += len(block)
                yield block
        if count > 0:
            break
    if count == 0:
        if placing.seconds == 0 and (parts.code != 0 or parts.complaints):
            raise undecodable(source, audio_track.codec, parts.complaints)
        if start > 0:
            raise EmptyInput(f"{source.name}: {_beyond(info, start, placing, parts.endings)}")
        raise EmptyInput(f"{source.name}: its audio track is empty; record or download it again.")
    blank = bool(jumps and source.path and has_lost_blocks(source.path, info.container))
    flaws = shortfalls(info, Outcome(start, end, count / SAMPLE_RATE, parts.endings, jumps, blank))
    if parts.peak < _SILENT and (flaw := unheard(info, audio_track, channels)):
        flaws.append(flaw)
    if info.raw and raw is None:
        flaws.append(guessed(info.raw))
    for flaw in flaws:
        if warn is None:
            warnings.warn(f"{source.name}: {flaw.text}", stacklevel=2)
        else:
            warn(flaw)


def _beyond(info: MediaInfo, start: float, placing: Placing, endings: Sequence[Ending]) -> str:
    """Why nothing was heard from `start` on."""
    if info.duration is None or start >= info.duration:
        seconds = max(info.duration or 0.0, placing.seconds)
        length = f", which is {seconds:.1f} s long" if seconds else ""
        return f"the start, {start:g} s, is beyond the end of the recording{length}."
    if not endings or any(ends_early(info, ending) for ending in endings):
        return f"cut off before the start, {start:g} s; get it whole."
    # A picture may outlast the sound.
    return f"the start, {start:g} s, is beyond the end of its sound, at {placing.seconds:.1f} s."
