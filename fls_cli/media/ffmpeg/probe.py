"""What a media file holds, read from what ffmpeg prints about its input.

There is no ffprobe beside the ffmpeg of the imageio-ffmpeg wheel. The printed form has been the
same for a decade; only lines at its own indentation are believed, so metadata cannot pose as it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fls_cli.console.text import printable
from fls_cli.media.ffmpeg.raw import RawAudio
from fls_cli.media.layout.kinds import WHOLE, Part
from fls_cli.media.timeline.edit_lists import Edit


@dataclass(frozen=True)
class Track:
    """One audio track; `index` counts the audio tracks from 0, `language` is as the file says.

    `labelled` says that the file tells which channel is which, as in 5.1. `edits` are what of its
    media is heard when, where we do that and not ffmpeg: instead of its reading of an `edit_list`,
    or around damage.
    """

    index: int
    codec: str
    language: str | None
    channels: int | None
    default: bool
    labelled: bool = True
    edits: tuple[Edit, ...] = ()
    edit_list: bool = False


@dataclass(frozen=True)
class MediaInfo:
    """What the container says of itself.

    `duration` is in seconds, None when the container does not tell (raw streams, where ffmpeg
    could only guess from the bit rate). `container` is ffmpeg's name for the format; `video` says
    whether there is moving picture beside the sound; `start` is what its clock shows at the
    recording's beginning, in seconds.
    `captioned` says that subtitles or chapters may last longer than the sound.
    `parts` are what was joined to this file, `joined` what those behind the first hold, None where
    nothing could be made of one. `raw` is what samples without a header were taken for.
    """

    duration: float | None
    container: str
    tracks: tuple[Track, ...]
    video: bool
    start: float = 0.0
    captioned: bool = False
    parts: tuple[Part, ...] = (WHOLE,)
    joined: tuple[MediaInfo | None, ...] = ()
    raw: RawAudio | None = None

    def promised(self, number: int) -> float | None:
        """How many seconds a part, counted from 0, says that it lasts."""
        return self.duration if len(self.parts) == 1 else self.parts[number].seconds

    def of(self, number: int) -> MediaInfo | None:
        """What a part, counted from 0, holds; None where there is none that can be read."""
        return [self, *self.joined, None][min(number, len(self.joined) + 1)]

    @property
    def clocked(self) -> bool:
        """Whether the times of its packets say more than how many came before."""
        return self.container.split(",")[0] not in _COUNTING.split(",")

    @property
    def seekable(self) -> bool:
        """Whether a time in it is found without reading on from its beginning.

        Only where an index or a constant rate leads there: where parts may be joined, or clocks go
        back, a time that is searched for may be there twice.
        """
        part, *others = self.parts
        edited = any(track.edits for track in self.tracks)
        if others or part.disordered or part.bare or part.pieces or edited or self.duration is None:
            return False
        return self.container.split(",")[0] in _INDEXED


# Streams of frames, in which the rate may change: some ffmpegs miscount their times from there on.
_COUNTING = "aac,ac3,dts,dtshd,eac3,loas,mlp,mp3,truehd"
_INDEXED = {"mov", "matroska", "wav", "w64", "flac", "aiff", "caf", "mp3"}
_INPUT = re.compile(r"^Input #0, (?P<container>[\w,]+), from ", re.MULTILINE)
_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)
_START = re.compile(r"^  Duration: .*?, start: (-?\d+\.\d+)", re.MULTILINE)
_STREAM = re.compile(
    r"^ {2,4}Stream #0:(?P<stream>\d+)(?:\[0x[0-9a-f]+\])?(?:\((?P<language>[^)\n]*)\))?: "
    r"(?P<kind>Audio|Video|Subtitle|Data): (?P<rest>.*)$",
    re.MULTILINE,
)
_LAYOUT = re.compile(r" Hz, ([^,]+)")
_UNLABELLED = re.compile(r" Hz, \d+ channels")
_COUNTED = re.compile(r"(\d+) channels")
_DOTTED = re.compile(r"\d+(?:\.\d+)+")
_NAMED = {
    "mono": 1,
    "stereo": 2,
    "downmix": 2,
    "binaural": 2,
    "quad": 4,
    "hexagonal": 6,
    "octagonal": 8,
    "cube": 8,
    "hexadecagonal": 16,
}


def read_report(text: str) -> MediaInfo | None:
    """What `text`, ffmpeg's stderr without the input's name, says of the input; None if nothing."""
    header = _INPUT.search(text)
    if header is None:
        return None
    # A stream that belongs to two programs is printed twice, and programs print out of order.
    streams = {int(match["stream"]): match for match in _STREAM.finditer(text, header.end())}
    audio = [match for _, match in sorted(streams.items()) if match["kind"] == "Audio"]
    tracks = tuple(_track(index, match) for index, match in enumerate(audio))
    if header["container"] == "flv":
        # It has one track; ffmpeg makes more of what is damaged.
        tracks = tracks[:1]
    begin = _START.search(text)
    start = float(begin[1]) if begin else 0.0
    return MediaInfo(
        duration=_duration(text, tracks, header["container"], start),
        container=header["container"],
        tracks=tracks,
        # A cover is a picture of the recording, not something that lasts.
        video=any(
            match["kind"] == "Video" and "(attached pic)" not in match["rest"]
            for match in streams.values()
        ),
        start=start,
        captioned=any(match["kind"] in ("Subtitle", "Data") for match in streams.values()),
    )


def best_track(tracks: Sequence[Track]) -> Track:
    """The one to hear when none is asked for: the default, else that with the most channels."""
    return max(
        tracks,
        key=lambda track: (
            track.codec != "none",
            track.default,
            track.channels or 0,
            -track.index,
        ),
    )


def _duration(text: str, tracks: Sequence[Track], container: str, start: float) -> float | None:
    match = _DURATION.search(text)
    if match is None:
        return None
    if "Estimating duration from bitrate" in text and not _constant_rate(tracks):
        return None
    hours, minutes, seconds = match.groups()
    end = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    # These tell when they end, the others how long they are.
    return end - start if container.startswith(("matroska", "ogg")) and 0 < start < end else end


def _constant_rate(tracks: Sequence[Track]) -> bool:
    return all(track.codec.startswith(("pcm_", "gsm", "adpcm_g722")) for track in tracks)


def _track(index: int, match: re.Match[str]) -> Track:
    rest = match["rest"]
    language = match["language"]
    return Track(
        index=index,
        codec=re.split(r"[ ,]", rest, maxsplit=1)[0],
        language=printable(language) if language and language != "und" else None,
        channels=_channels(rest),
        default="(default)" in rest,
        labelled=_UNLABELLED.search(rest) is None,
    )


def _channels(rest: str) -> int | None:
    layout = _LAYOUT.search(rest)
    if layout is None:
        return None
    name = layout[1]
    if count := _COUNTED.match(name):
        return int(count[1])
    if layout_name := _DOTTED.match(name):
        return sum(int(part) for part in layout_name[0].split("."))
    return _NAMED.get(re.split(r"[ (]", name, maxsplit=1)[0])
