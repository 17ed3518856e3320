"""The samples of all parts of a file, one after the other, as one channel."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from fls_cli.media.ffmpeg.probe import MediaInfo, Track, best_track
from fls_cli.media.ffmpeg.process import Decoding
from fls_cli.media.mixing import Mix
from fls_cli.media.shortfalls import Ending, ends_early
from fls_cli.media.source import Source
from fls_cli.media.timeline.placing import LONGEST_GAP, Placing
from fls_models.core.constants import SAMPLE_RATE
from fls_models.errors import InputError, NoAudioTrack

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Codecs whose every frame tells its channels, so that what begins with one may go on with two. MP3
# is left out: its parts are found by their bytes.
_VARYING = {"aac", "aac_latm", "ac3", "eac3", "mp2"}
# Seconds that streams of one clock begin and end apart.
_CLOCK_RUNS_ON = 2.0


def choose_track(source: Source, tracks: Sequence[Track], index: int | None) -> Track:
    """The audio track of this index, from 0, or the best; raises NoAudioTrack."""
    if not tracks:
        raise NoAudioTrack(f"{source.name}: there is no audio track in it; give one with sound.")
    if index is None:
        return best_track(tracks)
    if not 0 <= index < len(tracks):
        choice = (
            "one audio track, 0" if len(tracks) == 1 else f"audio tracks 0 to {len(tracks) - 1}"
        )
        raise NoAudioTrack(f"{source.name}: there is no audio track {index}; it has {choice}.")
    return tracks[index]


class JoinedParts:
    """One audio track of a source, all parts of it, and what ffmpeg said in the end.

    `peak` is the loudest sample, of full scale; `endings` tell how far the parts were read.
    """

    def __init__(
        self, source: Source, info: MediaInfo, track: Track, placing: Placing, channels: str
    ) -> None:
        self._source, self._info, self._track = source, info, track
        self._placing, self._channels = placing, channels
        self.peak = 0.0
        self.endings: list[Ending] = []

    @property
    def code(self) -> int:
        """ffmpeg's exit code, the first that is no success."""
        return next((ending.code for ending in self.endings if ending.code), 0)

    @property
    def complaints(self) -> str:
        """All that ffmpeg said."""
        return "".join(ending.complaints for ending in self.endings)

    def mono(self, seek: float) -> Generator[npt.NDArray[np.float32], None, None]:
        """(n,) float32, from `seek` seconds behind the beginning."""
        begin = 0.0
        for number, part in enumerate(self._info.parts):
            info = self._info.of(number)
            if number > 0:
                wait = begin - self._placing.seconds
                self._placing.begin_part(part.hole, wait, clocked=info is None or info.clocked)
                begin += part.hole
            if info is None or self._track.index >= len(info.tracks):
                self.endings.append(Ending(number, begin, begin, is_read=False))
                continue
            yield from self._part(number, info, begin, seek if number == 0 else 0.0)
            if self._placing.is_complete:
                return
            begin = self._end(info, self._info.of(number + 1))

    def _part(
        self, number: int, info: MediaInfo, begin: float, seek: float
    ) -> Generator[npt.NDArray[np.float32], None, None]:
        part, track = self._info.parts[number], info.tracks[self._track.index]
        track = self._track if number == 0 else track
        mix, placing = Mix(self._heard_channels(track)), self._placing
        channels = _wanted_channels(track, mix)
        with Decoding(
            self._source, track, info.start, seek, channels, part, self._info.raw
        ) as decoding:
            for block in placing.blocks(decoding.packets(), lambda: decoding.channels):
                _check_channel(self._source, mix, block.shape[1])
                if (
                    track.channels == 1
                    and block.shape[1] == 2
                    and (block[:, 0] == block[:, 1]).all()
                ):
                    # ffmpeg makes two of one channel with 3 dB less on each.
                    block = block * 2**0.5
                samples = mix.mono(block)
                self.peak = max(self.peak, float(abs(samples).max(initial=0.0)))
                yield samples
            code, complaints = decoding.finish(early=placing.is_complete)
        self.endings.append(
            Ending(number, begin, placing.seconds, placing.closed, code, complaints)
        )

    def _heard_channels(self, track: Track) -> str:
        """The only channel of a part, where another part has the one that is wanted."""
        wanted = Mix(self._channels).channel
        infos = (self._info, *filter(None, self._info.joined))
        counts = [
            info.tracks[self._track.index].channels or 0
            for info in infos
            if self._track.index < len(info.tracks)
        ]
        beyond = track.channels == 1 and wanted is not None and max(counts) > wanted
        return "mix" if beyond else self._channels

    def _end(self, info: MediaInfo, following: MediaInfo | None) -> float:
        """When the part ends that was read last: its picture may last longer than its sound."""
        ending = self.endings[-1]
        promised = self._info.promised(ending.number)
        lasts = info.video or len(info.tracks) > 1
        if promised is None or not lasts or ends_early(self._info, ending):
            return self._placing.seconds
        if info.container == "mpegts" and following and following.container == "mpegts":
            # The clock may run on.
            runs = following.start - info.start
            if abs(runs - promised) < _CLOCK_RUNS_ON:
                return ending.begin + runs - ending.closed
        end = ending.begin + promised - ending.closed
        # No picture lasts so much longer: what tells its length is damaged.
        is_likely = end - self._placing.seconds < LONGEST_GAP / SAMPLE_RATE
        return max(self._placing.seconds, end) if is_likely else self._placing.seconds


def _wanted_channels(track: Track, mix: Mix) -> int | None:
    """How many channels ffmpeg shall make of it; None for as many as there are."""
    if track.channels == 1 and track.codec not in _VARYING:
        return 1
    return 2 if track.labelled and mix.channel is None else None


def _check_channel(source: Source, mix: Mix, channels: int) -> None:
    if mix.channel is not None and mix.channel >= channels:
        choice = "one channel" if channels == 1 else f"{channels} channels"
        raise InputError(
            f"{source.name}: there is no channel {mix.channel + 1}; it has {choice}, which are "
            "heard together without --channels."
        )
