"""The samples of all parts of a file, one after the other, as one channel."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from fls_cli.decoder import Decoding
from fls_cli.flaws import Flaw
from fls_cli.inputs import Source
from fls_cli.layouts import Part
from fls_cli.mixing import Mix
from fls_cli.placing import Placing
from fls_cli.probe import MediaInfo, Track, best_track
from fls_cli.shortfalls import damaged_stretch, unread_part
from fls_models.errors import NoAudioTrack, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def choose_track(source: Source, tracks: Sequence[Track], index: int | None) -> Track:
    """The audio track of this index, from 0, or the best; raises NoAudioTrack."""
    if not tracks:
        raise NoAudioTrack(f"{source.name}: there is no audio track in it; give one with sound.")
    if index is None:
        return best_track(tracks)
    if not 0 <= index < len(tracks):
        there = "one audio track, 0" if len(tracks) == 1 else f"audio tracks 0 to {len(tracks) - 1}"
        raise NoAudioTrack(f"{source.name}: there is no audio track {index}; it has {there}.")
    return tracks[index]


class JoinedParts:
    """One audio track of a source, all parts of it, and what ffmpeg said in the end.

    `peak` is the loudest sample, of full scale; `flaws` is what is wrong with the parts; `code`
    and `complaints` are ffmpeg's, as `Decoding.finish` has them.
    """

    def __init__(
        self, source: Source, info: MediaInfo, track: Track, placing: Placing, channels: str
    ) -> None:
        self._source, self._info, self._track = source, info, track
        self._placing, self._channels = placing, channels
        self.code = 0
        self.complaints = ""
        self.peak = 0.0
        self.flaws: list[Flaw] = []

    def mono(self, seek: float) -> Generator[npt.NDArray[np.float32], None, None]:
        """(n,) float32, from `seek` seconds behind the beginning."""
        yield from self._part(self._info.parts[0], self._info, self._track, seek)
        behind = zip(self._info.parts[1:], self._info.joined, strict=True)
        for number, (part, info) in enumerate(behind, 2):
            at = self._placing.seconds
            if self._placing.is_complete:
                return
            if info is None or self._track.index >= len(info.tracks):
                self.flaws.append(unread_part(number, at))
                continue
            if part.hole:
                self.flaws.append(damaged_stretch(at, part.hole))
            self._placing.begin_part(part.hole)
            yield from self._part(part, info, info.tracks[self._track.index], 0.0)

    def _part(
        self, part: Part, info: MediaInfo, track: Track, seek: float
    ) -> Generator[npt.NDArray[np.float32], None, None]:
        mix = Mix(self._channels)
        wanted = _wanted_channels(track, mix)
        with Decoding(
            self._source, track, info.start, seek, wanted, part, self._info.raw
        ) as decoding:
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
